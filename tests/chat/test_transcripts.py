"""Whole conversations, byte for byte: what old clients, ours and servers send each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import blake2b

import pytest

from sockd.formats.chat import trailer
from sockd.formats.chat.events import MAX_EVENT, Code
from tests.chat.transcribe import Event, Transcript, read
from tests.chat.transcripts import ALL, GOLDEN, written

MAKE = pytest.mark.parametrize("make", ALL, ids=lambda make: str(make.__name__))
OF_CHANNEL = (Code.PUBLIC_MSG, Code.USER_JOINS, Code.USER_PARTS)


def golden(make: Callable[[], Transcript]) -> str:
    """What is written of it."""
    return (GOLDEN / f"{make.__name__}.txt").read_text("utf-8")


def events(text: str) -> Iterator[tuple[Event, int, bytes]]:
    """The datagrams of a file, each with its code and what is behind it."""
    for event in read(text):
        yield event, int.from_bytes(event.data[:2], "big"), event.data[2:]


@MAKE
def test_a_conversation_goes_as_it_is_written(make: Callable[[], Transcript]) -> None:
    assert written(make) == golden(make), "meant? python -m tests.chat.transcripts"


@MAKE
def test_what_is_written_is_all_of_each_datagram(make: Callable[[], Transcript]) -> None:
    sent = [line for line in make().lines if isinstance(line, Event)]
    assert list(read(golden(make))) == sent
    assert all(2 <= len(event.data) <= MAX_EVENT for event in sent)


def test_every_event_is_in_some_conversation() -> None:
    assert {code for make in ALL for _, code, _ in events(golden(make))} - {4711} == set(Code)


Whose = tuple[str, int]
"""A user, a channel or the heartbeats, and the epoch of what is not a user's."""


def keys_in(event: Event, code: int, text: bytes) -> Iterator[tuple[Whose, bytes]]:
    """Keys that a datagram tells, with what they are for."""
    words = text.split(b" ")
    found = trailer.stamped(event.data)
    if code == Code.OPENED and words[2] != b"-":
        yield (event.who, 0), bytes.fromhex(words[2].decode())
    elif found is not None and found[1].key:
        title = "heartbeats" if code == Code.HEARTBEAT_AT else words[0].decode()
        yield (title, found[1].epoch), found[1].key


def key_of(event: Event, code: int, text: bytes) -> Whose | None:
    """Whose key the MAC of a datagram is made with; None where it has none."""
    found = trailer.stamped(event.data)
    if found is not None and code == Code.HEARTBEAT:
        return "heartbeats", found[1].epoch
    if found is not None and code in OF_CHANNEL:
        return text.split(b" ")[0].decode(), found[1].epoch
    return (event.who, 0) if found or trailer.signed(event.data) else None


@MAKE
def test_each_mac_is_good_by_a_key_that_the_conversation_tells(
    make: Callable[[], Transcript],
) -> None:
    sent = list(events(golden(make)))
    keys = {whose: key for one in sent for whose, key in keys_in(*one)}
    checked = 0
    for event, code, text in sent:
        whose = key_of(event, code, text)
        if whose is not None and keys:  # where nobody has a new client, none is told
            made = blake2b(event.data[:-8], digest_size=8, key=keys[whose]).digest()
            assert made == event.data[-8:], event
            checked += 1
    assert bool(checked) == bool(keys)
