"""A byte now and then holds nothing for ever: a text, a connection and a pace have their bounds."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from sockd.chat.doors import StreamDoor
from sockd.formats.frames import FrameBuffer
from sockd.net.requests import Requests
from sockd.service import Kind
from sockd.travesty.uploads import Uploads
from tests.helpers import LogRecorder, connect, make_context
from tests.memory import Client

HOUR = 3600.0


class Slow(Requests):
    """Its answers come when the test says so."""

    pending: Deferred[bytes]

    def answer(self, request: bytes) -> Deferred[bytes]:
        self.pending = Deferred()
        return self.pending


class Uploading(Requests):
    """Texts behind a command, and nothing is said of either."""

    buffer: Uploads

    def make_buffer(self) -> Uploads:
        return Uploads(100)

    def answer(self, request: bytes) -> bytes:
        if request == b"DATA":
            self.buffer.begin_text()
        return b""


UPLOADING = Kind(name="uploading", doc="Takes texts.", stream=Uploading)
SLOW = Kind(name="slow", doc="Answers later.", stream=Slow)


def drip(client: Client, seconds: float, every: float = 50, data: bytes = b"x") -> float:
    """Send a byte now and then; how long it was listened to."""
    passed = 0.0
    while passed < seconds and not (client.saw_end or client.is_closed):
        client.send(data)
        client.loop.advance(every)
        passed += every
    return passed


def reasons(log: LogRecorder) -> list[str]:
    return [event["reason"].name for event in log.events("closed")]


# texts


@pytest.mark.parametrize("service", ["wrap", "travesty"])
def test_a_text_that_drips_is_ended_after_an_hour(service: str, log: LogRecorder) -> None:
    client = connect(service, make_context(service))
    if service == "travesty":
        client.send(b"DATA\r\n")
    assert HOUR <= drip(client, 3 * HOUR) <= HOUR + 60
    assert client.received.endswith(b"no end of text within 1h\r\n")
    client.end()
    assert reasons(log) == ["text_timeout"]


def test_a_text_that_comes_in_its_time_is_answered() -> None:
    client = connect("wrap", make_context("wrap", text_timeout="10m"))
    drip(client, 540, data=b"word ")
    client.end()
    assert client.received.startswith(b"word word")


def test_each_text_has_its_whole_time() -> None:
    """Though one follows on the other between two looks."""
    client = connect(UPLOADING, make_context(UPLOADING, text_timeout="5m"))
    client.send(b"DATA\r\n")
    for _ in range(4):
        assert drip(client, 200, data=b"a word and a word ") == 200
        client.send(b"\r\n.\r\nDATA\r\n")
    assert drip(client, 1000) <= 360


def test_what_is_learnt_of_a_text_gives_it_no_more_time() -> None:
    """Whatever state the connection is in meanwhile."""
    client = connect("travesty", make_context("travesty", text_timeout="5m"))
    client.send(b"DATA\r\n")
    assert drip(client, 2000, every=1, data=b"many words " * 2000) <= 310


def test_between_texts_only_the_other_bounds_hold() -> None:
    client = connect(UPLOADING, make_context(UPLOADING, text_timeout="1m"))
    client.send(b"DATA\r\nsome words\r\n.\r\n")
    assert drip(client, 500, data=b"line\r\n") == 500


def test_without_a_text_timeout_a_text_may_take_as_long_as_it_likes() -> None:
    client = connect("wrap", make_context("wrap", text_timeout="off"))
    assert drip(client, 3 * HOUR) == 3 * HOUR


def test_a_client_that_sends_no_text_is_idle(log: LogRecorder) -> None:
    client = connect("wrap", make_context("wrap"))
    client.loop.advance(122)
    assert client.saw_end
    client.end()
    assert reasons(log) == ["idle_timeout"]


# framed messages


def test_a_chats_message_that_drips_is_ended_like_a_line(log: LogRecorder) -> None:
    client = connect(StreamDoor, make_context("chat"))
    client.send(b"\x00\x64")
    assert 60 <= drip(client, HOUR, every=2) <= 64
    client.end()
    assert client.received == b""  # nothing that would be taken for a message
    assert reasons(log) == ["frame_timeout"]


def test_each_of_a_chats_messages_has_its_whole_time() -> None:
    client = connect(StreamDoor, make_context("chat"))
    for _ in range(10):
        client.send(b"\x00\x02x")
        client.loop.advance(40)
        client.send(b"x\x00\x02")
        client.loop.advance(40)
        client.send(b"xx")
    assert not client.saw_end


def test_messages_of_another_service_have_the_time_of_a_line() -> None:
    class Framed(Requests):
        def make_buffer(self) -> FrameBuffer:
            return FrameBuffer(100)

        def answer(self, request: bytes) -> bytes:
            return request

    kind = Kind(name="framed", doc="Frames.", stream=Framed)
    client = connect(kind, make_context(kind))
    client.send(b"\x00\x64")
    assert drip(client, HOUR, every=2) <= 64


# the whole connection


@pytest.mark.parametrize("service", ["echo", "discard", "reverse", "wrap", "chargen", "travesty"])
def test_a_connection_ends_after_total_timeout_whatever_it_does(
    service: str, log: LogRecorder
) -> None:
    client = connect(service, make_context(service, total_timeout="10m"), takes=200_000)
    data = b"\r\n" if service in ("reverse", "travesty") else b"x"
    for _ in range(59):
        client.send(data)
        client.take(client.socket.room or 200_000)
        client.loop.advance(10)
    assert not client.saw_end
    client.loop.advance(12)
    client.vanish()
    assert reasons(log) == ["total_timeout"]


def test_one_that_does_not_read_at_that_time_is_cut_off_soon_after(log: LogRecorder) -> None:
    context = make_context("chargen", total_timeout="10m")
    client = connect("chargen", context, takes=1000)
    for _ in range(64):
        client.take(100)  # a little, now and then: that is progress
        client.loop.advance(10)
    assert reasons(log) == []
    for _ in range(4):
        client.take(100)
        client.loop.advance(10)
    assert client.is_closed
    assert reasons(log) == ["total_timeout"]


def test_without_a_total_timeout_a_connection_stays_as_long_as_it_is_used() -> None:
    client = connect("echo", make_context("echo"))
    assert drip(client, 24 * HOUR) == 24 * HOUR


# the pace


@pytest.mark.parametrize("service", ["echo", "discard", "urgent", "wrap", "reverse", "travesty"])
def test_a_byte_now_and_then_is_too_slow_where_there_is_a_min_rate(
    service: str, log: LogRecorder
) -> None:
    client = connect(service, make_context(service, min_rate="100/m"))
    client.send(b"DATA\r\n" if service == "travesty" else b"")
    assert drip(client, HOUR, every=20, data=b"a\n") <= 140
    client.end()
    assert reasons(log) == ["min_rate"]


def test_who_keeps_the_pace_stays() -> None:
    client = connect("echo", make_context("echo", min_rate="100/m"))
    assert drip(client, HOUR, every=20, data=b"x" * 20) == HOUR  # there and back: 120 a minute


def test_a_pause_is_made_up_for_within_the_span() -> None:
    client = connect("discard", make_context("discard", min_rate="100/m"))
    for _ in range(30):
        client.loop.advance(50)
        client.send(b"x" * 100)
        client.loop.advance(10)
    assert not client.saw_end


def test_a_peer_that_waits_for_us_is_not_slow() -> None:
    client = connect(SLOW, make_context(SLOW, min_rate="100/m"))
    client.send(b"question\n")
    client.loop.advance(590)
    client.protocol.pending.callback(b"answer\n")
    client.loop.advance(50)
    assert not client.saw_end
    client.loop.advance(15)
    assert client.saw_end


def test_a_peer_that_takes_a_little_now_and_then_is_cut_off(log: LogRecorder) -> None:
    client = connect("chargen", make_context("chargen", min_rate="1k/m"), takes=1000)
    client.loop.advance(1)
    for _ in range(12):
        client.take(100)
        client.loop.advance(10)
    assert client.is_closed
    assert reasons(log) == ["min_rate"]


def test_who_is_to_take_the_rest_keeps_the_pace_too() -> None:
    client = connect("wrap", make_context("wrap", min_rate="1k/m"), takes=0)
    client.send(b"word " * 10_000)
    client.end()
    client.loop.advance(1)
    for _ in range(13):
        client.take(10)
        client.loop.advance(10)
    assert client.is_closed


def test_a_min_rate_can_come_while_a_connection_is_open() -> None:
    context = make_context("echo")
    client = connect("echo", context)
    drip(client, 300)
    context.guard.apply(make_context("echo", min_rate="100/m").guard.limits)
    client.loop.advance(55)
    assert not client.saw_end
    client.loop.advance(8)
    assert client.saw_end


def test_a_span_that_nobody_looks_at_is_a_mistake() -> None:
    with pytest.raises(Exception, match="for a span of 1 s at least"):
        make_context("echo", min_rate="1/500ms")
