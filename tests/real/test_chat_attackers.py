"""Attackers of the chat, on the link and behind a router: what they get for 10,000 datagrams."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from sockd.formats.chat import trailer
from sockd.formats.chat.events import Code, pack, unpack
from sockd.formats.chat.hello import Hello
from sockd.formats.chat.session import Open
from tests.daemons import socket_on
from tests.real.chatnet import (
    CHAT,
    SERVER,
    Net,
    Packet,
    Talker,
    Tap,
    all_join,
    net,
    talking,
    tell,
    way_out,
)
from tests.real.forging import HEADERS, Address, Forger, Watched, forged, size, watched

WEATHER = "225.1.0.2"
ROUTER = "10.79.1.254"
CONFIG = (
    CHAT
    + """
[service.strict]
kind = "chat"
listen = ["udp:3027:interface=*"]
state = "${RUNTIME}/strict.state"
strict = true
"""
)
COMMANDS = [
    (Code.LOGIN_REQ, b"evil"),
    (Code.LOGOFF, b"anna"),
    (Code.SEND_PUBLIC, b"I am a fool"),
    (Code.SEND_PRIVATE, b"bert I am a fool"),
    *[(Code.JOIN_REQ, b"Pets")] * 100,
    (Code.PART_REQ, b"Weather"),
    (Code.STILL_HERE, b""),
    *[(Code.LIST_CHANNELS, b""), (Code.LIST_USERS, b"")] * 5_000,
]
"""What is forged: 100 joins and 10,000 lists among it."""


@pytest.fixture(scope="module")
def lan() -> Iterator[Net]:
    """Behind the router there is all the rest of the world, where every address may be."""
    with net() as made:
        way_out(made.router, "10.79.2.2")
        yield made


@pytest.fixture(scope="module")
def server(lan: Net, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watched(tmp_path_factory.mktemp("chat"), CONFIG, lan.server) as made:
        yield made


@pytest.fixture(scope="module")
def wire(lan: Net, server: Watched) -> Iterator[Tap]:
    """What goes to and from the server."""
    with Tap(lan.switch, "server") as made:
        yield made


@pytest.fixture(scope="module")
def cable(lan: Net) -> Iterator[Tap]:
    """What goes to and from anna."""
    with Tap(lan.switch, "anna") as made:
        yield made


@pytest.fixture(scope="module")
def users(
    lan: Net, wire: Tap, cable: Tap, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Talker]]:
    """New clients at two doors, and one behind the router, where no old client is served."""
    home = tmp_path_factory.mktemp("homes")
    with ExitStack() as stack:
        made = [
            stack.enter_context(talking(host, name, home, to))
            for host, name, to in (
                (lan.anna, "anna", SERVER),
                (lan.bert, "bert", SERVER),
                (lan.bert, "gina", f"{SERVER}:2029"),
                (lan.far, "fred", SERVER),
            )
        ]
        all_join(made, "Weather")
        yield made


def address_of(server: Watched, nickname: str) -> Address:
    host, port = server.state().users[nickname][0].strip("()").split(", ")
    return host.strip("'"), int(port)


def from_server(wire: Tap, host: str = "") -> list[Packet]:
    """What has left it since the last time, to a host or to all."""
    return [one for one in wire.read() if one.source == SERVER and host in (one.to, "")]


def signed(cable: Tap) -> list[bytes]:
    """What anna has sent to the server so far, with trailers."""
    cable.read()
    return [one.data for one in cable.seen if not one.is_out and trailer.signed(one.data)]


def unharmed(users: list[Talker], text: str) -> None:
    """All hear each other, and nobody has heard what was forged."""
    for one in users:
        one.says(f"{one.nickname} {text}")
    for one, other in itertools.product(users, users):
        one.hears("Weather", other.nickname, f"{other.nickname} {text}")
        assert one.lines.count(f"[Weather] {other.nickname}: {other.nickname} {text}") == 1
        assert "fool" not in one.child.text()
        assert "evil" not in one.child.text()
        assert "you have left" not in one.child.text()


def test_on_the_link_nothing_forged_in_the_name_of_a_new_client_has_an_effect(
    lan: Net, server: Watched, wire: Tap, cable: Tap, users: list[Talker]
) -> None:
    """Not by an old client's events, not with the session's right number and a wrong MAC."""
    anna = address_of(server, "anna")
    session = trailer.signed(signed(cable)[-1])
    assert session is not None
    before = server.state()
    from_server(wire)
    with Forger(lan.carl) as forger:
        plain = forger.flood((anna, pack(*one)) for one in COMMANDS)
        assert not from_server(wire, anna[0])
        wrong = forger.flood(
            (anna, forged(session.session, session.number + number, *one))
            for number, one in enumerate(COMMANDS, 1)
        )
        wrong += forger.flood(
            (forger.own, forged(session.session, session.number + number, *one))
            for number, one in enumerate(COMMANDS[:104], 1)
        )
        assert not from_server(wire, anna[0])
    after = server.counted(before, plain + wrong, "unsigned", "forged")
    new = after.since(before)
    tell(f"forged for a new client on the link: {new['unsigned']} plain, {new['forged']} signed")
    assert (new["unsigned"], new["forged"]) == (plain, wrong)
    assert after.users == before.users
    unharmed(users, "is well")


def test_what_a_new_client_has_sent_is_not_taken_again_from_anywhere(
    lan: Net, server: Watched, wire: Tap, cable: Tap, users: list[Talker]
) -> None:
    anna = address_of(server, "anna")
    users[0].says("once in a lifetime")
    for one in users:
        one.hears("Weather", "anna", "once in a lifetime")
    recorded = [one for one in signed(cable) if one[:2] != pack(Code.OPEN)]
    before = server.state()
    with Forger(lan.carl) as forger:
        again = forger.flood((anna, one) for one in recorded * 50)
        elsewhere = forger.flood((forger.own, one) for one in recorded * 50)
    after = server.counted(before, again + elsewhere, "double", "old", "forged")
    new = after.since(before)
    tell(f"replayed: {again} from the same address, {elsewhere} from another: {new}")
    assert new.get("double", 0) + new.get("old", 0) == again
    assert new["forged"] == elsewhere
    assert after.users == before.users
    unharmed(users, "is heard")
    for one in users:
        assert one.lines.count("[Weather] anna: once in a lifetime") == 1


def test_a_nickname_is_not_had_by_a_guess_nor_by_who_is_proven_elsewhere(
    lan: Net, server: Watched, wire: Tap, cable: Tap, users: list[Talker]
) -> None:
    """Cookies are guessed for anna's address and for ours; then one is good, and the MAC is not."""
    anna = address_of(server, "anna")
    session = trailer.signed(signed(cable)[-1])
    assert session is not None
    before = server.state()
    with Forger(lan.carl) as forger:
        from_server(wire)
        guesses = [
            Open(b"anna", number.to_bytes(16, "big"), b"n" * 8).write() for number in range(2_000)
        ]
        forger.flood((source, one) for one in guesses for source in (anna, forger.own))
        welcome = forger.wait()
        good = Open(b"anna", welcome.cookie, welcome.nonce).write()
        bad = trailer.sign(good, session.session, 9_999, b"k" * trailer.KEY_BYTES)
        forger.flood((forger.own, one) for one in (good, bad))
        there = from_server(wire, forger.own[0])
        told = {one.code for one in there}
        assert told == {Code.ERROR, Code.WELCOME}
        assert size(from_server(wire)) <= 3 * forger.sent
    after = server.state()
    assert after.users == before.users
    unharmed(users, "is anna still")


