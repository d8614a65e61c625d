"""What the chat's server does for many at once, in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sockd.chat.doors import MOST_WAITING
from sockd.chat.server import LIST_PART, LIST_SECONDS, LISTS_AT_ONCE
from sockd.formats.chat.events import Code, pack
from sockd.formats.frames import frame
from sockd.testing.memory import Client
from tests.helpers import connect, make_context, open_port


def server(folder: Path, **table: Any) -> Any:
    """An instance in memory, for anybody."""
    table = {
        "legacy": "everywhere",
        "old_clients": 1000,
        "trusted": ["192.0.2.0/24"],
        "state": str(folder / "state"),
        **table,
    }
    return make_context("chat", **table)


def texts(client: Client, code: int) -> list[bytes]:
    """Of the events with this code that have come."""
    data, found = client.received, []
    while data:
        end = 2 + int.from_bytes(data[:2], "big")
        if data[2:4] == code.to_bytes(2, "big"):
            found.append(data[4:end])
        data = data[end:]
    return found


def events(client: Client, code: int) -> int:
    """How many with this code have come."""
    return len(texts(client, code))


def test_lists_go_on_in_parts_and_only_so_many_of_them_at_once(tmp_path: Path) -> None:
    channels = {f"c{number}": "about it" for number in range(3 * LIST_PART)}
    context = server(tmp_path, channels=channels)
    count = LISTS_AT_ONCE + 10
    clients = [connect("chat", context) for _ in range(count)]
    for number, client in enumerate(clients):
        client.send(frame(pack(Code.LOGIN_REQ, b"u%d" % number)))
        client.send(frame(pack(Code.LIST_CHANNELS)))
        client.send(frame(pack(Code.LIST_CHANNELS)))  # a second one does not begin
        assert events(client, Code.CHANNEL_ITEM) == LIST_PART
        assert events(client, Code.ERROR) == 1
    for expected in (LISTS_AT_ONCE, LISTS_AT_ONCE, 20):
        before = sum(events(client, Code.CHANNEL_ITEM) for client in clients)
        context.world.reactor.advance(LIST_SECONDS)
        after = sum(events(client, Code.CHANNEL_ITEM) for client in clients)
        assert after - before == expected * LIST_PART
    assert {events(client, Code.CHANNEL_ITEM) for client in clients} == {len(channels)}
    clients[0].send(frame(pack(Code.LIST_CHANNELS)))
    clients[0].vanish()  # a list for nobody ends
    context.world.reactor.advance(1)
    assert context.shared._listings == {}


def test_a_list_that_is_held_up_costs_the_same_however_long_and_goes_on_where_it_was(
    tmp_path: Path,
) -> None:
    channels = {f"c{number}": "x" * 400 for number in range(50)}
    context = server(tmp_path, channels=channels, trusted=[], old_bytes=2048)
    client = connect("chat", context)
    client.send(frame(pack(Code.LOGIN_REQ, b"ada")), frame(pack(Code.LIST_CHANNELS)))
    came = events(client, Code.CHANNEL_ITEM)
    desk, [(user, listed)] = context.shared.desk, context.shared._listings.items()
    for _ in range(100):
        desk.threshold.allowances._old_bytes.take_up_to(
            2048, user.place.host, context.clock.seconds()
        )
        context.world.reactor.advance(LIST_SECONDS)
        assert context.shared._listings == {user: listed}  # as it was, and nothing around it
    assert events(client, Code.CHANNEL_ITEM) == came < 50
    for _ in range(200):
        context.world.reactor.advance(LIST_SECONDS)
    titles = [text.split()[0] for text in texts(client, Code.CHANNEL_ITEM)]
    assert titles == [title.encode() for title in channels]
    assert (context.shared._listings, context.shared._held_up) == ({}, {})


def test_who_does_not_read_is_sent_no_more_than_so_much_and_what_is_left_out_is_counted(
    tmp_path: Path,
) -> None:
    context = server(tmp_path, event_burst=10_000)
    deaf, ada = connect("chat", context, takes=100), connect("chat", context)
    for client, name in ((deaf, b"deaf"), (ada, b"ada")):
        client.send(frame(pack(Code.LOGIN_REQ, name)), frame(pack(Code.JOIN_REQ, b"Pets")))
    for _ in range(400):
        ada.send(frame(pack(Code.SEND_PUBLIC, b"x" * 900)))
    assert events(ada, Code.PUBLIC_MSG) == 400
    assert deaf.held <= MOST_WAITING + 64 * 1024 + 2 * 1024
    assert context.guard.counts["unread"] > 100
    deaf.take()
    ada.send(frame(pack(Code.SEND_PUBLIC, b"again")))
    assert deaf.received.endswith(b"Pets ada again" + deaf.received[-34:])


def test_what_was_dropped_is_counted_where_all_of_the_instance_is(tmp_path: Path) -> None:
    context = server(tmp_path)
    port = open_port("chat", context)
    port.ask(b"x")
    port.ask(pack(Code.PUBLIC_MSG, b"a b c"))
    assert (port.counted["short"], port.counted["answer"]) == (1, 1)
    for _ in range(7):
        port.ask(pack(Code.LOGIN_REQ, b"ada"))
        port.ask(pack(Code.SEND_PUBLIC, b"x"))
    assert port.counted["too_fast"] == 2


def test_an_administrator_kicks_bans_and_sees_who_is_here(tmp_path: Path) -> None:
    context = server(tmp_path)
    port = open_port("chat", context)
    chat = context.shared
    port.ask(pack(Code.LOGIN_REQ, b"ada"), ("192.0.2.7", 50_007))
    port.ask(pack(Code.LOGIN_REQ, b"bob"), ("192.0.2.8", 50_008))
    assert [(one.nickname, one.host) for one in chat.users()] == [
        ("ada", "192.0.2.7"),
        ("bob", "192.0.2.8"),
    ]
    port.sent.clear()
    chat.kick("ADA", "be nice")
    there = chat.moderation.those(lambda host: host == "192.0.2.8")
    assert [chat.expel(there), chat.expel(there)] == [1, 0]
    assert [(sent.data, sent.to[0]) for sent in port.sent] == [
        (pack(Code.ERROR, b"be nice"), "192.0.2.7"),
        (pack(Code.ERROR, b"your address is banned"), "192.0.2.8"),
    ]
    assert chat.users() == []
    for call in (lambda: chat.kick("ada"), lambda: chat.kick("\x1b")):
        with pytest.raises(ValueError, match=r"\w"):
            call()
