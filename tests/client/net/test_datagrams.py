"""The client's datagrams on the running reactor, over loopback and through socket files."""

from __future__ import annotations

import socket

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from sockd.client.errors import TimedOut, Unreachable, UsageFault
from sockd.client.net import sockets
from sockd.client.net.arrivals import Arrival, Came
from sockd.client.net.clocks import carried_over
from sockd.client.net.datagrams import (
    MOST_WAITING,
    open_group,
    open_host,
)
from sockd.reactor.clocks import ClockReading
from sockd.reactor.mmsg import BATCH
from sockd.reactor.sockaddr import Address
from tests.client.askers import BRIEFLY, FAMILIES, bounce, server, to
from tests.helpers import until
from tests.memory import REACTOR
from tests.processes import PATIENCE

# asking


@pytest.mark.parametrize(("family", "host"), FAMILIES)
@pytest_twisted.ensureDeferred
async def test_an_answer_has_the_time_of_its_coming_by_the_kernel(family: int, host: str) -> None:
    with server(family, host) as sock, to(sock) as datagrams:
        asked = Deferred.fromCoroutine(datagrams.ask(b"hello", wait=PATIENCE))
        bounce(sock)
        answer = await asked
    assert (answer.data, answer.address) == (b"hello", datagrams.address)
    assert answer.is_kernel
    assert answer.sent_ns is not None
    assert answer.rtt_ns is not None
    assert 0 < answer.rtt_ns < PATIENCE * 1e9
    assert datagrams.stamps_discarded == 0


