"""Hellos and their answers."""

from __future__ import annotations

from sockd.client.lan.proofs import chat_hello
from sockd.formats.chat.events import Code, pack, unpack
from sockd.formats.chat.hello import Hello, Welcome

TOKEN = b"a token"
BETA, GAMMA = b"beta....", b"gamma..."


def asked_nonce(data: bytes) -> bytes:
    event = unpack(data)
    assert event is not None
    assert event.code == Code.NOTHING
    found = Hello.read(event.text)
    assert found is not None
    return found.nonce


def welcome(server: bytes = BETA, name: str = "beta", token: bytes = TOKEN) -> bytes:
    """A new server's answer to a hello."""
    return Welcome(asked_nonce(chat_hello(token)), server, 1, bytes(16), ("ack",), name).write()


PLEASE = pack(Code.ERROR, b"please log in")
