"""Where the records of TLS end: however the stream is cut, they are the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sockd.net.tls_records import HEADER_BYTES, Records

BODIES = st.lists(st.binary(max_size=40), max_size=12)
CUTS = st.lists(st.integers(0, 400), max_size=12)


def stream_of(bodies: list[bytes]) -> bytes:
    return b"".join(b"\x17\3\3" + len(body).to_bytes(2, "big") + body for body in bodies)


def ends_of(bodies: list[bytes]) -> list[int]:
    """Where each record ends in the stream."""
    ends, at = [], 0
    for body in bodies:
        at += HEADER_BYTES + len(body)
        ends.append(at)
    return ends


@given(BODIES, CUTS)
def test_records_are_counted_however_the_stream_is_cut(
    bodies: list[bytes], cuts: list[int]
) -> None:
    data, records, ended = stream_of(bodies), Records(), 0
    at = 0
    for stop in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        end, more = records.advance(data, at, stop, 1000)
        assert end == stop
        at, ended = end, ended + more
        assert ended == sum(one <= at for one in ends_of(bodies))
        assert records.are_whole == (at in (0, *ends_of(bodies)))


@given(BODIES, CUTS, st.integers(1, 4))
def test_so_many_records_are_passed_and_no_more(
    bodies: list[bytes], cuts: list[int], most: int
) -> None:
    data, records, ends = stream_of(bodies), Records(), ends_of(bodies)
    at = passed = 0
    for stop in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        while at < stop:
            at, ended = records.advance(data, at, stop, most)
            passed += ended
            assert ended <= most
            assert at == stop or (ended == most and at == ends[passed - 1])
    assert passed == len(bodies)


@given(st.binary(max_size=200), CUTS)
def test_what_is_no_tls_is_passed_over_as_well(data: bytes, cuts: list[int]) -> None:
    records, at = Records(), 0
    for stop in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        at, _ = records.advance(data, at, stop, 1000)
        assert at == stop
