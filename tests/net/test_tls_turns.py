"""What TLS may cost in a turn, in memory: records are decrypted by and by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trustme
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from sockd.net.states import Hold
from sockd.net.stream import Stream
from sockd.reactor.records import EMPTY_RECORDS, TURN_BYTES, TURN_RECORDS
from sockd.service import Kind
from tests.helpers import LogRecorder, until
from tests.memory import Loop
from tests.net.tls_clients import TLSClient, WireClient, factory_of, wrapped

Files = tuple[Path, ...]
MANY = 1000


class Ear(Protocol):
    """Notes what it hears, and in which passes of the loop."""

    def __init__(self) -> None:
        self.heard: list[list[bytes]] = [[]]
        self.why: list[object] = []

    def dataReceived(self, data: bytes) -> None:
        self.heard[-1].append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.why.append(type(reason.value))

    @property
    def text(self) -> bytes:
        return b"".join(b"".join(heard) for heard in self.heard)

    def count_passes(self, client: WireClient) -> None:
        """From now on, until nothing is left to be done."""
        while client.loop._turn():
            self.heard.append([])


def text_of(count: int) -> bytes:
    return bytes(at % 251 for at in range(count))


def test_a_turn_has_few_records_and_the_next_ones_come_in_order(tls_files: Files) -> None:
    client = wrapped(tls_files, ear := Ear())
    client.socket.inbox.append(client.said_in_records(text_of(MANY)))
    ear.count_passes(client)
    assert ear.text == text_of(MANY)
    assert max(map(len, ear.heard)) <= TURN_RECORDS
    assert client.is_read_from


def test_a_turn_has_few_bytes(tls_files: Files) -> None:
    client = wrapped(tls_files, ear := Ear())
    for _ in range(40):
        client.tls.send(bytes(16_384))
    wire = client.tls.bio_read(1 << 24)
    client.protocol.dataReceived(wire)  # more than a transport reads at a time
    ear.heard.append([])
    ear.count_passes(client)
    assert len(ear.text) == 40 * 16_384
    assert max(sum(map(len, heard)) for heard in ear.heard) <= TURN_BYTES + 16_384


def test_nothing_is_read_while_something_waits(tls_files: Files) -> None:
    client = wrapped(tls_files, ear := Ear())
    wire = client.said_in_records(text_of(MANY))
    client.socket.inbox += [wire, b"more"]
    client.loop._turn()
    assert list(client.socket.inbox) == [b"more"]
    assert 0 < len(ear.text) <= TURN_RECORDS
    assert not client.is_read_from


class Held(Stream):
    """Takes nothing more after the first byte, until it is told to."""

    heard = b""

    def received(self, data: bytes) -> None:
        self.heard += data
        if len(self.heard) == 1:
            self.hold(Hold.WORK)


HELD = Kind(name="held", doc="Takes little.", stream=Held)


def test_a_pause_stops_decryption_and_what_comes_afterwards_is_in_order(tls_files: Files) -> None:
    client = TLSClient(HELD, tls_files)
    client.shake_hands()
    client.send(client.said_in_records(text_of(MANY)))
    assert client.stream.heard == text_of(1)
    assert not client.is_read_from
    client.stream.release(Hold.WORK)
    client.loop.settle()
    assert client.stream.heard == text_of(MANY)
    assert client.is_read_from


def test_an_end_behind_what_waits_is_told_after_it(tls_files: Files) -> None:
    client = TLSClient(HELD, tls_files)
    client.shake_hands()
    wire = client.said_in_records(text_of(MANY))
    client.tls.shutdown()
    client.send(wire + client.tls.bio_read(1000))
    assert not client.stream.peer_finished
    client.stream.release(Hold.WORK)
    client.carry()
    assert client.stream.heard == text_of(MANY)
    assert client.is_closed


def test_tcps_end_behind_what_waits_is_told_after_it(tls_files: Files) -> None:
    """A transport that was paused may tell what it had heard before."""
    client = TLSClient(HELD, tls_files)
    client.shake_hands()
    client.send(client.said_in_records(text_of(MANY)))
    client.protocol.readConnectionLost()
    assert not client.stream.peer_finished
    client.stream.release(Hold.WORK)
    client.carry()
    assert client.stream.heard == text_of(MANY)
    assert client.is_closed


def test_a_connection_that_is_lost_in_a_turn_has_no_next(tls_files: Files) -> None:
    client = wrapped(tls_files, ear := Ear())
    client.socket.inbox.append(client.said_in_records(text_of(MANY)))
    client.loop._turn()
    client.vanish()
    assert len(ear.text) <= TURN_RECORDS
    assert client.loop.calls == []


class Faulty(Ear):
    """Fails in its second turn."""

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        if len(self.text) > TURN_RECORDS:
            raise ZeroDivisionError("by design")


def test_a_protocol_that_fails_in_a_later_turn_is_ended_as_in_the_first(
    tls_files: Files, log: LogRecorder
) -> None:
    client = wrapped(tls_files, faulty := Faulty())
    client.socket.inbox.append(client.said_in_records(text_of(MANY)))
    client.loop.settle()
    assert client.is_closed
    assert len(faulty.text) == TURN_RECORDS + 1
    assert faulty.why == [ZeroDivisionError]
    [fault] = log.flush_faults()
    assert fault["log_failure"].check(ZeroDivisionError)


class Slow(Ear):
    """Takes a millisecond for each record."""

    loop: Any

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        self.loop.rightNow += 0.001


def test_the_turns_of_all_connections_are_shared_out_over_the_passes(tls_files: Files) -> None:
    """Where a pass has spent its time, what comes is not decrypted in it."""
    loop = Loop()
    factory = factory_of(tls_files, loop)
    ears = [Slow() for _ in range(10)]
    clients = []
    for ear in ears:
        ear.loop = loop
        clients.append(WireClient(loop, factory.wrap(ear)))
        clients[-1].shake_hands()
    loop.settle()
    for client in clients:
        client.socket.inbox.append(client.said_in_records(text_of(100)))
    while any(len(ear.text) < 100 for ear in ears):
        before = sum(len(ear.text) for ear in ears)
        loop._turn()
        assert 0 < sum(len(ear.text) for ear in ears) - before <= 2 * TURN_RECORDS
    assert all(ear.text == text_of(100) for ear in ears)


# records of nothing


def test_records_of_nothing_are_few_or_the_peer_is_ended(
    tls_files: Files, log: LogRecorder
) -> None:
    client = TLSClient("echo", tls_files)
    client.shake_hands()
    writer = client.writer()
    client.send(b"".join(writer.key_update() for _ in range(EMPTY_RECORDS)))
    assert not client.socket.closed
    client.send(writer.key_update())
    assert client.is_closed
    [closed] = log.events("closed")
    assert closed["reason"].name == "tls_records"


@pytest.mark.parametrize("kind", ["empty", "update", "alert"])
def test_records_of_nothing_between_data_are_no_fault(kind: str, tls_files: Files) -> None:
    client = TLSClient("echo", tls_files)
    client.shake_hands()
    writer = client.writer()
    make: Any = {
        "empty": writer.data,
        "update": lambda: writer.key_update(requested=False),
        "alert": lambda: writer.alert(90),  # user_canceled
    }[kind]
    client.send(b"".join(make() + writer.data(b"x") for _ in range(3 * EMPTY_RECORDS)))
    client.carry()
    assert client.text == b"x" * 3 * EMPTY_RECORDS
    assert not client.is_closed


def test_answers_to_key_updates_that_nobody_takes_are_few(tls_files: Files) -> None:
    client = TLSClient("chargen", tls_files)
    client.take(20_000)  # it never ends to send
    client.shake_hands()
    writer = client.writer()
    client.send(b"".join(writer.key_update() + writer.data(b"x") for _ in range(500)))
    held = client.held
    for _ in range(20):
        client.send(b"".join(writer.key_update() + writer.data(b"x") for _ in range(500)))
    assert client.held - held < 100 * EMPTY_RECORDS
    assert not client.is_read_from
    client.loop.advance(62)
    assert client.is_closed


# flights


@pytest.fixture(scope="module")
def long_chain(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """110 certificates, whose flight is longer than 32 KiB."""
    folder = tmp_path_factory.mktemp("chain")
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    leaf = authority.issue_cert("localhost", key_type=trustme.KeyType.ECDSA)
    chain = b"".join(one.bytes() for one in leaf.cert_chain_pems)
    more = b"".join(trustme.CA().cert_pem.bytes() for _ in range(109))
    (folder / "cert.pem").write_bytes(chain + more)
    leaf.private_key_pem.write_to_path(folder / "key.pem")
    return folder / "cert.pem", folder / "key.pem"


def test_a_flight_is_sent_whole_however_long_it_is(long_chain: Files) -> None:
    client = TLSClient("echo", long_chain)
    client.shake_hands()
    assert len(client.received) > 2**15
    chain = client.tls.get_peer_cert_chain()
    assert chain is not None
    assert len(chain) == 110
    client.say(b"hello")
    assert client.text == b"hello"


# producers


class Pushing:
    """A push producer that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


