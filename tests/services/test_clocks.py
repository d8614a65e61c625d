"""The services that tell the time: time, daytime, localtime, beacon."""

from __future__ import annotations

import os
import re
import resource
import time as c
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from attrs import define
from hypothesis import example, given
from hypothesis import strategies as st

from sockd.config.document import ConfigError
from sockd.formats.clock import Zone, is_zone
from sockd.formats.time import time_since_1900
from sockd.services.beacon import LOOK_SECONDS, BeaconSender, next_beat
from sockd.services.daytime import daytime
from sockd.services.localtime import local_time
from tests.helpers import HOSTNAME, connect, make_context, make_settings, make_world, open_port
from tests.memory import NOON, Loop, MemoryPort

CTIME = re.compile(rb"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ 123]\d \d\d:\d\d:\d\d \d{4}")
moments = st.integers(-(2**31), 2**33)

# time


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        # the examples of RFC 868
        (datetime(1970, 1, 1, tzinfo=UTC), 2_208_988_800),
        (datetime(1976, 1, 1, tzinfo=UTC), 2_398_291_200),
        (datetime(1980, 1, 1, tzinfo=UTC), 2_524_521_600),
        (datetime(1983, 5, 1, tzinfo=UTC), 2_629_584_000),
        (datetime(1858, 11, 17, tzinfo=UTC), -1_297_728_000),
        (datetime(1900, 1, 1, tzinfo=UTC), 0),
        # 32 bits hold it until here
        (datetime(2036, 2, 7, 6, 28, 15, tzinfo=UTC), 2**32 - 1),
        (datetime(2036, 2, 7, 6, 28, 16, tzinfo=UTC), 0),
        (datetime(2036, 2, 7, 6, 28, 17, tzinfo=UTC), 1),
    ],
)
def test_the_time_is_seconds_since_1900_modulo_32_bits(moment: datetime, seconds: int) -> None:
    assert time_since_1900(moment.timestamp()) == (seconds % 2**32).to_bytes(4, "big")


@given(moments)
def test_a_second_later_the_number_is_one_more(moment: int) -> None:
    now, later = (int.from_bytes(time_since_1900(at), "big") for at in (moment, moment + 1))
    assert (later - now) % 2**32 == 1


@given(moments, st.floats(0, 0.999))
def test_a_part_of_a_second_does_not_count_before_1970_either(moment: int, part: float) -> None:
    assert time_since_1900(moment + part) == time_since_1900(moment)


def test_the_services_tell_a_clock_that_was_set() -> None:
    loop = Loop()
    context = make_context("time", make_world(loop))
    for now in (NOON, NOON + 3600, NOON - 86_400):
        loop.wall.now = now
        assert connect("time", context).received == time_since_1900(now)
        assert open_port("time", context).ask(b"") == [time_since_1900(now)]


# daytime


@given(moments, st.sampled_from(["Europe/Warsaw", "America/Anchorage", "Asia/Kolkata", "UTC"]))
def test_daytime_is_the_time_of_its_zone_as_c_writes_it(moment: int, zone: str) -> None:
    there = datetime.fromtimestamp(moment, ZoneInfo(zone))
    assert daytime(moment, Zone(zone)) == there.ctime().encode() + b"\r\n"


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC), "Sun Mar 29 01:59:59 2026"),
        (datetime(2026, 3, 29, 1, 0, 0, tzinfo=UTC), "Sun Mar 29 03:00:00 2026"),
        (datetime(2026, 10, 25, 0, 59, 59, tzinfo=UTC), "Sun Oct 25 02:59:59 2026"),
        (datetime(2026, 10, 25, 1, 0, 0, tzinfo=UTC), "Sun Oct 25 02:00:00 2026"),
    ],
)
def test_summer_time_begins_and_ends_when_its_zone_says(moment: datetime, text: str) -> None:
    assert daytime(moment.timestamp(), Zone("Europe/Warsaw")) == text.encode() + b"\r\n"


