"""urgent: what it reports of a stream, over real connections, as kernels send urgent data."""

from __future__ import annotations

import random
import re
from contextlib import suppress
from itertools import islice

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st

from sockd.config.document import ConfigError
from sockd.formats.urgent import normal_data, short_lines
from sockd.net import urgent
from sockd.services.urgent import MOST_READ, TOLD_PER_SECOND
from tests.helpers import FOUND, LogRecorder, connect, make_context, make_settings
from tests.services.urgent_peers import LONGEST_REPORT, served, told, turn

pytestmark = pytest.mark.usefixtures("own_runtime")


# what is reported

OUT_OF_BAND = [
    "got 3 bytes of normal data: aa",
    "got 1 byte of urgent data: !",
    "got 3 bytes of normal data: ab",
    "got 1 byte of urgent data: ?",
]
INLINE = [
    "got 3 bytes of normal data: aa",
    "got 1 bytes of normal data: !",
    "got 3 bytes of normal data: ab",
    "got 1 bytes of normal data: ?",
]


@pytest.mark.parametrize(("inline", "transcript"), [(False, OUT_OF_BAND), (True, INLINE)])
@pytest_twisted.ensureDeferred
async def test_each_read_is_a_line_and_the_log_has_the_same_ones(
    inline: bool, transcript: list[str], log: LogRecorder
) -> None:
    async with served(inline=inline) as peer:
        for number, byte in enumerate(b"!?"):
            peer.send(b"a%c\n" % (ord("a") + number))
            await peer.until_reports(2 * number + 1)
            peer.send_urgent(bytes([byte]))
            await peer.until_reports(2 * number + 2)
        peer.end()
        assert await peer.until_end() == transcript
    whose = "urgent: 127.0.0.1:[0-9]+: "
    said = [line for line in log.lines() if " got " in line]
    assert [re.sub(f"^{whose}", "", line) for line in said] == transcript


@pytest_twisted.ensureDeferred
async def test_the_log_has_a_read_as_fields(log: LogRecorder) -> None:
    async with served() as peer:
        peer.send(b"\x1b[2J\xff\r\n")
        await peer.until_reports(1)
        peer.send_urgent(b"\0")
        await peer.until_reports(2)
    [normal], [one] = log.events("normal-data"), log.events("urgent-data")
    assert (normal["size"], normal["text"], int(normal["suppressed"])) == (7, "\x1b[2J\\xff", 0)
    assert (one["service"], one["text"], int(one["suppressed"])) == ("urgent", "\0", 0)


@pytest_twisted.ensureDeferred
async def test_what_is_no_text_is_escaped_and_the_last_line_end_is_counted_but_not_shown() -> None:
    async with served() as peer:
        peer.send(b"a\nb\\\x1b\xffn\xc3\xb6\r\n")
        lines = await peer.until_reports(1)
        peer.send_urgent(b"\n")
        lines = await peer.until_reports(2)
    assert lines == [
        r"got 11 bytes of normal data: a\x0ab\\\x1b\xffnö",
        r"got 1 byte of urgent data: \x0a",
    ]


