"""The wall clock is set while it measures: no round trip is negative or huge, and it is told."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_twisted
from attrs import define, field

from sockd.client.asking import Asking
from sockd.client.measure.carriers import DatagramCarrier, Listener, Pieces
from sockd.client.measure.prober import Prober
from sockd.client.measure.probing import Plan, Probing
from sockd.client.process import Run
from sockd.client.report import HostSummary, Probe, Stamp
from sockd.client.targets import Target, Transport
from sockd.formats.probe import TOKEN_BYTES, ProbeFormat
from tests.client.liars import datagram_liar
from tests.client.running import sock
from tests.memory import REACTOR
from tests.security.test_r5_clock import libfaketime

SECOND = 1_000_000_000
STEPS = [3600 * SECOND, -3600 * SECOND, 20 * 365 * 86_400 * SECOND, SECOND // 500, -SECOND // 500]
PROBES = 30
AT = 15
"""The answer before which the clock is set."""


@define(eq=False)
class Wall:
    """A wall clock that can be set: what the kernel stamps is told by it as well."""

    ahead_ns: int = 0

    def now_ns(self) -> int:
        return time.time_ns() + self.ahead_ns


@define(eq=False)
class Stamped(DatagramCarrier):
    """Hands on what came with stamps by a clock of ours, which is set on the way."""

    wall: Wall = field(factory=Wall)
    step_ns: int = 0
    count: int = 0

    async def open(self, listener: Listener) -> None:
        stamped = self

        class Between:
            could_not = listener.could_not
            broke = listener.broke

            def came(self, pieces: Pieces) -> None:
                listener.came(stamped.stamp(pieces))

        await super().open(Between())

    def stamp(self, pieces: Pieces) -> Pieces:
        """Stamps by the clock as it was; then it is set, if it is time to."""
        ahead_ns = self.wall.ahead_ns
        self.count += len(pieces)
        if self.count >= AT:
            self.wall.ahead_ns = self.step_ns
        return [(one[0], one[1], one[2] and one[2] + ahead_ns, *one[3:]) for one in pieces]


@contextmanager
def server() -> Iterator[int]:
    with datagram_liar(lambda data: [data]) as liar:
        yield liar.port


async def stepped(port: int, step_ns: int) -> tuple[HostSummary, list[Probe]]:
    """A measurement through which the clock is set."""
    wall, told = Wall(), list[Probe]()
    run = Run(REACTOR, Asking(), lambda _: None, wall_ns=wall.now_ns)
    target = Target(Transport.UDP, host="127.0.0.1", port=port)
    carrier = Stamped(run, target, wall=wall, step_ns=step_ns)
    form = ProbeFormat(secrets.token_bytes(TOKEN_BYTES), 64)
    prober = Prober(form, 60 * SECOND, tell=told.append)
    plan = Plan(count=PROBES, interval_ns=SECOND // 500)
    probing = Probing(run, target, carrier, lambda _: prober, plan)
    await probing.go()
    return probing.summary(None), told


@pytest.mark.parametrize("step_ns", STEPS)
@pytest_twisted.ensureDeferred
async def test_a_step_makes_no_round_trip_negative_or_huge(step_ns: int) -> None:
    with server() as port:
        await stepped(port, 0)  # the kernel stamps from now on
        begun_ns = time.monotonic_ns()
        found, told = await stepped(port, step_ns)
        took_ns = time.monotonic_ns() - begun_ns
    assert found.counts.received == PROBES
    assert found.rtt is not None
    assert 0 < found.rtt.min_ns <= found.rtt.max_ns < took_ns
    assert 1 <= found.stamps_discarded < PROBES
    assert found.stamps is Stamp.MIXED
    by_user = [probe for probe in told if probe.stamp is Stamp.USER]
    assert len(by_user) == found.stamps_discarded
    [note] = [note for note in found.notes if "wall clock" in note]
    assert note.startswith(f"{found.stamps_discarded} stamps of the kernel did not fit")


def test_a_process_whose_wall_clock_is_set_tells_so(tmp_path: Path) -> None:
    """The whole of `sock`, which sees another clock than the kernel from then on."""
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    numbers = iter(range(PROBES + 1))

    def sets(data: bytes) -> Sequence[bytes]:
        if next(numbers) == AT:
            clock.write_text("+3600\n")
        return [data]

    environment = {
        "LD_PRELOAD": libfaketime(),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    with datagram_liar(sets) as liar:
        options = ["-J", f"-c{PROBES}", "-i0.02", f"127.0.0.1:{liar.port}"]
        done = sock("echo", *options, environment=environment)
    assert (done.code, done.err) == (0, "")
    events = [json.loads(line) for line in done.out.splitlines()]
    [found] = events[-1]["hosts"]
    assert found["counts"]["received"] == PROBES
    assert 0 < found["rtt"]["min_ns"] <= found["rtt"]["max_ns"] < events[-1]["elapsed_ns"]
    assert found["stamps_discarded"] >= PROBES - AT - 1
    assert [note for note in found["notes"] if "did not fit both clocks" in note]