def test_what_is_forged_in_the_name_of_the_server_is_not_shown(
    lan: Net, server: Watched, users: list[Talker]
) -> None:
    anna = address_of(server, "anna")
    with Forger(lan.carl) as forger:
        for code, text in (
            (Code.ERROR, b"evil"),
            (Code.LOGOFF, b"evil"),
            (Code.PUBLIC_MSG, b"Weather bert I am a fool"),
            (Code.PRIVATE_MSG, b"bert I am a fool"),
            (Code.USER_JOINS, b"Weather evil"),
            (Code.PART_ACK, b"Weather 1 evil"),
            (Code.LOGIN_ACK, b"evil"),
        ):
            for data in (pack(code, text), forged(b"sessions", 1, code, text)):
                for _ in range(100):
                    forger.send((SERVER, 2027), data, anna)
                    forger.send((SERVER, 2029), data, (WEATHER, 2028))
    unharmed(users, "knows the server")


def test_who_forges_off_the_link_gets_one_error_and_moves_nothing(
    lan: Net, server: Watched, wire: Tap, cable: Tap, users: list[Talker]
) -> None:
    """Under a hundred addresses of one network; and under addresses of the link, which the router
    does not let through."""
    anna = address_of(server, "anna")
    before = server.state()
    from_server(wire)
    with Forger(lan.far) as forger:
        sources = itertools.cycle([(f"10.99.7.{number}", 4_000 + number) for number in range(100)])
        count = forger.flood((next(sources), pack(*one)) for one in COMMANDS)
        guesses = (Open(b"eve", bytes([one] * 16), b"n" * 8).write() for one in range(100))
        count += forger.flood((next(sources), one) for one in guesses)
        forger.flood((anna, pack(*one)) for one in COMMANDS[:104])
        forger.flood(((SERVER, 2027), pack(*one)) for one in COMMANDS[:104])
    after = server.counted(before, count - 1, "stranger")
    out = [one for one in from_server(wire) if one.to.startswith("10.99.")]
    new = after.since(before)
    tell(f"{count} forged off the link: {len(out)} answer of {size(out)} bytes, counted {new}")
    assert [one.code for one in out] == [Code.ERROR]
    assert new["stranger"] == count - 1
    assert "unsigned" not in new
    assert after.users == before.users
    unharmed(users, "is far from it")