@pytest.mark.parametrize(
    ("asked", "family", "host"),
    [
        ("0.0.0.0", socket.AF_INET, "127.0.0.1"),
        ("::", socket.AF_INET6, "::1"),
        ("::ffff:127.0.0.1", socket.AF_INET, "127.0.0.1"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_another_way_to_write_an_address_is_answered(
    asked: str, family: int, host: str
) -> None:
    with server(family, host) as sock:
        datagrams = open_host(REACTOR, (asked, sock.getsockname()[1]))
        asking = Deferred.fromCoroutine(datagrams.ask(b"hello", wait=PATIENCE))
        bounce(sock)
        assert (await asking).address == datagrams.address == sock.getsockname()[:2]
        datagrams.close()


def test_who_is_handed_what_waits_may_close_the_socket() -> None:
    came: list[Came] = []
    with server() as sock, to(sock) as datagrams:

        def take(batch: list[Came], _: ClockReading) -> None:
            came.extend(batch)
            datagrams.close()

        datagrams.on_batch = take
        datagrams.send(b"hello")
        bounce(sock)
        while not came:
            datagrams.read_now()
        datagrams.read_now()
    assert [data for data, *_ in came] == [b"hello"]


@pytest_twisted.ensureDeferred
async def test_silence_is_asked_again_and_then_is_a_timeout() -> None:
    with server() as sock, to(sock) as datagrams:
        with pytest.raises(TimedOut, match=r"^no answer from 127\.0\.0\.1:\d+ within 0\.15 s$"):
            await datagrams.ask(b"hello", wait=BRIEFLY, retries=2)
        assert [sock.recv(100) for _ in range(3)] == [b"hello"] * 3
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(100)


@pytest_twisted.ensureDeferred
async def test_the_answer_to_one_of_several_tries_has_no_round_trip() -> None:
    with server() as sock, to(sock) as datagrams:
        asked = Deferred.fromCoroutine(datagrams.ask(b"hello", wait=BRIEFLY, retries=1000))
        heard: list[bytes] = []

        def two_have_come() -> bool:
            sock.setblocking(False)
            try:
                data, asker = sock.recvfrom(100)
            except BlockingIOError:
                return False
            heard.append(data)
            if len(heard) > 1:
                sock.sendto(data, asker)
            return len(heard) > 1

        await until(two_have_come)
        answer = await asked
    assert answer.attempt > 1
    assert answer.rtt_ns is None


@pytest_twisted.ensureDeferred
async def test_what_is_no_answer_is_passed_over_and_counted() -> None:
    with server() as sock, server() as other, to(sock) as datagrams:
        asked = Deferred.fromCoroutine(
            datagrams.ask(b"hello", wait=PATIENCE, matches=lambda answer: answer.data == b"right")
        )
        _, asker = sock.recvfrom(100)
        other.sendto(b"right", asker)
        await until(lambda: datagrams.strangers)
        sock.sendto(b"wrong", asker)
        sock.sendto(b"right", asker)
        assert (await asked).data == b"right"
        assert (datagrams.wrong, datagrams.strangers) == (2, 1)
        assert datagrams.stranger == other.getsockname()


@pytest_twisted.ensureDeferred
async def test_an_answer_from_another_address_is_named_at_the_timeout() -> None:
    with server() as sock, server(host="127.0.0.2") as other, to(sock) as datagrams:
        asked = Deferred.fromCoroutine(datagrams.ask(b"hello", wait=1.0))
        _, asker = sock.recvfrom(100)
        other.sendto(b"hello", asker)
        with pytest.raises(TimedOut, match=r"but 127\.0\.0\.2:\d+ sent something, which was not"):
            await asked


@pytest_twisted.ensureDeferred
async def test_what_came_before_it_was_asked_is_no_answer() -> None:
    with server() as sock, to(sock) as datagrams:
        datagrams.send(b"first")
        _, asker = sock.recvfrom(100)
        sock.sendto(b"too many", asker)
        await until(lambda: datagrams._inbox)
        asked = Deferred.fromCoroutine(datagrams.ask(b"second", wait=PATIENCE))
        bounce(sock)
        assert (await asked).data == b"second"


@pytest_twisted.ensureDeferred
async def test_what_waits_for_receive_is_bounded_and_the_rest_is_our_own_loss() -> None:
    with server() as sock, to(sock) as datagrams:
        datagrams.send(b"")
        _, asker = sock.recvfrom(100)
        for _ in range(MOST_WAITING + 3):
            sock.sendto(b"a", asker)
        await until(lambda: datagrams.own_losses == 3)
        assert len(datagrams._inbox) == MOST_WAITING


@pytest_twisted.ensureDeferred
async def test_who_waits_is_told_of_the_end() -> None:
    with server() as sock, to(sock) as datagrams:
        waits = Deferred.fromCoroutine(datagrams.receive(PATIENCE))
        datagrams.close()
        with pytest.raises(Unreachable, match="was closed"):
            await waits
        with pytest.raises(Unreachable, match="is closed"):
            datagrams.send(b"")
        with pytest.raises(Unreachable, match="is closed"):
            await datagrams.receive()


@pytest_twisted.ensureDeferred
async def test_each_datagram_can_be_seen_on_its_way() -> None:
    with server() as sock, to(sock) as datagrams:
        seen: list[tuple[str, bytes, Address]] = []
        datagrams.on_send = lambda data, address: seen.append((">", data, address))
        datagrams.on_receive = lambda data, address: seen.append(("<", data, address))
        asked = Deferred.fromCoroutine(datagrams.ask(b"hello", wait=PATIENCE))
        bounce(sock)
        await asked
        there = sock.getsockname()
    assert seen == [(">", b"hello", there), ("<", b"hello", there)]


# batches


@pytest.mark.parametrize(("family", "host"), FAMILIES)
@pytest_twisted.ensureDeferred
async def test_batches_come_with_stamps_that_both_clocks_fit(family: int, host: str) -> None:
    came: list[tuple[Came, ClockReading]] = []

    def on_batch(batch: list[Came], clocks: ClockReading) -> None:
        came.extend((one, clocks) for one in batch)

    with server(family, host) as sock, to(sock, on_batch=on_batch) as datagrams:
        sent = datagrams.send_batch([b"%d" % number for number in range(BATCH)])
        assert sent.refused == ()
        for _ in range(BATCH):
            bounce(sock)
        await until(lambda: len(came) == BATCH)
        assert {one[1] for one, _ in came} == {datagrams.address}
    assert [one[0] for one, _ in came] == [b"%d" % number for number in range(BATCH)]
    for (_, _, stamp, interface, destination), clocks in came:
        assert stamp is not None
        at_ns = carried_over(stamp, clocks.offset_ns, sent.at_ns, clocks.monotonic_ns)
        assert at_ns is not None
        assert (interface, destination) == (None, None)


def test_more_than_a_batch_is_refused() -> None:
    with server() as sock, to(sock) as datagrams, pytest.raises(ValueError, match="more than 32"):
        datagrams.send_batch([b""] * (BATCH + 1))


@pytest_twisted.ensureDeferred
async def test_a_full_receive_queue_is_our_own_loss() -> None:
    came: list[Came] = []
    with server() as sock, to(sock, on_batch=lambda batch, _: came.extend(batch)) as datagrams:
        assert datagrams.own_losses == 0
        datagrams.send(b"")
        _, asker = sock.recvfrom(100)
        sent = 0
        while not datagrams.own_losses:  # the reactor stands still meanwhile
            assert sent < 10_000
            sock.sendto(bytes(60_000), asker)
            sent += 1
        await until(lambda: len(came) + datagrams.own_losses == sent)
        lost = datagrams.own_losses
        datagrams.close()
        assert datagrams.own_losses == lost


def test_it_is_known_what_the_kernel_gave_to_receive() -> None:
    with server() as sock, to(sock) as datagrams:
        given = datagrams.opened.sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
        assert datagrams.receive_buffer == given > 0


@pytest_twisted.ensureDeferred
async def test_two_that_ask_the_same_server_have_ports_of_their_own() -> None:
    with server() as sock, to(sock) as one, to(sock) as other:
        ports = {each.opened.sock.getsockname()[1] for each in (one, other)}
        assert len(ports) == 2
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                thief.bind(one.opened.sock.getsockname())


# what cannot be meant


@pytest.mark.parametrize(
    ("address", "interface", "why"),
    [
        (("127.0.0.1", 0), "", "0 is no port"),
        (("127.0.0.1", 65_536), "", "65536 is no port"),
        (("localhost", 7), "", "localhost is no address"),
        (("127.0.0.1", 7), "lx", "-I lx: there is no such interface"),
        (("fe80::1%nothere", 7), "", "there is no interface nothere"),
    ],
)
def test_what_cannot_be_sent_to_is_a_usage_fault(
    address: Address, interface: str, why: str
) -> None:
    with pytest.raises(UsageFault, match=why):
        open_host(REACTOR, address, interface=interface)


def test_only_a_group_can_be_heard() -> None:
    with pytest.raises(UsageFault, match="no address of a multicast group"):
        open_group(REACTOR, ("127.0.0.1", 7))


def test_an_interface_can_be_asked_for_by_name_or_address() -> None:
    for interface, source in [("lo", "127.0.0.1"), ("127.0.0.5", "127.0.0.5")]:
        with server() as sock, to(sock, interface=interface) as datagrams:
            datagrams.send(b"hello")
            assert sock.recvfrom(100)[1][0] == source
            assert datagrams.opened.source == source


def test_a_kernel_that_knows_no_count_of_drops_has_none() -> None:
    left, right = socket.socketpair()
    with left, right:
        right.close()
        left.close()
        assert sockets.drops(left) == 0


def test_an_arrival_that_was_not_asked_for_has_no_round_trip() -> None:
    assert Arrival(data=b"", address=("", 0), at_ns=1, is_kernel=False).rtt_ns is None
