"""Texts as they go to a travesty service, and as they come."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.client.travesty.text import MOST_LINE, Incoming, Outgoing

PIECES = st.lists(
    st.sampled_from(
        [b".", b"\r", b"\n", b"\r\n", b"ABORT", b"abort", b"a", b" ", b".\n", b"\n.", "ß".encode()]
    ),
    max_size=30,
)


def sent(*pieces: bytes, has_abort: bool = True) -> list[bytes]:
    """All that goes out for a file that is read in these pieces."""
    outgoing = Outgoing(has_abort)
    return [*map(outgoing.feed, pieces), outgoing.end()]


# out


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"", b""),
        (b"one\ntwo\n", b"one\r\ntwo\r\n"),
        (b"one\r\ntwo\r\n", b"one\r\ntwo\r\n"),
        (b"one\rtwo\r", b"one\r\ntwo\r\n"),
        (b"one\n\n\rtwo", b"one\r\n\r\n\r\ntwo\r\n"),
        (b".\n..\n.a\n.", b" .\r\n..\r\n.a\r\n .\r\n"),
        (b"\r.\r.\r", b"\r\n .\r\n .\r\n"),
    ],
)
def test_lines_end_in_crlf_and_none_is_a_dot(text: bytes, lines: bytes) -> None:
    assert b"".join(sent(text)) == lines


def test_a_line_that_would_abort_is_escaped_where_there_is_such_a_command() -> None:
    text = b"ABORT\nabort\nABORT it\n"
    assert b"".join(sent(text)) == b" ABORT\r\n abort\r\nABORT it\r\n"
    assert b"".join(sent(text, has_abort=False)) == b"ABORT\r\nabort\r\nABORT it\r\n"


@given(PIECES)
def test_however_a_file_is_read_the_same_goes_out(pieces: list[bytes]) -> None:
    assert b"".join(sent(*pieces)) == b"".join(sent(b"".join(pieces)))


@given(PIECES)
def test_the_words_are_the_same_and_every_line_is_one_of_text(pieces: list[bytes]) -> None:
    text, out = b"".join(pieces), b"".join(sent(*pieces))
    assert out.split() == text.split()
    assert out == b"" or out.endswith(b"\r\n")
    lines = out.removesuffix(b"\r\n").split(b"\r\n")
    assert not {b".", b"ABORT", b"abort"} & {*lines}
    assert not re.search(rb"[\r\n]", b"".join(lines))


@pytest.mark.parametrize("character", [b"x", "ß".encode(), "€".encode(), "😀".encode()])
def test_a_line_without_end_goes_out_in_parts_of_whole_characters(character: bytes) -> None:
    text = character * (5 * MOST_LINE // len(character))
    for shift in range(4):
        pieces = [b"x" * shift, *(text[at : at + 4099] for at in range(0, len(text), 4099))]
        parts = sent(*pieces, b"\n.\n")
        assert b"".join(parts) == b"x" * shift + text + b"\r\n .\r\n"
        assert max(map(len, parts)) <= MOST_LINE + 4099
        assert all(part.decode() is not None for part in parts)


def test_what_goes_on_with_a_line_is_no_line() -> None:
    long = b"x" * (MOST_LINE + 1)
    assert b"".join(sent(long, b".\n.\n")) == long + b".\r\n .\r\n"
    assert b"".join(sent(long, b"\n.\n")) == long + b"\r\n .\r\n"
    assert b"".join(sent(long, b".")) == long + b".\r\n"
    assert b"".join(sent(long + b"\r", b"\n.")) == long + b"\r\n .\r\n"


def test_it_is_known_whether_a_line_is_open() -> None:
    outgoing = Outgoing(has_abort=True)
    outgoing.feed(b"one\ntwo")
    assert outgoing.end_line() == b""
    outgoing.feed(b"x" * (MOST_LINE + 1))
    assert outgoing.is_in_line
    assert (outgoing.end_line(), outgoing.end_line()) == (b"\r\n", b"")


# in


def read(*pieces: bytes) -> tuple[bytes, bytes | None]:
    """What is text of what comes in these pieces, and what follows it."""
    incoming, text = Incoming(), bytearray()
    for number, piece in enumerate(pieces):
        part, after = incoming.feed(piece)
        text += part
        if after is not None:
            return bytes(text), after + b"".join(pieces[number + 1 :])
    return bytes(text), None


@pytest.mark.parametrize(
    ("data", "text", "after"),
    [
        (b".\r\n", b"", b""),
        (b"one\r\ntwo\r\n.\r\n200 x", b"one\ntwo\n", b"200 x"),
        (b"one\ntwo\n.\n", b"one\ntwo\n", b""),
        (b"..\r\n.a\r\n a.\r\n.\r\n", b"..\n.a\n a.\n", b""),
        (b"one\r\n", b"one\n", None),
        (b"one\r\n.", b"one\n", None),
        (b"one\r\n.\r", b"one\n", None),
        (b"one\r", b"one", None),
    ],
)
def test_a_text_ends_with_the_line_that_is_a_dot(
    data: bytes, text: bytes, after: bytes | None
) -> None:
    assert read(data) == (text, after)


@given(PIECES)
def test_however_a_text_comes_it_is_the_same(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    assert read(*pieces) == read(whole) == read(*(whole[at : at + 1] for at in range(len(whole))))


@given(PIECES)
def test_what_went_out_comes_in_as_it_was(pieces: list[bytes]) -> None:
    out = b"".join(sent(*pieces))
    assert read(out + b".\r\nafter") == (out.replace(b"\r\n", b"\n"), b"after")


def test_a_line_end_is_not_held_back() -> None:
    assert Incoming().feed(b"one\r\n") == (b"one\n", None)
