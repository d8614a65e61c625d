"""A kind with several doors: each has its own addresses and its own protocol."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from attrs import evolve
from pytest_twisted import ensureDeferred

from sockd.config.annotated import default_config
from sockd.config.build import build
from sockd.config.document import ConfigError, Document, parse
from sockd.net.datagram import Replies
from sockd.net.stream import Stream
from sockd.ops.describe import describe
from sockd.ops.report import check_text
from sockd.ops.table import all_rows
from sockd.service import Door, Found, Instance, Kind
from sockd.testing.sockets import address_of
from tests.daemon.running import LOOPBACK, apply, aside, daemon_of, listeners, said_at
from tests.helpers import LogRecorder, make_settings
from tests.processes import free_port


class Names(Stream):
    """Says by which door one has come in."""

    def received(self, data: bytes) -> None:
        self.write(self.entrance.role.encode() + b"\n")


class Unicast(Replies):
    """Answers datagrams of the main door."""

    amplifies = True

    def answer(self, data: bytes) -> bytes:
        return b"unicast"


class Control(Replies):
    """Answers datagrams of another one."""

    amplifies = True

    def answer(self, data: bytes) -> bytes:
        return b"control of " + self.entrance.role.encode()


ROOMS = Kind(
    name="rooms",
    doc="Rooms with three doors.",
    datagram=Unicast,
    doors=[Door("control", datagram=Control), Door("stream", stream=Names)],
    instances=[
        Instance(
            "rooms",
            [f"udp:2027:{LOOPBACK}"],
            doors={"control": [f"udp:2029:{LOOPBACK}"], "stream": [f"tcp:2027:{LOOPBACK}"]},
        )
    ],
)
FOUND = Found({"rooms": ROOMS})
TABLE = {
    "listen": [f"udp:0:{LOOPBACK}"],
    "listen_control": [f"udp:0:{LOOPBACK}"],
    "listen_stream": [f"tcp:0:{LOOPBACK}"],
}


def rooms(**table: Any) -> Any:
    wanted = {**TABLE, **table}
    return make_settings(ROOMS, wanted.pop("listen"), **wanted)


def asked(address: Any) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(60)
        sock.sendto(b"?", address)
        return sock.recv(100)


@ensureDeferred
async def test_each_door_has_its_own_addresses_and_its_own_protocol(log: LogRecorder) -> None:
    async with daemon_of(rooms()) as daemon:
        unicast, control, stream = listeners(daemon)
        assert await aside(asked, address_of(unicast)) == b"unicast"
        assert await aside(asked, address_of(control)) == b"control of control"
        assert await said_at(stream) == b"stream"
        events = [event["local"] for event in log.events("listening")]
        assert [event.role for event in events] == ["", "control", "stream"]
        assert str(events[1]) == f"udp {control.address} (control)"
        assert [row.address for row in all_rows(daemon.instances)] == [
            unicast.address,
            f"{control.address} (control)",
            f"{stream.address} (stream)",
        ]


@ensureDeferred
async def test_an_address_that_gets_another_door_gets_another_listener_on_its_socket() -> None:
    there = f"udp:{free_port()}:{LOOPBACK}"
    async with daemon_of(rooms(listen_control=[there])) as daemon:
        _, control, _ = listeners(daemon)
        assert await aside(asked, address_of(control)) == b"control of control"
        apply(daemon, rooms(listen=[there]))
        unicast = listeners(daemon)[0]
        assert address_of(unicast) == address_of(control)
        assert await aside(asked, address_of(unicast)) == b"unicast"


def test_what_is_listed_names_the_door() -> None:
    document = Document()
    parse(document, default_config(FOUND), "FILE")
    settings = build(document, FOUND, "/run")
    assert check_text(settings) == (
        "rooms: udp 127.0.0.1:2027\n"
        "rooms: udp 127.0.0.1:2029 (control)\n"
        "rooms: tcp 127.0.0.1:2027 (stream)\n"
    )
    text = describe(ROOMS)
    assert "`listen_control`: udp, unixgram." in text
    assert "`listen_stream` `tcp:2027:interface=127.0.0.1`" in text


@pytest.mark.parametrize(
    ("table", "key", "message"),
    [
        (
            {"listen_control": [f"tcp:1:{LOOPBACK}"]},
            "service.rooms.listen_control[0]",
            "rooms (control) does not work over tcp, only over udp, unixgram",
        ),
        ({"listen_stream": "tcp:1"}, "service.rooms.listen_stream", "expected a list"),
        ({"listen_other": []}, "service.rooms.listen_other", "unknown key"),
    ],
)
def test_a_mistake_in_a_door_names_its_key(table: Any, key: str, message: str) -> None:
    document = Document({"service": {"rooms": table}})
    with pytest.raises(ConfigError) as caught:
        build(document, FOUND, "/run")
    assert [mistake.key for mistake in caught.value.mistakes] == [key]
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"doors": [Door("")]}, "expected a role each"),
        ({"doors": [Door("a", stream=Names)] * 2}, "none of them twice"),
        ({"doors": [Door("a")]}, "a has no protocol"),
        ({"doors": [Names]}, "expected a list of doors"),
        ({"doors": []}, "there is no door for listen_control"),
    ],
)
def test_doors_that_cannot_be_meant_disable_their_kind(changes: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        evolve(ROOMS, **changes)


def test_a_role_is_part_of_a_key() -> None:
    with pytest.raises(TypeError, match="small letters, digits"):
        Door("Not This", stream=Names)