@pytest.fixture
def warsaw() -> Iterator[None]:
    """This process is in another local zone."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Warsaw"
    c.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    c.tzset()


@pytest.mark.usefixtures("warsaw")
def test_without_a_zone_it_is_local_time() -> None:
    for moment in (NOON, NOON + 180 * 86_400):
        assert daytime(moment, Zone("")).decode() == c.ctime(moment) + "\r\n"
    assert connect("daytime", make_context("daytime")).received == b"Sat Jun 17 20:06:14 2000\r\n"
    assert local_time(b" ", NOON) == b"Sat Jun 17 20:06:14 2000"


def test_the_zone_is_an_option() -> None:
    context = make_context("daytime", zone="America/Anchorage")
    expected = b"Sat Jun 17 10:06:14 2000\r\n"
    assert connect("daytime", context).received == expected
    assert open_port("daytime", context).ask(b"") == [expected]


def test_a_zone_that_there_is_not_is_a_mistake_in_the_configuration() -> None:
    with pytest.raises(ConfigError, match="unknown time zone 'Mars/Base'"):
        make_settings("daytime", zone="Mars/Base")


# localtime


@pytest.mark.parametrize("question", [b"", b" ", b"\n", b"\r\n", b"\t ", b"UTC", b" UTC\r\n"])
def test_white_space_names_no_zone_and_stands_around_one(question: bytes) -> None:
    assert local_time(question, NOON) == c.ctime(NOON).encode()


@pytest.mark.parametrize(
    "name",
    [
        b"../../etc/passwd",
        b"/etc/passwd",
        b"/usr/share/zoneinfo/UTC",
        b"Europe/../UTC",
        b"Europe",
        b"Europe/",
        b"Europe//Warsaw",
        b"Europe/Warsaw/x",
        b"Europe/Warsaw\0",
        b"\0",
        b"zone.tab",
        b"tzdata.zi",
        b"leapseconds",
        b"__init__.py",
        b"europe warsaw",
        b"Europe/\xff",
        "Europe/Kraków".encode(),
        b"A" * 65_507,
        b"A/" * 30_000 + b"A",
        b"\x1b[2J\r\nUTC",
        b"\xe2\x80\xaeUTC",
    ],
)
def test_what_is_no_zone_is_shown_back_harmless_and_short(name: bytes) -> None:
    answer = local_time(name, NOON)
    assert answer.startswith(b"error: unknown time zone ")
    shown = answer.decode()
    assert shown.isprintable()
    assert len(answer) <= 512
    assert len(shown) <= len("error: unknown time zone ") + 100


@given(st.one_of(st.binary(), st.text().map(lambda text: text.encode("utf-8", "replace"))))
@example(b"A" * 129)
@example(b"nul")
def test_any_datagram_gets_a_time_or_an_error(question: bytes) -> None:
    answer = local_time(question, NOON)
    assert CTIME.fullmatch(answer) or answer.startswith(b"error: unknown time zone ")
    # white space between the words of a name is shown as it is, line ends are not
    assert all(one.isprintable() or one.isspace() for one in answer.decode())
    assert len(answer.decode().splitlines()) == 1
    assert len(answer) <= 512


@given(st.text())
def test_no_name_with_a_way_out_of_the_database_is_a_zone(name: str) -> None:
    assert not is_zone(f"../{name}")
    assert not is_zone(f"/{name}")


@contextmanager
def no_descriptors() -> Iterator[None]:
    """This process can open nothing."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize("zone", ["Pacific/Fakaofo", "Antarctica/Troll"])
def test_a_zone_asked_for_while_descriptors_are_out_is_not_unknown_ever_after(zone: str) -> None:
    with no_descriptors():
        busy = local_time(zone.encode(), NOON)
    assert busy == b"error: busy (Too many open files)"
    there = datetime.fromtimestamp(NOON, ZoneInfo(zone))
    assert local_time(zone.encode(), NOON) == there.ctime().encode()


def test_a_zone_that_was_found_is_told_while_descriptors_are_out() -> None:
    """However many others were asked for since."""
    context = make_context("daytime", zone="Asia/Kathmandu")
    others = [name.encode() for name in sorted(available_timezones() - {"Asia/Kathmandu"})[:100]]
    told = [local_time(name, NOON) for name in others]
    with no_descriptors():
        assert [local_time(name, NOON) for name in others[-20:]] == told[-20:]
        text = connect("daytime", context).received
    there = datetime.fromtimestamp(NOON, ZoneInfo("Asia/Kathmandu"))
    assert text == there.ctime().encode() + b"\r\n"


# beacon


@define
class Running:
    """A clock on the wall that goes on with the loop's time, and can be set."""

    loop: Loop
    set_by: float = 0.0

    def __call__(self) -> float:
        return NOON + self.set_by + self.loop.seconds()


