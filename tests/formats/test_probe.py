"""Probes: whose they are, which they are, and whether they came as they were sent."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.formats.probe import (
    LARGEST,
    LAST_ATTEMPT,
    SEQUENCES,
    SMALLEST,
    TOKEN_BYTES,
    ProbeFormat,
    ProbeStream,
    Verdict,
)

TOKEN = b"session!"
TOKENS = st.binary(min_size=TOKEN_BYTES, max_size=TOKEN_BYTES)
SEQS = st.integers(0, SEQUENCES - 1) | st.integers(SEQUENCES - 300, SEQUENCES - 1)
ATTEMPTS = st.integers(1, LAST_ATTEMPT)
SIZES = st.integers(SMALLEST, 200)
FOREIGN = (Verdict.FOREIGN, 0, 0)
CORRUPT = (Verdict.CORRUPT, 0, 0)


def test_a_probe_on_the_wire_is_token_number_try_and_pattern() -> None:
    assert ProbeFormat(TOKEN, 24).encode(1, 2).hex(" ") == (
        "73 65 73 73 69 6f 6e 21 00 00 00 00 00 00 00 01 00 02 22 2f 95 86 68 3e"
    )


@given(TOKENS, SIZES, SEQS, ATTEMPTS)
def test_what_is_written_is_read(token: bytes, size: int, seq: int, attempt: int) -> None:
    form = ProbeFormat(token, size)
    data = form.encode(seq, attempt)
    assert len(data) == size
    assert form.read(data) == (Verdict.OURS, seq, attempt)
    assert ProbeFormat(token, size).encode(seq, attempt) == data


def test_the_largest_probe_is_whole() -> None:
    form = ProbeFormat(TOKEN, LARGEST)
    data = form.encode(SEQUENCES - 1, LAST_ATTEMPT)
    assert len(data) == LARGEST
    assert form.read(data) == (Verdict.OURS, SEQUENCES - 1, LAST_ATTEMPT)
    assert form.read(data[:-1] + bytes([data[-1] ^ 1])) == CORRUPT


@given(SIZES, SEQS, ATTEMPTS, st.data())
def test_any_single_bit_that_changes_is_seen(
    size: int, seq: int, attempt: int, data: st.DataObject
) -> None:
    form = ProbeFormat(TOKEN, size)
    changed = bytearray(form.encode(seq, attempt))
    bit = data.draw(st.integers(0, 8 * size - 1))
    changed[bit // 8] ^= 1 << bit % 8
    assert form.read(bytes(changed)) == (FOREIGN if bit < 8 * TOKEN_BYTES else CORRUPT)


def test_each_bit_of_the_smallest_probe_counts() -> None:
    form = ProbeFormat(TOKEN)
    for seq in range(0, 1004, 7):
        data = form.encode(seq, 1)
        for bit in range(8 * TOKEN_BYTES, 8 * SMALLEST):
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            assert form.read(bytes(changed)) == CORRUPT


@given(TOKENS, TOKENS, SIZES, SEQS)
def test_the_probe_of_another_session_is_foreign(a: bytes, b: bytes, size: int, seq: int) -> None:
    read = ProbeFormat(a, size).read(ProbeFormat(b, size).encode(seq))
    assert read == ((Verdict.OURS, seq, 1) if a == b else FOREIGN)


@given(SIZES, SIZES, SEQS)
def test_a_probe_of_ours_of_another_length_is_corrupt(a: int, b: int, seq: int) -> None:
    read = ProbeFormat(TOKEN, a).read(ProbeFormat(TOKEN, b).encode(seq))
    assert read == ((Verdict.OURS, seq, 1) if a == b else CORRUPT)


@given(SIZES, st.binary(max_size=300))
def test_bytes_of_chance_are_read_without_fault(size: int, noise: bytes) -> None:
    form = ProbeFormat(TOKEN, size)
    assert form.read(noise) == FOREIGN
    assert form.read(TOKEN + noise) == CORRUPT
    assert form.head(noise) is None


@pytest.mark.parametrize("length", range(TOKEN_BYTES))
def test_what_is_too_short_for_a_token_is_foreign(length: int) -> None:
    assert ProbeFormat(TOKEN).read(TOKEN[:length]) == FOREIGN


@given(SIZES, SEQS, ATTEMPTS, st.integers(0, 200))
def test_the_head_is_read_from_a_quotation(size: int, seq: int, attempt: int, length: int) -> None:
    form = ProbeFormat(TOKEN, size)
    quoted = form.encode(seq, attempt)[:length]
    assert form.head(quoted) == ((seq, attempt) if len(quoted) >= 18 else None)


def test_a_token_or_a_size_that_cannot_be_is_an_error() -> None:
    with pytest.raises(ValueError, match="a token has 8 bytes, not 7"):
        ProbeFormat(b"session")
    for size in (SMALLEST - 1, LARGEST + 1):
        with pytest.raises(ValueError, match=f"a probe has 20 to 65535 bytes, not {size}"):
            ProbeFormat(TOKEN, size)


@given(SIZES, st.integers(0, 12), st.binary(max_size=19), st.data())
def test_however_a_stream_is_cut_the_probes_are_the_same(
    size: int, count: int, rest: bytes, data: st.DataObject
) -> None:
    form = ProbeFormat(TOKEN, size)
    probes = [form.encode(seq) for seq in range(count)]
    whole = b"".join(probes) + rest
    places = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    stream, found = ProbeStream(size), list[bytes]()
    for start, end in pairwise([0, *places, len(whole)]):
        found += stream.feed(whole[start:end])
        assert len(stream) < size
    assert found == probes
    assert len(stream) == len(rest)


def test_a_byte_too_many_in_a_stream_makes_what_follows_foreign() -> None:
    form, stream = ProbeFormat(TOKEN, 40), ProbeStream(40)
    probes = [form.encode(seq) for seq in range(3)]
    read = [form.read(piece)[0] for piece in stream.feed(probes[0] + b"!" + b"".join(probes[1:]))]
    assert read == [Verdict.OURS, Verdict.FOREIGN, Verdict.FOREIGN]


def test_a_byte_at_a_time_completes_each_probe_with_its_last() -> None:
    form, stream = ProbeFormat(TOKEN, 20), ProbeStream(20)
    whole = form.encode(7) + form.encode(8)
    found = [(at, probe) for at in range(40) for probe in stream.feed(whole[at : at + 1])]
    assert found == [(19, form.encode(7)), (39, form.encode(8))]