def test_a_push_producer_is_told_what_the_peer_takes(tls_files: Files) -> None:
    client = wrapped(tls_files, Ear())
    client.protocol.registerProducer(pushing := Pushing(), True)
    client.take(0)
    client.protocol.write(bytes(100_000))
    client.loop.settle()
    assert pushing.told == ["pause"]
    client.take()
    assert pushing.told == ["pause", "resume"]
    client.vanish()
    assert pushing.told == ["pause", "resume", "stop"]


def test_an_end_waits_for_the_producer_and_nothing_is_read_meanwhile(tls_files: Files) -> None:
    client = wrapped(tls_files, ear := Ear())
    client.protocol.registerProducer(Pushing(), True)
    client.protocol.loseConnection()
    client.carry()
    assert (client.ended, client.is_read_from) == (False, False)
    client.protocol.write(b"the last")
    client.protocol.unregisterProducer()
    client.carry()
    assert (client.text, client.ended) == (b"the last", True)
    assert client.is_read_from  # the peer's end is waited for
    client.finish()
    assert client.is_closed
    assert ear.text == b""


class Pulling:
    """A pull producer of a long text, and a service that takes nothing while it is sent."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.left = 20

    def resumeProducing(self) -> None:
        """Twisted: one piece more."""
        self.left -= 1
        self.transport.write(bytes(1000))
        if not self.left:
            self.transport.unregisterProducer()

    def stopProducing(self) -> None:
        """Twisted: nobody takes it any more."""


async def test_who_pulls_and_ends_is_read_from_afterwards_only(tls_files: Files) -> None:
    client = wrapped(tls_files, ear := Ear())
    pulling = Pulling(client.protocol)
    client.protocol.registerProducer(pulling, False)
    client.protocol.loseConnection()
    assert not client.is_read_from
    await until(lambda: not pulling.left)
    client.carry()
    assert (len(client.text), client.ended) == (20_000, True)
    client.say(b"dropped")
    client.finish()
    assert client.is_closed
    assert ear.text == b""