@pytest.mark.parametrize("inline", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_long_text_is_reported_whole_in_lines_of_bounded_length(inline: bool) -> None:
    sent = bytes(range(256)) * 512
    async with served(inline=inline) as peer:
        at = 0
        while at < len(sent):
            with suppress(BlockingIOError):
                at += peer.socket.send(sent[at:])
            peer.read()
            await turn()
        peer.end()
        lines = await peer.until_end()
    assert told(lines) == (sent, b"")
    assert max(len(line.encode()) for line in lines) + 2 <= LONGEST_REPORT
    assert len(lines) >= len(sent) // (MOST_READ + 1)


@given(st.binary(max_size=60))
def test_a_report_tells_exactly_what_came(data: bytes) -> None:
    assert told([normal_data(data)]) == (data, b"")


# where urgent bytes are


@pytest_twisted.ensureDeferred
async def test_an_urgent_byte_before_any_data_is_told_and_what_follows_is_whole() -> None:
    async with served() as peer:
        peer.send_urgent()
        peer.send(b"after")  # in one go: it may be there before the connection is accepted
        peer.end()
        lines = await peer.until_end()
    assert told(lines) == (b"after", b"!")


@pytest_twisted.ensureDeferred
async def test_an_urgent_byte_alone_is_told_before_anything_else_comes() -> None:
    async with served() as peer:
        peer.send_urgent()
        assert await peer.until_reports(1) == ["got 1 byte of urgent data: !"]
        peer.send_urgent(b"?")
        assert (await peer.until_reports(2))[1:] == ["got 1 byte of urgent data: ?"]
        peer.send(b"then")
        assert (await peer.until_reports(3))[2:] == ["got 4 bytes of normal data: then"]


@pytest.mark.parametrize("before", [b"", b"before"])
@pytest.mark.parametrize("inline", [False, True])
@pytest_twisted.ensureDeferred
async def test_an_urgent_byte_at_the_very_end_is_told(inline: bool, before: bytes) -> None:
    async with served(inline=inline) as peer:
        if before:
            peer.send(before)
        peer.send_urgent()
        peer.end()
        lines = await peer.until_end()
    assert told(lines) == ((before + b"!", b"") if inline else (before, b"!"))


@pytest_twisted.ensureDeferred
async def test_of_urgent_bytes_in_a_row_each_is_told_once_as_urgent_or_as_ordinary() -> None:
    """Which of them are urgent the kernel decides: there is one mark."""
    sent = bytes(range(33, 127))
    async with served() as peer:
        for byte in sent:
            peer.send_urgent(bytes([byte]))
        peer.end()
        normal, urgent_bytes = told(await peer.until_end())
    assert urgent_bytes.endswith(sent[-1:])
    for part in (normal, urgent_bytes):  # in order
        rest = iter(sent)
        assert all(byte in rest for byte in part)
    assert sorted(normal + urgent_bytes) == sorted(sent)


@pytest.mark.parametrize("inline", [False, True])
@pytest_twisted.ensureDeferred
async def test_none_in_a_row_is_lost_though_they_came_before_the_accept(inline: bool) -> None:
    async with served(inline=inline) as peer:
        for byte in b"123":  # the service has had no turn
            peer.send_urgent(bytes([byte]))
        peer.end()
        assert told(await peer.until_end()) == ((b"123", b"") if inline else (b"12", b"3"))


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize("seed", range(8))
@pytest_twisted.ensureDeferred
async def test_nothing_is_lost_and_ordinary_data_keeps_its_order(seed: int, inline: bool) -> None:
    chance = random.Random(seed)
    everything, ordinary = b"", b""
    async with served(inline=inline) as peer:
        for number in range(60):
            if chance.random() < 0.4:
                peer.send_urgent(b"!")
                everything += b"!"
            else:
                data = b"%d," % number * chance.choice([1, 1, 5, 400])
                peer.send(data)
                everything, ordinary = everything + data, ordinary + data
            if chance.random() < 0.3:  # what is there is read before the next one comes
                await peer.until_told(ordinary)
        peer.end()
        normal, urgent_bytes = told(await peer.until_end())
    if inline:
        assert (normal, urgent_bytes) == (everything, b"")
    else:
        assert normal.replace(b"!", b"") == ordinary
        assert len(normal) + len(urgent_bytes) == len(everything)
        assert set(urgent_bytes) <= {ord("!")}


@pytest.mark.parametrize("inline", [False, True])
@pytest_twisted.ensureDeferred
async def test_behind_a_proxy_urgent_bytes_that_follow_its_header_are_told(inline: bool) -> None:
    listen = "haproxy:tcp:0:interface=127.0.0.1:proxies=127.0.0.1/32"
    async with served(listen, inline=inline) as peer:
        peer.send(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nafter it")
        await peer.until_reports(1)
        peer.send_urgent()
        await peer.until_reports(2)
        peer.send(b"and more")
        peer.end()
        normal, urgent_bytes = told(await peer.until_end())
    expected = (b"after it!and more", b"") if inline else (b"after itand more", b"!")
    assert (normal, urgent_bytes) == expected


# the log, in memory


def test_the_log_is_told_of_ten_reads_a_second_and_then_of_how_many_it_was_not(
    log: LogRecorder,
) -> None:
    context = make_context("urgent")
    first, second = connect("urgent", context), connect("urgent", context)
    lines = list(islice(short_lines(), TOLD_PER_SECOND + 4))
    for number, line in enumerate(lines):
        (first, second)[number % 2].send(line)
    assert len(log.events("normal-data")) == TOLD_PER_SECOND
    first.loop.advance(1)
    first.send(b"later")
    assert log.lines()[-1].endswith(": later (and 4 more since the last report)")
    received = (first.received + second.received).count(b"\n")
    assert received == len(lines) + 1
    first.end()
    second.end()


def test_a_line_of_the_log_has_no_more_than_a_read(log: LogRecorder) -> None:
    client = connect("urgent", make_context("urgent"))
    client.send(b"x" * 5000)
    client.end()
    sizes = [event["size"] for event in log.events("normal-data")]
    assert sizes == [1024, 1024, 1024, 1024, 904]


# the configuration


@pytest.mark.parametrize(
    ("listen", "transport"),
    [("tls:2008:privateKey=k.pem:certKey=c.pem", "tls"), ("unix:/run/u.sock", "unix")],
)
def test_another_transport_than_tcp_is_refused_and_the_sentence_says_which_works(
    listen: str, transport: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        make_settings("urgent", [listen])
    assert f"urgent does not work over {transport}, only over tcp" in str(refused.value)
    assert "service.urgent.listen" in str(refused.value)


def test_elsewhere_than_on_linux_the_configuration_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urgent, "IS_HERE", False)
    with pytest.raises(ConfigError, match="urgent data works on Linux alone"):
        make_settings("urgent")


def test_the_pages_say_that_it_works_over_tcp_alone() -> None:
    assert FOUND.kinds["urgent"].transports == ("tcp",)


def test_short_lines_go_on_behind_the_last_of_two_letters() -> None:
    lines = list(islice(short_lines(), 26 * 26 + 2))
    assert lines[:2] == [b"aa\n", b"ab\n"]
    assert lines[26 * 26 - 1 :] == [b"zz\n", b"aaa\n", b"aab\n"]
    assert len(set(lines)) == len(lines)
