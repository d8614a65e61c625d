"""Answers on a terminal, however they are cut on their way."""

from __future__ import annotations

import io
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sockd.client.outputs.answers import Answers
from tests.client.outputs.runs import probe
from tests.client.outputs.told import Told, answer


@given(
    st.binary(max_size=40) | st.lists(st.sampled_from(b"\\\\x1\x1b\r\n")).map(bytes),
    st.lists(st.integers(0, 40), max_size=6),
)
def test_on_a_terminal_an_answer_is_the_same_however_it_is_cut(
    data: bytes, cuts: list[int]
) -> None:
    def shown(pieces: list[bytes]) -> bytes:
        out = io.BytesIO()
        answers = Answers(out, is_terminal=True)
        for piece in pieces:
            answers.data("host", piece)
        answers.end_all()
        return out.getvalue()

    edges = [0, *sorted(cuts), len(data)]
    pieces = [data[low:high] for low, high in pairwise(edges)]
    assert b"".join(pieces) == data
    assert shown(pieces) == shown([data])


def test_on_a_terminal_a_backslash_is_one_unless_it_would_begin_an_escape() -> None:
    told = Told(answer(b"[\\]^_\\\r\nC:\\x41\\"), out_is_terminal=True)
    assert told.out == b"[\\]^_\\\nC:\\\\x41"
    told(answer(b"x"))
    assert told.out == b"[\\]^_\\\nC:\\\\x41\\\\x", "known once the next byte is there"
    told(answer(b"\\"), probe())
    assert told.out.endswith(b"x\\")


@given(st.text(max_size=20))
def test_a_terminal_that_is_not_of_utf_8_gets_no_byte_of_a_control(text: str) -> None:
    """UTF-8's bytes 80 to 9f are controls to a terminal of ISO 8859-1."""
    out = io.BytesIO()
    answers = Answers(out, is_terminal=True, encoding="iso-8859-1")
    answers.data("host", text.encode("utf-8", "replace"))
    answers.end_all()
    assert not set(out.getvalue()) & ({*range(0x20), *range(0x7F, 0xA0)} - {0x09, 0x0A})
