"""Hosts of small networks are asked one by one, at a pace, and only what was asked is heard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from sockd.client.asking import Asking
from sockd.client.chat.sweep import (
    AT_ONCE,
    MOST_SWEPT,
    OF_ONE_SOCKET,
    RATE,
    Heard,
    Refused,
    Sweep,
    parts,
)
from sockd.client.errors import Unreachable
from sockd.client.net.interfaces import Interface, Own
from sockd.client.process import Run
from sockd.reactor.sockaddr import Address

CLASS_C = [f"192.0.2.{number}" for number in range(1, 255)]
WAIT = 1.0


def interface(*addresses: str, name: str = "eth0", is_up: bool = True) -> Interface:
    """One with these addresses, each with its prefix."""
    own = [
        Own(ip_address(one.partition("/")[0]), (), ip_network(one, strict=False))
        for one in addresses
    ]
    return Interface(name=name, index=2, is_up=is_up, addresses=tuple(own))


# which


def test_networks_of_24_bits_and_more_are_asked_our_own_address_among_them() -> None:
    [part] = parts([interface("192.0.2.9/24")])
    assert (part.device, part.hosts) == ("eth0", CLASS_C)
    [part] = parts([interface("192.0.2.9/30")])
    assert part.hosts == ["192.0.2.9", "192.0.2.10"]
    [part] = parts([interface("192.0.2.9/32")])
    assert part.hosts == ["192.0.2.9"]


@pytest.mark.parametrize(
    "one",
    [
        interface("192.0.2.9/23"),
        interface("10.0.0.1/8"),
        interface("2001:db8::1/120"),
        interface("192.0.2.9/24", is_up=False),
        Interface(
            name="lo", index=1, is_loopback=True, addresses=interface("127.0.0.1/24").addresses
        ),
        Interface(name="eth0", index=2, addresses=(Own(ip_address("192.0.2.9")),)),
    ],
)
def test_other_networks_are_not(one: Interface) -> None:
    assert parts([one]) == []


def test_a_network_with_two_of_our_addresses_is_asked_once() -> None:
    assert len(parts([interface("192.0.2.9/24", "192.0.2.10/24"), interface("192.0.2.11/24")])) == 1


def test_no_more_hosts_are_asked_than_the_table_of_neighbours_holds() -> None:
    many = [interface(f"10.0.{number}.1/24", name=f"eth{number}") for number in range(8)]
    asked = parts([*many, interface("192.0.2.1/30")])
    assert [part.device for part in asked] == ["eth0", "eth1", "eth2", "eth0"]
    assert sum(len(part.hosts) for part in asked) <= MOST_SWEPT < 1_024


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(8, 32)), max_size=20))
def test_whatever_networks_there_are_those_asked_are_small_and_not_too_many(
    networks: list[tuple[int, int]],
) -> None:
    known = [interface(f"{ip_address(number)}/{bits}") for number, bits in networks]
    asked = parts(known)
    assert sum(len(part.hosts) for part in asked) <= MOST_SWEPT
    assert all(part.network.prefixlen >= 24 for part in asked)
    assert len({part.network for part in asked}) == len(asked)


# how


@define(eq=False)
class Socket:
    """Keeps what it is to ask; a host that is unreachable is known at once."""

    scene: Scene
    heard: Heard
    refused: Refused
    asked: int = 0
    is_open: bool = True

    def ask(self, address: Address) -> None:
        if address[0] in self.scene.unreachable:
            raise Unreachable(f"cannot send to {address[0]}: no route")
        self.asked += 1
        self.scene.asked.append((self.scene.clock.seconds(), address))

    def close(self) -> None:
        self.is_open = False


@define(eq=False)
class Scene:
    """A sweep on a clock that is moved."""

    hosts: Sequence[str] = CLASS_C
    ports: Sequence[int] = (2027, 2029)
    unreachable: frozenset[str] = frozenset()
    clock: Clock = field(factory=Clock)
    asked: list[tuple[float, Address]] = field(factory=list)
    heard: list[tuple[str, int, bytes, int]] = field(factory=list)
    sockets: list[Socket] = field(factory=list)
    is_enough: bool = False
    is_over: bool = False
    cannot_open: bool = False
    sweep: Sweep = field()

    @sweep.default
    def _sweep(self) -> Sweep:
        run = Run(self.clock, Asking(), lambda _: None)
        run.monotonic_ns = lambda: round(self.clock.seconds() * 1e9)
        return Sweep(
            run, self.hosts, self.ports, b"hello", lambda *came: self.heard.append(came), self._make
        )

    def _make(
        self, run: Run, first: Address, question: bytes, heard: Heard, refused: Refused
    ) -> Socket:
        assert question == b"hello"
        if self.cannot_open:
            raise Unreachable("cannot open a socket: no more files")
        self.sockets.append(Socket(self, heard, refused))
        return self.sockets[-1]

    def start(self) -> Deferred[None]:
        task = Deferred.fromCoroutine(self.sweep.ask(WAIT, lambda: self.is_enough))

        def over(_: object) -> None:
            self.is_over = True

        return task.addBoth(over)

    def go(self, seconds: float) -> None:
        for _ in range(round(seconds * 1000)):
            self.clock.advance(0.001)

    def has_ended(self) -> bool:
        return self.is_over

    def is_closed(self) -> bool:
        return not (self.clock.getDelayedCalls() or any(one.is_open for one in self.sockets))


def test_each_host_is_asked_once_at_each_port_and_no_faster_than_it_may_be() -> None:
    scene = Scene()
    scene.start()
    while not scene.has_ended():
        scene.go(0.1)
    addresses = [address for _, address in scene.asked]
    assert addresses == [(host, port) for port in scene.ports for host in CLASS_C]
    times = [at for at, _ in scene.asked]
    assert max(Counter(times).values()) == AT_ONCE
    for number, at in enumerate(times):
        assert len([later for later in times[number:] if later < at + 1]) <= RATE + AT_ONCE
    # nor much slower
    assert times[-1] <= len(times) / RATE * 1.1
    assert scene.sweep.sent == len(times)
    assert scene.is_closed()


def test_no_socket_is_asked_to_hold_more_than_its_send_buffer_takes() -> None:
    """What waits for neighbours that are not there fills it: then nothing else would leave."""
    scene = Scene()
    scene.start()
    scene.go(5)
    assert [one.asked for one in scene.sockets] == [OF_ONE_SOCKET] * 5 + [8]


def test_answers_are_heard_until_a_moment_after_the_last_question_by_whichever_socket() -> None:
    scene = Scene(hosts=CLASS_C[:3], ports=(2027,))
    scene.start()
    scene.go(WAIT - 0.1)
    scene.sockets[0].heard("192.0.2.2", 2027, b"here")
    scene.go(0.09)
    assert not scene.has_ended()
    scene.go(0.1)
    assert scene.has_ended()
    assert scene.is_closed()
    [(host, port, data, rtt_ns)] = scene.heard
    assert (host, port, data) == ("192.0.2.2", 2027, b"here")
    assert rtt_ns == pytest.approx(9e8, rel=0.01)


def test_what_comes_from_who_was_not_asked_is_dropped() -> None:
    scene = Scene(hosts=CLASS_C[:3], ports=(2027,))
    scene.start()
    for host, port in (("192.0.2.9", 2027), ("192.0.2.2", 2029), ("192.0.2.2", 53)):
        scene.sockets[0].heard(host, port, b"here")
    assert scene.heard == []


def test_it_ends_as_soon_as_it_is_enough() -> None:
    scene = Scene()
    scene.start()
    scene.go(0.01)
    scene.is_enough = True
    scene.go(AT_ONCE / RATE)
    assert scene.has_ended()
    assert len(scene.asked) == AT_ONCE
    scene = Scene(hosts=CLASS_C[:3])
    scene.start()
    scene.is_enough = True
    scene.go(0.1)
    assert scene.has_ended()
    assert scene.is_closed()


def test_hosts_that_cannot_be_asked_are_passed_over_and_the_reason_is_kept() -> None:
    scene = Scene(hosts=CLASS_C[:5], ports=(2027,), unreachable=frozenset(CLASS_C[:2]))
    scene.start()
    assert [host for _, (host, _) in scene.asked] == CLASS_C[2:5]
    assert (scene.sweep.sent, str(scene.sweep.failure)) == (
        3,
        "cannot send to 192.0.2.2: no route",
    )


def test_where_nobody_can_be_asked_nobody_waits_for_answers() -> None:
    scene = Scene(hosts=CLASS_C[:5], unreachable=frozenset(CLASS_C))
    scene.start()
    scene.go(0.1)
    assert scene.has_ended()
    scene = Scene(cannot_open=True)
    scene.start()
    assert scene.has_ended()
    assert str(scene.sweep.failure) == "cannot open a socket: no more files"
    scene = Scene(hosts=())
    scene.start()
    assert scene.has_ended()
    assert scene.is_closed()


def test_hosts_without_a_server_are_counted_and_no_more_of_them_than_were_asked() -> None:
    scene = Scene(hosts=CLASS_C[:3])
    scene.start()
    for number in range(200):
        scene.sockets[0].refused(f"198.51.100.{number}")
    assert len(scene.sweep.refused) == 3


def test_a_sweep_that_is_ended_leaves_nothing() -> None:
    scene = Scene()
    task = scene.start()
    scene.go(0.6)
    task.cancel()
    assert scene.has_ended()
    assert scene.is_closed()
