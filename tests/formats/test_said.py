"""Texts that services say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sockd.formats.said import control_character


@given(
    st.sampled_from(["utf-8", "latin-1", "cp1252"]),
    st.text(st.characters(exclude_categories=["Cc", "Cs"])),
)
def test_text_is_text_in_many_encodings(encoding: str, text: str) -> None:
    assert control_character(text.encode(encoding, "ignore") + b"\t\r\n") is None


@given(st.binary(max_size=20), st.sampled_from([*range(9), 11, 12, *range(14, 32), 127]))
def test_a_control_character_is_none(before: bytes, control: int) -> None:
    found = control_character(before + bytes([control]))
    assert found is not None
    assert found <= len(before)
