"""An instrument that is disturbed on purpose: run by itself, as a module, with a server's port.

It measures by turns in peace and disturbed: then, right after each `EVERY`th probe has left, the
garbage collector walks through a heap of 400,000 objects and the live line is drawn. The answer
comes meanwhile. Each round trip is measured by the kernel's stamp and by the time of reading it.
"""

from __future__ import annotations

import gc
import json
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred

from sockd.client.asking import Asking
from sockd.client.measure.carriers import DatagramCarrier
from sockd.client.measure.prober import Datagram, Prober
from sockd.client.measure.probing import Plan, Probing
from sockd.client.net.arrivals import Sent
from sockd.client.outputs.live import REDRAW_NS, Live
from sockd.client.outputs.screen import Screen
from sockd.client.process import Run
from sockd.client.report import Counts, Interval, Start
from sockd.client.targets import Target, Transport
from sockd.formats.probe import ProbeFormat
from tests.client.abroad import MODULES
from tests.client.outputs.told import FakeTerminal

HEAP = 400_000
PROBES = 100
"""Of a round: its p99 is the second longest."""
EVERY = 20
ROUNDS = 7
INTERVAL_NS = 1_000_000
WAIT_NS = 60_000_000_000


@define(eq=False)
class Disturbance:
    """Takes the reactor away for a while."""

    heap: list[Any] = field(factory=lambda: [[] for _ in range(HEAP)])
    took_ns: list[int] = field(factory=list)
    now_ns: int = 0
    live: Live = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.live = Live(Screen(FakeTerminal()), lambda: self.now_ns)
        self.live(Start(command="echo", targets=("localhost",), at_ns=0))

    def __call__(self) -> None:
        before_ns = time.monotonic_ns()
        gc.collect()
        self.now_ns += REDRAW_NS
        self.live(Interval(target="localhost", from_ns=0, to_ns=1, counts=Counts(sent=1)))
        self.took_ns.append(time.monotonic_ns() - before_ns)


@define(eq=False)
class Disturbed(DatagramCarrier):
    """A carrier after whose sends something takes the reactor away."""

    disturb: Callable[[], None] | None = None
    count: int = 0

    def send(self, probes: Sequence[bytes]) -> Sent:
        sent = super().send(probes)
        self.count += 1
        if self.disturb is not None and self.count % EVERY == 0:
            self.disturb()
        return sent


class Twice(Prober):
    """Counts the same probes once more, without the kernel's stamps."""

    def __init__(self, form: ProbeFormat, wait_ns: int) -> None:
        super().__init__(form, wait_ns)
        self.by_user = Prober(form, wait_ns)

    def sent(self, at_ns: int, due_ns: int | None = None) -> None:
        super().sent(at_ns, due_ns)
        self.by_user.sent(at_ns)

    def received_many(self, datagrams: Any, now_ns: int, offset_ns: int | None = None) -> None:
        came: list[Datagram] = list(datagrams)
        super().received_many(came, now_ns, offset_ns)
        self.by_user.received_many([(data, None) for data, _ in came], now_ns)


async def measure(run: Run, target: Target, disturb: Callable[[], None] | None) -> Twice:
    """One round."""
    twice = Twice(ProbeFormat(secrets.token_bytes(8), 64), WAIT_NS)
    carrier = Disturbed(run, target, disturb=disturb)
    plan = Plan(count=PROBES, interval_ns=INTERVAL_NS)
    await Probing(run, target, carrier, lambda _: twice, plan).go()
    return twice


async def work(reactor: Any, port: int) -> None:
    run, target = Run(reactor, Asking(), print), Target(Transport.UDP, host="127.0.0.1", port=port)
    disturbance = Disturbance()
    gc.disable()  # it comes when it is called
    for _ in range(ROUNDS):
        for name, disturb in (("idle", None), ("disturbed", disturbance)):
            twice = await measure(run, target, disturb)
            found = {
                "kind": name,
                "stamps": twice.stamps,
                "kernel_p99_ns": twice.rtt.percentile("p99"),
                "user_p99_ns": twice.by_user.rtt.percentile("p99"),
                "discarded": twice.stamps_discarded,
                "shortest_ns": min(disturbance.took_ns, default=None),
            }
            sys.stdout.write(json.dumps(found) + "\n")


def main(name: str, port: str) -> None:
    import_module(MODULES[name]).install()
    from twisted.internet import reactor

    ours: Any = reactor
    ours.seconds = time.monotonic

    def begin() -> None:
        done = Deferred.fromCoroutine(work(ours, int(port)))
        done.addErrback(lambda failure: sys.stderr.write(failure.getTraceback()))
        done.addBoth(lambda _: ours.stop())

    ours.callWhenRunning(begin)
    ours.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
