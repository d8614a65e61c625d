"""What services have done, and how much of it a second in the last minute."""

from __future__ import annotations

from typing import Any

from sockd.ops.rates import EVERY, SPAN, RateMeter, totals
from tests.ops.control.standing import Standing


def meter_of(standing: Standing) -> RateMeter:
    daemon: Any = standing.daemon
    return RateMeter(daemon)


def test_bytes_of_open_connections_count_and_do_so_once() -> None:
    standing = Standing("echo")
    guard = standing.contexts["echo"].guard
    client = standing.connect("echo")
    client.send(b"hello")
    assert (totals(guard)["bytes_in"], totals(guard)["bytes_out"]) == (5, 5)
    client.vanish()
    assert (totals(guard)["connections"], totals(guard)["bytes_in"]) == (1, 5)


def test_a_rate_is_that_of_the_last_minute() -> None:
    standing = Standing("echo")
    clock, guard = standing.world.reactor, standing.contexts["echo"].guard
    meter = meter_of(standing)
    meter.start()
    client = standing.connect("echo")
    clock.advance(EVERY)
    client.send(b"x" * 1000)
    assert meter.span == EVERY
    assert meter.rates(guard, totals(guard))["bytes_in"] == 1000 / EVERY
    for _ in range(round(SPAN / EVERY)):
        clock.advance(EVERY)
    assert meter.span <= SPAN
    assert meter.rates(guard, totals(guard))["bytes_in"] == 0
    meter.stop()
    client.vanish()
    clock.advance(2 * EVERY)
    assert clock.getDelayedCalls() == []


def test_a_service_that_nobody_has_looked_at_has_no_rate() -> None:
    standing, other = Standing("echo"), Standing("echo")
    meter = meter_of(standing)
    guard = other.contexts["echo"].guard
    other.connect("echo")
    assert set(meter.rates(guard, totals(guard)).values()) == {0}
    meter.start()
    assert set(meter.rates(guard, totals(guard)).values()) == {0}
    meter.stop()


def test_at_the_moment_of_a_look_there_is_no_rate_yet() -> None:
    standing = Standing("echo")
    meter, guard = meter_of(standing), standing.contexts["echo"].guard
    meter.start()
    standing.connect("echo").send(b"hello")
    assert set(meter.rates(guard, totals(guard)).values()) == {0}
    meter.stop()


def test_what_was_taken_back_is_no_rate_below_nothing() -> None:
    standing = Standing("echo")
    meter, guard = meter_of(standing), standing.contexts["echo"].guard
    standing.connect("echo").send(b"hello")
    meter.start()
    standing.world.reactor.advance(1)
    now = dict.fromkeys(totals(guard), 0)
    assert set(meter.rates(guard, now).values()) == {0}
    meter.stop()
