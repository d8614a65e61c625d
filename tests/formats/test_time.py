"""The time since 1900: what a server says, a client understands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.formats.time import time_since_1900, unix_time

MOMENTS = st.integers(-2_000_000_000, 10_000_000_000)
HALF = 2**31 - 1


@given(MOMENTS, st.integers(-HALF, HALF))
def test_a_client_whose_clock_is_less_than_68_years_off_understands_any_time(
    moment: int, off: int
) -> None:
    assert unix_time(time_since_1900(moment), moment + off) == moment


def test_the_numbers_begin_anew_in_2036() -> None:
    last = 2_085_978_495  # 2036-02-07 06:28:15 UTC
    assert time_since_1900(last) == b"\xff\xff\xff\xff"
    assert time_since_1900(last + 1) == b"\0\0\0\0"
    assert unix_time(b"\0\0\0\0", last) == last + 1


@pytest.mark.parametrize("number", [b"", b"abc", b"abcde"])
def test_a_time_has_four_bytes(number: bytes) -> None:
    with pytest.raises(ValueError, match=f"a time has 4 bytes, not {len(number)}"):
        unix_time(number, 0)