def test_whoever_is_not_proven_is_sent_at_most_three_times_what_came(
    lan: Net, server: Watched, wire: Tap
) -> None:
    """All codes, short and long, from an address each, by all doors; and hellos by the thousand."""
    texts = (b"", b"x", b"\n", b"a" * 32, b"a" * 900, b"HELLO 1 0123456789abcdef ")
    worst = 0.0
    for port in (2027, 2029, 3027):
        with Forger(lan.carl, port) as forger:
            from_server(wire)
            places = {}
            number = itertools.count(10_000)
            for code in (*range(0, 260, 10), *range(1_000, 1_070, 10), 65_535):
                for text in texts:
                    places[next(number)] = pack(code, text)
            places[next(number)] = b""
            places[next(number)] = b"\0"
            forger.flood(((ROUTER, port), data) for port, data in places.items())
            out: dict[int, int] = {}
            for one in from_server(wire, ROUTER):
                out[one.port] = out.get(one.port, 0) + one.size
            shares = [size / (HEADERS + len(places[port])) for port, size in out.items()]
            worst = max(worst, *shares)
    tell(f"most bytes out for one in, not proven: {worst:.2f}")
    assert worst <= 3
    before = server.state()
    with Forger(lan.far) as forger:
        hellos = ((f"10.{n % 50 + 100}.{n % 250}.9", 5_000 + n) for n in range(5_000))
        forger.flood((source, Hello(bytes(8)).write()) for source in hellos)
        out_bytes = size(one for one in from_server(wire) if one.code == Code.WELCOME)
        tell(f"5000 hellos: {forger.sent} bytes in, {out_bytes} out")
        assert out_bytes <= forger.sent
    assert server.state().users.keys() == before.users.keys()


# old clients


def test_what_the_network_says_of_who_is_gone_closes_no_door(
    lan: Net, server: Watched, users: list[Talker]
) -> None:
    """Nobody is at the addresses that ask: each answer brings an error."""
    for port in (2027, 2029, 3027):
        with Forger(lan.carl, port) as forger:
            forger.flood(((ROUTER, 20_000 + n), pack(Code.LOGIN_REQ, b"")) for n in range(1_000))
    unharmed(users, "hears on")


