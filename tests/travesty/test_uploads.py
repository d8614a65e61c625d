"""Commands and texts of what a client of travesty sends, beside a model of the whole of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from attrs import Factory, define
from hypothesis import given
from hypothesis import strategies as st

from sockd.travesty import uploads
from sockd.travesty.uploads import BLOCK_BYTES, Uploads, blocks, letters_end

LIMIT = 9
SMALL_BLOCK = 16
"""Bytes of a block here, so that short texts have many."""
SPACES = b" \t\n\r\v\f"
tokens = st.sampled_from(
    [b"DATA\n", b"DATA\r\n", b".", b"ABORT", b"\n", b"\r\n", b"\r", b" ", b"\v", b"a", b"one two"]
    + [b"x" * size for size in (LIMIT - 1, LIMIT, SMALL_BLOCK - 1, SMALL_BLOCK)]
)
streams = st.lists(tokens, max_size=40).map(b"".join)
cuts = st.lists(st.integers(0, 200), max_size=12)


@pytest.fixture(scope="module", autouse=True)
def _small_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uploads, "BLOCK_BYTES", SMALL_BLOCK)
        yield


@define
class Heard:
    """Commands, and texts with what has ended them, as they came."""

    commands: list[bytes] = Factory(list)
    texts: list[bytes] = Factory(list)
    ends: list[bytes] = Factory(list)
    is_fault: bool = False


def model(stream: bytes, may_abort: bool) -> Heard:
    """What a whole stream says, line by line."""
    heard = Heard()
    ends = (b".", b"ABORT") if may_abort else (b".",)
    is_text = False
    lines = stream.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for line in lines:
        bare = line.removesuffix(b"\r")
        if not is_text and len(bare) > LIMIT:
            heard.is_fault = True
            break
        if not is_text:
            heard.commands.append(bare)
            if is_text := bare == b"DATA":
                heard.texts.append(b"")
        elif bare in ends:
            heard.ends.append(bare)
            is_text = False
        else:
            heard.texts[-1] += line + b"\n"
    if is_text:
        heard.ends.append(b".")
    return heard


def in_pieces(stream: bytes, places: list[int]) -> list[bytes]:
    ends = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(ends)]


@define
class Reader:
    """Takes all that can be taken, and writes it down."""

    buffer: Uploads
    heard: Heard = Factory(Heard)
    blocks: list[bytes] = Factory(list)

    def take_all(self) -> None:
        while self.buffer.has_request:
            was_text = self.buffer.is_text
            taken = self.buffer.take()
            if not was_text:
                self.heard.commands.append(taken)
                if taken == b"DATA":
                    self.heard.texts.append(b"")
                    self.buffer.begin_text()
            elif self.buffer.is_text:
                self.blocks.append(taken)
                self.heard.texts[-1] += taken
            else:
                self.heard.ends.append(taken)
        self.heard.is_fault = bool(self.buffer.fault)


def hear(pieces: list[bytes], may_abort: bool, limit: int = LIMIT, late: bool = False) -> Reader:
    """What is heard of pieces and the end behind them; late: nothing is taken before."""
    reader = Reader(Uploads(limit))
    reader.buffer.may_abort = may_abort
    for piece in pieces:
        reader.buffer.feed(piece)
        if not late:
            reader.take_all()
    reader.buffer.end()
    reader.take_all()
    return reader


def bare(heard: Heard) -> Heard:
    """Without the line end that the end of the stream may add to a text."""
    heard.texts = [text.rstrip(SPACES) for text in heard.texts]
    return heard


@given(streams, cuts, st.booleans(), st.booleans())
def test_commands_and_texts_are_the_same_however_they_come(
    stream: bytes, places: list[int], may_abort: bool, late: bool
) -> None:
    reader = hear(in_pieces(stream, places), may_abort, late=late)
    assert bare(reader.heard) == bare(model(stream, may_abort))
    assert reader.heard.is_fault or not len(reader.buffer)


@given(streams, cuts, st.booleans())
def test_a_block_ends_in_white_space_or_is_part_of_a_word_that_is_longer(
    stream: bytes, places: list[int], may_abort: bool
) -> None:
    for block in hear(in_pieces(b"DATA\n" + stream, places), may_abort).blocks:
        assert len(block) <= SMALL_BLOCK
        if block[-1] not in SPACES:
            assert (len(block), len(block.split())) == (SMALL_BLOCK, 1)
            assert not set(block) & set(SPACES)


@given(streams, st.integers(0, 200), st.booleans())
def test_what_can_be_taken_of_a_text_is_not_waited_with(
    stream: bytes, place: int, may_abort: bool
) -> None:
    """What stays is the beginning of a word, or of the line that ends a text."""
    reader = Reader(Uploads(LIMIT))
    reader.buffer.may_abort = may_abort
    reader.buffer.feed((b"DATA\n" + stream)[:place])
    reader.take_all()
    if reader.buffer.is_text:
        assert len(reader.buffer) < SMALL_BLOCK
        assert not set(reader.buffer._held) & (set(SPACES) - {ord("\r")})


@given(st.text("aé語🙂", min_size=SMALL_BLOCK, max_size=200), cuts)
def test_a_word_longer_than_a_block_is_cut_between_letters(word: str, places: list[int]) -> None:
    reader = hear(in_pieces(b"DATA\n" + word.encode() + b"\n.\n", places), may_abort=False)
    assert "".join(block.decode() for block in reader.blocks).rstrip() == word
    assert max(map(len, reader.blocks)) > SMALL_BLOCK - 4


@pytest.mark.parametrize("data", [b"\xff" * 20, b"a\x80\x80\x80\x80", b"\xc3\xa9", b"\xf0\x9f"])
def test_what_is_no_utf_8_is_cut_somewhere(data: bytes) -> None:
    assert 0 <= len(data) - letters_end(data) < 4


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("rest", [b"", b"RESET\r\n"])
def test_a_command_of_the_greatest_length_is_heard_and_one_byte_more_is_a_fault(
    end: bytes, rest: bytes
) -> None:
    longest = b"x" * LIMIT
    reader = hear([longest + end + rest], may_abort=False)
    assert reader.heard.commands == [longest, *([b"RESET"] if rest else [])]
    reader = hear([b"RESET\n" + longest + b"x" + end + rest], may_abort=False)
    assert (reader.heard.commands, reader.buffer.fault) == ([b"RESET"], "max_line")
    assert len(reader.buffer) == 0


@given(st.integers(LIMIT + 1, 100), cuts)
def test_a_command_that_does_not_end_is_a_fault_and_nothing_is_kept(
    size: int, places: list[int]
) -> None:
    reader = Reader(Uploads(LIMIT))
    for piece in in_pieces(b"x" * (size + 1), places):
        reader.buffer.feed(piece)
        reader.take_all()
        assert len(reader.buffer) <= LIMIT + 1
    assert reader.buffer.fault == "max_line"
    reader.buffer.feed(b"\nRESET\n")
    assert not reader.buffer.has_request


@pytest.mark.parametrize(
    ("stream", "texts"),
    [
        (b"DATA", [b""]),
        (b"DATA\n.", [b""]),
        (b"DATA\n.\r", [b""]),
        (b"DATA\none", [b"one"]),
        (b"DATA\none ", [b"one "]),
        (b"DATA\none\n", [b"one\n"]),
        (b"DATA\none\n.", [b"one\n"]),
        (b"DATA\none .", [b"one ."]),
        (b"DATA\none\n..", [b"one\n.."]),
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_an_upload_that_is_cut_off_ends_once(stream: bytes, texts: list[bytes], late: bool) -> None:
    reader = hear([stream], may_abort=False, late=late)
    assert (bare(reader.heard).texts, reader.heard.ends) == (
        [text.rstrip() for text in texts],
        [b"."],
    )
    assert reader.heard.commands == [b"DATA"]


def test_commands_behind_a_text_and_the_end_are_heard() -> None:
    reader = hear([b"DATA\none\n.\nRESET\nDATA\ntwo\n.\nBYE"], may_abort=False, late=True)
    assert reader.heard.commands == [b"DATA", b"RESET", b"DATA", b"BYE"]
    assert reader.heard.texts == [b"one\n", b"two\n"]


def test_only_a_command_that_has_begun_is_waited_for() -> None:
    reader = Reader(Uploads(LIMIT))
    waits = []
    for piece in (b"", b"DA", b"TA\n", b"wor", b"d\n.", b"\n", b"BY", b"E\n"):
        reader.buffer.feed(piece)
        reader.take_all()
        waits.append(reader.buffer.is_partial)
    assert waits == [False, True, False, False, False, False, True, False]


def test_what_is_forgotten_is_followed_by_commands() -> None:
    reader = Reader(Uploads(LIMIT))
    reader.buffer.feed(b"DATA\none two")
    reader.take_all()
    reader.buffer.clear()
    assert (len(reader.buffer), reader.buffer.taken) == (0, len(b"DATA\none two"))
    reader.buffer.feed(b"12345BYE\n")
    reader.buffer.drop(5)
    reader.take_all()
    reader.buffer.drop(5)
    assert reader.heard == Heard([b"DATA", b"BYE"], [b"one "])


# what is dropped up to ABORT


@given(st.lists(st.sampled_from([b"ABORT", b"\n", b"\r\n", b"\r", b"x", b" "])).map(b"".join), cuts)
def test_everything_up_to_the_first_line_abort_is_dropped_however_it_comes(
    stream: bytes, places: list[int]
) -> None:
    buffer = Uploads(LIMIT)
    lines = stream.split(b"\n")
    whole = [line.removesuffix(b"\r") for line in lines[:-1]]
    found = False
    for piece in in_pieces(stream, places):
        buffer.feed(piece)
        found = found or buffer.drop_to_abort()
    assert found == (b"ABORT" in whole)
    left = b"\n".join(lines[whole.index(b"ABORT") + 1 :]) if found else stream
    assert bytes(buffer._held) == left


# texts that are there


@given(st.lists(tokens, max_size=60).map(b"".join))
def test_the_blocks_of_a_whole_text_are_the_text(text: bytes) -> None:
    cut = list(blocks(text))
    assert b"".join(cut) == text
    assert all(0 < len(block) <= SMALL_BLOCK for block in cut)
    for block in cut[:-1]:
        assert block[-1] in SPACES or len(block.split()) == 1


def test_a_block_is_half_a_millisecond_of_work() -> None:
    """Its size is what a read is cut into: no more than a quarter of one."""
    assert 4 * BLOCK_BYTES == 64 * 1024
