"""What may stand in the texts of events, and what should not."""

from __future__ import annotations

from hypothesis import strategies as st

HOSTILE_BYTES = st.one_of(
    st.binary(max_size=80),
    st.lists(
        st.sampled_from(
            [
                *(b" ", b"\n", b"\r", b"\0", b"\x1b[2J", b"\xff", b"C", b"S", b"K", b"-"),
                *(b"Weather", b"7", b"225.1.0.1", b"ff12::5:1", b"HELLO 1", b"0123456789abcdef"),
                *(b"9" * 5000, "żółć\u202e".encode()),
            ]
        ),
        max_size=12,
    ).map(b"".join),
)
"""Bytes of any kind, and those that nearly are what is expected."""
WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cs", "Co", "Cn", "Z"]),
    min_size=1,
    max_size=8,
).map(str.encode)
"""Titles and nicknames, and more than those may be."""
LINES = st.binary(max_size=60).filter(lambda line: b"\n" not in line)
TEXTS = st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(
    max_size=60
)
"""What users may write."""
UINT32 = st.integers(0, 0xFFFFFFFF)
KEYS = st.binary(min_size=16, max_size=16)
SESSIONS = st.binary(min_size=8, max_size=8)