def test_who_forges_an_address_of_the_link_has_8_old_clients_and_64_kB_a_second_sent_there(
    lan: Net, server: Watched, wire: Tap, users: list[Talker]
) -> None:
    """A hundred log in by bert's address, where nobody asked for it; they list and are told that
    they are too fast, 10,000 times."""
    with Forger(lan.carl) as forger:
        places = [("10.79.1.3", 20_000 + number) for number in range(100)]
        from_server(wire)
        began = time.monotonic()
        forger.flood(
            (place, pack(Code.LOGIN_REQ, b"old%d" % number)) for number, place in enumerate(places)
        )
        forger.flood((place, pack(Code.JOIN_REQ, b"Weather")) for place in places)
        there = [name for name in server.state().users if name.startswith("old")]
        turn = itertools.cycle(places[: len(there)])
        forger.flood((next(turn), pack(Code.LIST_CHANNELS)) for _ in range(10_000))
    out = [one for one in from_server(wire, "10.79.1.3") if one.port >= 20_000]
    seconds = time.monotonic() - began
    sent = sum(len(one.data) for one in out if one.port < 20_000 + len(there))
    tell(f"an address that is forged: {len(there)} sessions; {sent} bytes in {seconds:.1f} s")
    assert len(there) == 8
    assert 64_000 * 0.9 < sent <= 64_000 * (seconds + 1)
    unharmed(users, "hears what there is")


def test_the_name_of_an_old_client_does_not_move_while_it_is_there(
    lan: Net, server: Watched, users: list[Talker]
) -> None:
    with old_client(lan.anna, 2027) as olga, Forger(lan.carl) as forger:
        assert ask(olga, Code.LOGIN_REQ, b"olga") == (Code.LOGIN_ACK, b"olga")
        before = server.state().users
        wishes = [pack(Code.LOGIN_REQ, b"olga"), pack(Code.LOGOFF, b"olga")]
        forger.flood((("10.79.1.4", 4_000 + n), one) for n in range(1_000) for one in wishes)
        welcome = forger.wait()
        forger.flood([(forger.own, Open(b"olga", welcome.cookie, welcome.nonce).write())])
        assert server.state().users == before


def test_where_a_number_is_asked_forged_log_ins_and_log_offs_of_old_clients_do_nothing(
    lan: Net, server: Watched, wire: Tap
) -> None:
    with old_client(lan.anna, 3027) as oscar, Forger(lan.carl, 3027) as forger:
        place = oscar.getsockname()
        own = asked(ask(oscar, Code.LOGIN_REQ, b"oscar"))
        assert ask(oscar, Code.LOGIN_REQ, own) == (Code.LOGIN_ACK, own)
        before = server.state("strict")
        assert before.users.keys() == {"oscar"}
        forger.flood([(place, pack(Code.LOGIN_REQ, b"evil"))])
        other = asked(read(oscar))
        guesses = [b"%06d" % number for number in range(0, 1_000_000, 997)]
        names = [b"oscar", *(b"oscar/" + one for one in guesses)]
        count = forger.flood((place, pack(Code.LOGOFF, one)) for one in names if one != own)
        names = [b"evil/" + one for one in guesses]
        forger.flood((place, pack(Code.LOGIN_REQ, one)) for one in names if one != other)
        # who has guessed too often may be right at last
        count += forger.flood(
            [(place, pack(Code.LOGOFF, own)), (place, pack(Code.LOGIN_REQ, other))]
        )
        after = server.counted(before, count, "forged", service="strict")
        tell(f"{count} log-offs and {len(names)} log-ins forged for an old client with a number: 0")
        assert after.users == before.users


@contextmanager
def old_client(host: str, port: int) -> Iterator[socket.socket]:
    """A socket for one."""
    with socket_on(host, socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((SERVER, port))
        yield sock


def read(sock: socket.socket) -> tuple[int, bytes]:
    """The next event."""
    event = unpack(sock.recv(1024))
    assert event is not None
    return event


def ask(sock: socket.socket, code: Code, text: bytes) -> tuple[int, bytes]:
    """Send an event; the answer."""
    sock.send(pack(code, text))
    return read(sock)


def asked(answer: tuple[int, bytes]) -> bytes:
    """The name that an old client is told to log in by."""
    code, text = answer
    assert code == Code.ERROR
    assert text.startswith(b"log in as ")
    return text.removeprefix(b"log in as ")
