"""Servers are found by the last one's address, by broadcasts, and host by host, in that order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_network

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from sockd.client.asking import Asking
from sockd.client.chat.find import (
    CHAT_PORTS,
    OTHERS_WAIT,
    SWEEP_WAIT,
    WAIT,
    Search,
    questions,
)
from sockd.client.chat.servers import Server
from sockd.client.chat.sweep import AT_ONCE, RATE, Heard, Refused
from sockd.client.errors import ClientError, UsageFault
from sockd.client.lan.calling import AGAIN_AFTER, Reply
from sockd.client.lan.discovery import Place, Way
from sockd.client.lan.proofs import Question, chat_hello
from sockd.client.net.interfaces import Interface, Own
from sockd.client.process import Run
from sockd.client.report import Stamp
from sockd.reactor.sockaddr import Address
from tests.client.chat.hellos import BETA, GAMMA, PLEASE, TOKEN, asked_nonce, welcome

LO = Interface(name="lo", index=1, is_loopback=True, addresses=(Own(ip_address("127.0.0.1")),))
ETH = Interface(
    name="eth0",
    index=2,
    can_broadcast=True,
    can_multicast=True,
    addresses=(
        Own(ip_address("192.0.2.7"), ("192.0.2.15",), ip_network("192.0.2.0/28")),
        Own(ip_address("fe80::7"), (), ip_network("fe80::/64")),
    ),
)
NOBODY_TO_SWEEP = Interface(
    name="eth1",
    index=3,
    can_broadcast=True,
    addresses=(
        Own(ip_address("198.51.100.7"), ("198.51.101.255",), ip_network("198.51.100.0/23")),
    ),
)


def test_a_hello_is_asked_at_each_port_with_a_nonce_that_follows_from_the_token() -> None:
    assert [one.port for one in questions()] == [2027, 2029]
    assert all(one.request(TOKEN) == chat_hello(TOKEN) for one in questions())
    assert asked_nonce(chat_hello(TOKEN)) != asked_nonce(chat_hello(b"another"))


# one search, on a clock


@define(eq=False)
class Asker:
    """Asks nobody, keeps what it would have asked when, and answers as it is told."""

    run: Run
    place: Place
    questions: Sequence[Question]
    tokens: Sequence[bytes]
    replied: Callable[[Reply], None]
    failure: ClientError | None = None
    has_sent: bool = True
    asked: list[tuple[float, int]] = field(factory=list)
    is_open: bool = True

    def ask(self, question: Question, attempt: int) -> None:
        self.asked.append((self.run.reactor.seconds(), question.port))

    def close(self) -> None:
        self.is_open = False

    def answer(self, host: str, data: bytes, port: int = 2027) -> None:
        assert self.is_open
        question = next(one for one in self.questions if one.port == port)
        reply = Reply(
            address=host,
            port=port,
            data=data,
            place=self.place,
            question=question,
            is_proof=any(question.proof(token, data) for token in self.tokens),
            attempt=1,
            rtt_ns=1,
            stamp=Stamp.USER,
        )
        self.replied(reply)


@define(eq=False)
class Socket:
    """The same for who is asked alone."""

    scene: Scene
    question: bytes
    heard: Heard
    is_open: bool = True

    def ask(self, address: Address) -> None:
        self.scene.swept.append((self.scene.clock.seconds(), address))
        for host, data in self.scene.there.items():
            if host == address[0]:
                self.heard(*address, data)

    def close(self) -> None:
        self.is_open = False


@define(eq=False)
class Scene:
    """A search for a server, on a clock that is moved."""

    known: Sequence[Interface] = (LO, ETH)
    asking: Asking = field(factory=Asking)
    clock: Clock = field(factory=Clock)
    askers: list[Asker] = field(factory=list)
    sockets: list[Socket] = field(factory=list)
    swept: list[tuple[float, Address]] = field(factory=list)
    there: dict[str, bytes] = field(factory=dict)
    """What hosts say that are asked alone."""
    told: list[str] = field(factory=list)
    result: list[list[Server]] = field(factory=list)
    search: Search = field()

    @search.default
    def _search(self) -> Search:
        run = Run(self.clock, self.asking, lambda _: None)
        run.monotonic_ns = lambda: round(self.clock.seconds() * 1e9)
        return Search(
            run,
            self.told.append,
            lambda: TOKEN,
            known=lambda: self.known,
            make=self._asker,
            make_socket=self._socket,
        )

    def _asker(
        self,
        run: Run,
        place: Place,
        asked: Sequence[Question],
        tokens: Sequence[bytes],
        replied: Callable[[Reply], None],
    ) -> Asker:
        self.askers.append(Asker(run, place, asked, tokens, replied))
        return self.askers[-1]

    def _socket(
        self, run: Run, first: Address, question: bytes, heard: Heard, _: Refused
    ) -> Socket:
        self.sockets.append(Socket(self, question, heard))
        return self.sockets[-1]

    def start(self, last: Server | None = None) -> Deferred[None]:
        task = Deferred.fromCoroutine(self.search.find(last))
        return task.addCallback(self.result.append)

    def go(self, seconds: float) -> None:
        """Let time pass, little by little."""
        for _ in range(round(seconds * 1000)):
            self.clock.advance(0.001)

    def asker(self, way: Way) -> Asker:
        return next(one for one in self.askers if one.place.way is way)

    def is_closed(self) -> bool:
        left = self.clock.getDelayedCalls()
        is_any_open = any(one.is_open for one in self.askers) or any(
            one.is_open for one in self.sockets
        )
        return not (left or is_any_open)


def test_this_host_broadcasts_and_groups_of_both_families_are_asked_at_once_and_again() -> None:
    scene = Scene()
    scene.start()
    scene.go(WAIT / 2)
    assert [one.place for one in scene.askers] == [
        Place(Way.LOOPBACK, "127.0.0.1", "", "lo"),
        Place(Way.BROADCAST, "192.0.2.15", "eth0", "eth0"),
        Place(Way.BROADCAST, "255.255.255.255", "eth0", "eth0"),
        Place(Way.MULTICAST, "224.0.0.1", "eth0", "eth0"),
        Place(Way.MULTICAST, "ff02::1%2", "eth0", "eth0"),
    ]
    for one in scene.askers:
        first, again = [at for at, port in one.asked if port == 2027]
        assert first < 0.1
        assert AGAIN_AFTER <= again < AGAIN_AFTER + 0.1
        assert [port for _, port in one.asked] == [2027, 2029, 2027, 2029]
    assert scene.told == ["looking for a server on lo, eth0"]


def test_the_first_who_answers_is_taken_and_those_who_follow_soon_are_named() -> None:
    scene = Scene()
    scene.start()
    scene.go(1)
    asker = scene.asker(Way.BROADCAST)
    asker.answer("192.0.2.2", welcome())
    scene.go(OTHERS_WAIT / 2)
    asker.answer("192.0.2.3", PLEASE)
    assert not scene.result
    scene.go(OTHERS_WAIT)
    assert scene.result == [
        [Server("192.0.2.2", 2027, "beta", True, BETA), Server("192.0.2.3", 2027)]
    ]
    assert scene.is_closed()
    assert not scene.swept


def test_what_is_no_answer_ends_no_search() -> None:
    scene = Scene()
    scene.start()
    scene.asker(Way.BROADCAST).answer("192.0.2.2", welcome(token=b"another"))
    scene.go(WAIT - 0.1)
    assert not scene.result
    assert not scene.swept


def test_the_last_server_is_asked_before_all_others_and_waits_for_nobody() -> None:
    scene = Scene()
    scene.start(Server("203.0.113.9", 4000))
    last = scene.asker(Way.UNICAST)
    assert last.place.address == "203.0.113.9"
    assert last.asked[0] == (0.0, 4000)
    assert [one.asked[0][0] for one in scene.askers] == [0.0] * len(scene.askers)
    assert scene.told[0] == "looking for a server at 203.0.113.9:4000, or on lo, eth0"
    last.answer("203.0.113.9", PLEASE, 4000)
    scene.go(OTHERS_WAIT + 0.01)
    assert scene.result == [[Server("203.0.113.9", 4000)]]
    assert scene.is_closed()


def test_the_last_server_is_taken_though_another_one_is_quicker_by_a_moment() -> None:
    scene = Scene()
    last = Server("192.0.2.99", 2027, "beta", True, BETA)  # it has another address now
    scene.start(last)
    asker = scene.asker(Way.BROADCAST)
    asker.answer("192.0.2.3", welcome(GAMMA, "gamma"))
    scene.go(OTHERS_WAIT - 0.1)
    asker.answer("192.0.2.2", welcome())
    scene.go(0.2)
    assert [str(one) for one in scene.result[0]] == [
        "beta (192.0.2.2:2027)",
        "gamma (192.0.2.3:2027)",
    ]


def test_after_three_seconds_without_an_answer_each_host_of_small_networks_is_asked() -> None:
    scene = Scene(known=(LO, ETH, NOBODY_TO_SWEEP))
    scene.start()
    scene.go(WAIT - 0.01)
    assert not scene.swept
    scene.go(1)
    asked = [address for _, address in scene.swept]
    assert asked == [(f"192.0.2.{number}", port) for port in CHAT_PORTS for number in range(1, 15)]
    assert scene.told[1] == "nobody answers broadcasts: asking 14 addresses one by one"
    scene.go(SWEEP_WAIT)
    assert scene.result == [[]]
    assert scene.is_closed()


def test_a_sweep_ends_with_the_first_who_answers() -> None:
    big = Own(ip_address("192.0.2.7"), ("192.0.2.255",), ip_network("192.0.2.0/24"))
    eth = Interface(name="eth0", index=2, can_broadcast=True, addresses=(big,))
    scene = Scene(known=(eth,), there={"192.0.2.20": welcome()})
    scene.start()
    scene.go(WAIT + 2 * AT_ONCE / RATE + 0.01)
    assert scene.result == [[Server("192.0.2.20", 2027, "beta", True, BETA)]]
    assert len(scene.swept) <= 30
    assert scene.is_closed()


def test_what_answers_broadcasts_late_is_found_while_hosts_are_asked() -> None:
    scene = Scene()
    scene.start()
    scene.go(WAIT + 0.1)
    scene.asker(Way.BROADCAST).answer("192.0.2.2", PLEASE)
    scene.go(0.2)
    assert scene.result == [[Server("192.0.2.2", 2027)]]


def test_forged_answers_of_hosts_that_are_asked_alone_are_dropped() -> None:
    scene = Scene(there={"192.0.2.3": welcome(token=b"another"), "192.0.2.4": b"\x00"})
    scene.start()
    scene.go(WAIT + 1 + SWEEP_WAIT)
    assert scene.result == [[]]


@pytest.mark.parametrize(
    ("asking", "devices", "is_swept"),
    [
        (Asking(interface="eth0"), {"eth0"}, True),
        (Asking(interface="eth1"), {"eth1"}, False),
        (Asking(interface="192.0.2.7"), {"eth0"}, True),
        (Asking(family=6), {"eth0"}, False),
        (Asking(family=4), {"lo", "eth0", "eth1"}, True),
    ],
)
def test_only_what_is_meant_is_asked(asking: Asking, devices: set[str], is_swept: bool) -> None:
    scene = Scene(known=(LO, ETH, NOBODY_TO_SWEEP), asking=asking)
    scene.start()
    scene.go(WAIT + 1 + SWEEP_WAIT)
    assert {one.place.device for one in scene.askers} == devices
    assert bool(scene.swept) is is_swept
    assert scene.result == [[]]


def test_an_interface_that_is_none_is_refused() -> None:
    scene = Scene(asking=Asking(interface="eth9"))
    failures: list[Failure] = []
    scene.start().addErrback(failures.append)
    [failure] = failures
    assert failure.check(UsageFault)


def test_without_any_interface_nobody_waits() -> None:
    scene = Scene(known=())
    scene.start()
    assert scene.result == [[]]
    assert scene.told == ["no interface is up that a server could be looked for on"]


def test_a_search_that_is_ended_leaves_nothing() -> None:
    for seconds in (1.0, WAIT + 0.02):
        scene = Scene()
        task = scene.start()
        task.addErrback(lambda _: None)
        scene.go(seconds)
        task.cancel()
        assert scene.is_closed()


def test_hosts_of_networks_with_a_cable_are_asked_first_then_those_of_a_vpn() -> None:
    """They are told by their names, as sysfs knows none of them."""
    own = [
        Own(ip_address(f"10.0.{number}.1"), (), ip_network(f"10.0.{number}.0/30"))
        for number in range(3)
    ]
    known = [
        Interface(name=name, index=number, can_multicast=True, addresses=(own[number],))
        for number, name in enumerate(("docker77", "wg77", "eth77"))
    ]
    scene = Scene(known=known)
    scene.start()
    scene.go(WAIT + 2)
    order = list(dict.fromkeys(address[0][:6] for _, address in scene.swept))
    assert order == ["10.0.2", "10.0.1", "10.0.0"]