class Group(MemoryPort):
    """What the group hears, each message with the times of the wall and of the loop."""

    def __init__(self, sender: BeaconSender, wall: Callable[[], float], loop: Loop) -> None:
        self.heard: list[tuple[float, float, bytes]] = []
        self._wall, self._loop = wall, loop
        super().__init__(sender)
        loop.ports.append(self)

    def write(self, data: bytes, addr: Any, source: Any = None) -> bool:
        is_sent = super().write(data, addr, source)
        if is_sent:
            self.heard.append((self._wall(), self._loop.seconds(), data))
        return is_sent


def start_beacon(period: str = "15s") -> tuple[Loop, Running, Group]:
    loop = Loop()
    wall = Running(loop)
    context = make_context("beacon", make_world(loop, wall=wall), period=period)
    sender = BeaconSender(context, ("224.225.226.227", 2070), lambda port: None)
    return loop, wall, Group(sender, wall, loop)


def test_a_beacon_tells_the_time_and_the_host_on_even_multiples_of_the_period() -> None:
    loop, _, group = start_beacon()
    loop.advance(60)
    assert [data for _, _, data in group.heard] == [
        c.ctime(NOON + 1 + 15 * number).encode() + b"/" + HOSTNAME.encode() for number in range(4)
    ]
    assert [wall % 15 for wall, _, _ in group.heard] == [0.0] * 4
    assert {one.to for one in group.sent} == {("224.225.226.227", 2070)}


@given(moments, st.integers(1, 100_000))
def test_the_next_beat_is_the_first_even_multiple_that_is_later(now: int, period: int) -> None:
    beat = next_beat(now, period)
    assert beat % period == 0
    assert now < beat <= now + period


hours = st.sampled_from([3600.0, -3600.0, 86_400.0, -86_400.0])
jumps = st.one_of(hours, st.integers(-400, 400).map(lambda tenths: tenths / 10), st.just(0.0))
quarters = st.integers(0, 160).map(lambda number: number / 4)


@given(st.lists(st.tuples(quarters, jumps), min_size=1, max_size=8), st.sampled_from([1, 7, 15]))
@example([(20.0, 3600.0), (30.0, -3600.0), (30.0, 0.0)], 15)
@example([(0.75, 7.0), (0.0, -0.5), (15.0, 0.0)], 15)
def test_a_beacon_keeps_its_beat_when_the_clock_is_set(
    steps: list[tuple[float, float]], period: int
) -> None:
    """No beat is early or off the even multiple, and the group never waits for long."""
    loop, wall, group = start_beacon(f"{period}s")
    quiet_since = 0.0
    for seconds, jump in steps:
        loop.advance(seconds)
        wall.set_by += jump
    loop.advance(2.0 * period)
    for at, when, data in group.heard:
        assert at % period < LOOK_SECONDS
        assert data == c.ctime(at // period * period).encode() + b"/" + HOSTNAME.encode()
        assert when - quiet_since <= period + LOOK_SECONDS + jumped_within(
            steps, quiet_since, when, period
        )
        quiet_since = when
    assert loop.seconds() - quiet_since <= period + LOOK_SECONDS


def jumped_within(steps: list[tuple[float, float]], start: float, end: float, period: int) -> float:
    """What the clock's being set may have cost: a period for each time that it was set."""
    at, cost = 0.0, 0.0
    for seconds, jump in steps:
        at += seconds
        if jump and start <= at <= end:
            cost += period
    return cost


def test_a_beat_that_cannot_be_sent_does_not_stop_the_beacon() -> None:
    loop, _, group = start_beacon()
    group.trouble = "Network is unreachable"
    loop.advance(30)
    group.trouble = ""
    loop.advance(30)
    assert len(group.sent) == 2


def test_a_beacon_that_stops_has_nothing_left_to_do() -> None:
    loop, _, group = start_beacon()
    loop.advance(10)
    group.stopListening()
    loop.advance(60)
    assert len(group.sent) == 1
    assert not loop.getDelayedCalls()


def test_a_fault_in_one_message_does_not_end_the_beacon(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, _, group = start_beacon()

    def fail(_: bytes) -> None:
        raise ZeroDivisionError("by design")

    with monkeypatch.context() as patch:
        patch.setattr(group.protocol, "send", fail)
        with pytest.raises(ZeroDivisionError):
            loop.advance(10)
    loop.advance(15)
    assert len(group.sent) == 1
