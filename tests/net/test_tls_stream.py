"""Streams over TLS, in memory: the same limits hold as without it."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

from sockd.net.stream import Stream
from sockd.service import Kind
from tests.helpers import LogRecorder
from tests.net.tls_clients import TLSClient

LIMIT = 256 * 1024


def test_a_connection_is_open_once_its_handshake_is_done(
    tls_files: tuple[Path, ...], log: LogRecorder
) -> None:
    client = TLSClient("echo", tls_files)
    assert (log.events("opened"), len(client.guard.sessions)) == ([], 1)
    client.shake_hands()
    assert len(log.events("opened")) == 1
    client.say(b"hello")
    assert client.text == b"hello"


def test_a_client_that_offers_protocols_is_served_by_none_of_them(
    tls_files: tuple[Path, ...],
) -> None:
    client = TLSClient("echo", tls_files)
    client.tls.set_alpn_protos([b"h2", b"http/1.1"])
    client.shake_hands()
    client.say(b"hello")
    assert client.text == b"hello"
    assert client.tls.get_alpn_proto_negotiated() == b""


def test_a_client_that_has_finished_sending_gets_its_answer_and_an_end(
    tls_files: tuple[Path, ...],
) -> None:
    client = TLSClient("wrap", tls_files)
    client.shake_hands()
    client.say(b"some words " * 1000)
    client.finish()
    assert b" ".join(client.text.split()) == (b"some words " * 1000).strip()
    assert client.ended
    assert client.is_closed


def test_a_client_that_does_not_read_costs_no_more_than_without_tls(
    tls_files: tuple[Path, ...],
) -> None:
    warm_up = TLSClient("echo", tls_files)
    warm_up.shake_hands()
    warm_up.say(b"hello")
    flood = b"x" * 65_536
    client = TLSClient("echo", tls_files)
    client.shake_hands()
    client.take(0)
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(64):
            client.say(flood)
        gc.collect()
        waiting = sum(map(len, client.socket.inbox))
        held = tracemalloc.get_traced_memory()[0] - waiting
    finally:
        tracemalloc.stop()
    assert waiting > 3_500_000
    assert held <= LIMIT, f"{held} bytes"
    client.take()
    client.carry()
    assert client.text == flood * 64


def test_a_client_that_takes_nothing_for_a_minute_is_cut_off(tls_files: tuple[Path, ...]) -> None:
    client = TLSClient("echo", tls_files)
    client.shake_hands()
    client.take(0)
    client.say(b"x" * 300_000)
    client.loop.advance(58)
    assert client.guard.sessions
    client.loop.advance(4)
    assert client.is_closed


def test_an_idle_client_is_closed_after_two_minutes(tls_files: tuple[Path, ...]) -> None:
    client = TLSClient("echo", tls_files)
    client.shake_hands()
    client.loop.advance(122)
    client.carry()
    assert client.ended


class Patient(Stream):
    """Has something to say, but not yet."""

    def finished(self) -> None:
        """Wait."""


def test_what_a_peer_sends_after_its_end_of_tls_is_not_kept(tls_files: tuple[Path, ...]) -> None:
    client = TLSClient(Kind(name="patient", doc="Waits.", stream=Patient), tls_files)
    client.shake_hands()
    client.finish()
    for _ in range(64):
        client.send(b"x" * 65_536)
    read = 64 * 65_536 - sum(map(len, client.socket.inbox))
    assert read <= LIMIT, f"{read} bytes"
    client.stream.write(b"at last")
    client.loop.advance(1)
    client.carry()
    assert client.text == b"at last"
    client.stream.close()
    client.loop.settle()
    assert client.is_closed
