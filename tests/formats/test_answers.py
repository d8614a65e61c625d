"""The answers of line services: what a service makes fits its line, and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sockd.formats import answers
from sockd.formats.clock import local_ctime, read_ctime
from sockd.formats.factors import are_factors, factors, is_prime
from sockd.formats.faults import error_in, error_line
from sockd.services.reverse import reverse, reverse_datagram

LINES = st.binary(max_size=60).filter(lambda line: b"\n" not in line and b"\r" not in line)


def without_end(data: bytes) -> bytes:
    return data.removesuffix(b"\r\n")


@given(LINES, LINES)
def test_an_answer_fits_its_own_line_alone(line: bytes, other: bytes) -> None:
    assume(line != other)
    ok, said = without_end(answers.acknowledge([line])), without_end(answers.you_said(line))
    assert answers.acknowledges(line, ok)
    assert answers.is_acknowledgement(ok)
    assert not answers.acknowledges(other, ok)
    assert answers.was_said(line, said)
    assert not answers.was_said(other, said)
    assert not answers.was_said(line, ok)


@given(st.one_of(LINES, st.text(max_size=40).map(str.encode)))
def test_a_line_backwards_fits_by_characters_and_by_bytes(line: bytes) -> None:
    assert answers.is_reversed(line, reverse(line))
    assert answers.is_reversed(line, line[::-1])
    assert not answers.is_reversed(line, reverse(line) + b"x")
    assert not line or not answers.is_reversed(line, bytes([line[0] ^ 1]) + line[1:])


def test_an_echo_is_no_line_backwards() -> None:
    assert not answers.is_reversed(b"abc", b"abc")
    assert answers.is_reversed(b"abba", b"abba")


@given(st.integers(0, 10**9), LINES)
def test_a_numbered_datagram_comes_back_with_its_number(number: int, text: bytes) -> None:
    sent = answers.numbered(number, text)
    assert answers.split_number(sent) == (b"%d" % number, text)
    found = answers.split_number(reverse_datagram(sent))
    assert found is not None
    assert found[0] == b"%d" % number
    assert answers.is_reversed(text, found[1])


@given(st.integers(2, 10**20), st.integers(2, 10**20))
def test_factors_fit_their_number_alone(number: int, other: int) -> None:
    assume(number != other)
    answer = factors(number)
    assert are_factors(b"%d" % number, answer)
    assert not are_factors(b"%d" % other, answer)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"42", b""),
        (b"42", b"42"),
        (b"42", b"6 7"),
        (b"42", b"7 3 2"),
        (b"42", b"1 2 3 7"),
        (b"42", b"2 3  7"),
        (b"42", b"2 3 7 "),
        (b"42", b"2 3 -7"),
        (b"4", b"-2 -2"),
        (b"0", b"0"),
        (b"one", b"2"),
        (b"7", b"0" * 5000 + b"7"),
        (b"1" * 5000, b"1" * 5000),
    ],
)
def test_what_are_no_factors_does_not_fit(line: bytes, answer: bytes) -> None:
    assert not are_factors(line, answer)


def test_the_longest_answer_of_factors_fits() -> None:
    assert are_factors(b"%d" % 2**400, b" ".join([b"2"] * 400))
    huge = 2**600 + 1  # too large to be looked at: it is believed
    assert are_factors(b"%d" % huge, b"%d" % huge)


def test_primes_are_told_from_what_is_like_them() -> None:
    sieve = [n for n in range(2, 2000) if all(n % d for d in range(2, int(n**0.5) + 1))]
    assert [n for n in range(2000) if is_prime(n)] == sieve
    assert not is_prime(3215031751)  # passes with 2, 3, 5 and 7
    assert is_prime(2**127 - 1)


@given(st.text(max_size=300))
def test_an_error_line_is_known_as_one(message: str) -> None:
    line = error_line(message)
    assert line == b"error: " + (error_in(line) or b"") + b"\r\n"
    assert error_in(b"x" + line) is None


@given(st.integers(-(10**9), 10**11))
def test_times_as_c_writes_them_are_read(second: int) -> None:
    text = local_ctime(second, "UTC").encode()
    assert read_ctime(text).ctime().encode() == text


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"Sun Jun 17 18:06:14 2000",  # it was a Saturday
        b"Sat Jun 31 18:06:14 2000",
        b"Sat Jun 17 24:06:14 2000",
        b"Sat anF 17 18:06:14 2000",
        b"Sat Jun 17 18:06:14 2000\n",
        b"Thu Feb 30 00:00:00 2000",
    ],
)
def test_what_is_no_time_of_c_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_ctime(text)
