"""Servers loaded one after the other, round by round."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from attrs import define, evolve, field, frozen

from benchmarks.machine import Cores
from benchmarks.processes import Child, Failed, free_port, started
from benchmarks.roster import BUILT, Peer
from benchmarks.works import Work

START_SECONDS = 10.0
"""Until a server listens."""
EXTRA_SECONDS = 30.0
"""Beyond its own time, until a load counts as stuck: it may open 10,000 connections in it."""
TALK = 20
"""So many times as long as others are loaded, users talk: what is rare shows in a p99."""
LOG_IN_SECONDS = 120.0
"""Until so many users count as stuck while they log in."""
PORT = re.compile(r"^(\d+)$|(?:127\.0\.0\.1|0\.0\.0\.0):(\d+)\b", re.MULTILINE)
"""What a peer writes when it listens: the port alone, or an address in a table."""


@frozen
class Sample:
    """One measurement of one peer; latencies in microseconds."""

    rate: float
    p50: float = 0.0
    p99: float = 0.0
    loss: float = 0.0
    """Share of datagrams that were not answered in time."""
    cpu: float = 0.0
    """Share of its core that the load took: near 1, it and not the server is measured."""
    cost: float = 0.0
    """Microseconds of the server's core for each of what is counted, where the load looked."""
    memory: float = 0.0
    """Bytes that the server has grown by."""


@define
class Row:
    """All measurements of one peer at one work; `trouble` says why there are none."""

    peer: Peer
    samples: list[Sample] = field(factory=list)
    trouble: str = ""

    def typical(self, name: str) -> float:
        """The median of one of the sample's fields."""
        return float(median(getattr(sample, name) for sample in self.samples))

    @contextmanager
    def watched(self) -> Iterator[None]:
        """What fails in the block is this peer's trouble; the others go on."""
        try:
            yield
        except Failed as error:
            self.trouble = str(error)


@define
class Result:
    """One work, with a row for each peer, ours first."""

    work: Work
    rows: list[Row]

    def ratios(self, row: Row) -> list[float]:
        """Ours by theirs, each within one round; none where one of them could not run."""
        ours = self.rows[0]
        if row is ours or ours.trouble or row.trouble:
            return []
        pairs = zip(ours.samples, row.samples, strict=True)
        return [mine.rate / theirs.rate for mine, theirs in pairs]


@frozen
class Plan:
    """How long, and how often."""

    starts: int
    """How often the servers of a work are started anew: no two processes are alike."""
    rounds: int
    """In each of which every peer has its turn, once."""
    seconds: float
    warmup: float


def _sample(found: dict[str, Any]) -> Sample:
    """What the load generator has found."""
    cost = found["server_cpu"] / found["count"] * 1e6
    return Sample(
        found["rate"], found["p50_us"], found["p99_us"], found["loss"], found["cpu"], cost
    )


Turn = Callable[[], Sample]
"""Measures a peer once."""


@frozen
class Bench:
    """Where measurements are made, and with what."""

    cores: Cores
    plan: Plan
    environment: dict[str, str]
    """For the peers: where the certificate is."""
    load: Path = BUILT / "load"

    def measure(self, work: Work, tell: Callable[[str], None]) -> Result:
        """All peers at one work, in turn in every round."""
        rows = [Row(peer, trouble=peer.why_missing()) for peer in work.peers]
        # memory is no matter of chance: a new server each time is enough
        rounds = 1 if work.measure in ("memory", "users") else self.plan.rounds
        for _ in range(self.plan.starts):
            with ExitStack() as servers:
                turns: list[tuple[Row, Turn]] = []
                for row in rows:
                    if not row.trouble:
                        with row.watched():
                            turns.append((row, self._turn(work, row.peer, servers)))
                for _ in range(rounds):
                    for row, turn in turns:
                        if not row.trouble:
                            with row.watched():
                                row.samples.append(turn())
                            tell(f"{work.name}, {row.peer.name}")
        return Result(work, rows)

    def _turn(self, work: Work, peer: Peer, servers: ExitStack) -> Turn:
        if work.measure == "fan-out":
            return lambda: self._fan_out(work, peer)
        if work.measure == "memory":
            return lambda: self._memory(work, peer)
        if work.measure == "users":
            return lambda: self._users(work, peer)
        server, port = servers.enter_context(self.serving(work.kind, peer))
        return lambda: self._load(work, server, port)

    def _load(self, work: Work, server: Child, port: int) -> Sample:
        """A server under load for a while."""
        times = {"--seconds": self.plan.seconds, "--warmup": self.plan.warmup}
        options = [text for name, value in times.items() for text in (name, str(value))]
        if work.is_watched:
            options += ["--watch", str(server.pid)]
        before = server.processor_seconds()
        with self._loading(*work.load, "--port", str(port), *options) as load:
            try:
                line = load.finish(sum(times.values()) + EXTRA_SECONDS)
            except Failed as error:
                raise Failed(f"{error} {server.errors()}") from None
        taken = server.processor_seconds() - before
        found: dict[str, Any] = json.loads(line)
        if not found["count"]:
            raise Failed(f"no answer within {self.plan.seconds:g} s; {server.errors()}")
        sample = _sample(found)
        if work.measure == "processor":
            rate = 1e6 / sample.cost if sample.cost else found["total"] / taken
            return evolve(sample, rate=rate)
        return sample

    def _users(self, work: Work, peer: Peer) -> Sample:
        """A new server with many users, some of whom talk; what it grows by, to the end."""
        seconds = self.plan.seconds * TALK
        with self.serving(work.kind, peer) as (server, port):
            before = server.resident()
            options = ["--port", str(port), "--seconds", str(seconds), "--watch", str(server.pid)]
            with self._loading(*work.load, *options) as load:
                load.wait_for(re.compile("^done$", re.MULTILINE), seconds + LOG_IN_SECONDS)
                grown = server.resident() - before
                load.close_input()
                line = load.finish(EXTRA_SECONDS).splitlines()[-1]
            return evolve(_sample(json.loads(line)), memory=grown)

    def _fan_out(self, work: Work, peer: Peer) -> Sample:
        """A sender beside sockets that nobody reads."""
        with self._loading(*work.load) as sink:
            first = sink.wait_for(PORT, START_SECONDS)[1]
            argv = [*peer.argv, work.kind, str(self.plan.seconds)]
            environment = {**self.environment, "PORT": first}
            with started(argv, self.cores.server, environment) as sender:
                return Sample(float(sender.finish(self.plan.seconds + EXTRA_SECONDS)))

    def _memory(self, work: Work, peer: Peer) -> Sample:
        """What a new server's resident memory grows by for each of many idle connections."""
        with self.serving(work.kind, peer) as (server, port):
            before = server.resident()
            with self._loading(*work.load, "--port", str(port)) as load:
                load.wait_for(re.compile("^ready$", re.MULTILINE), EXTRA_SECONDS)
                grown = server.resident() - before
                if grown <= 0:
                    raise Failed(f"resident memory did not grow: {grown} bytes")
                return Sample(grown / work.idle)

    @contextmanager
    def serving(self, kind: str, peer: Peer) -> Iterator[tuple[Child, int]]:
        """A peer that listens, and where."""
        environment = {**self.environment, "PORT": str(free_port())}
        argv = [*peer.argv, peer.kind or kind]
        with started(argv, self.cores.server, environment) as server:
            found = server.wait_for(PORT, START_SECONDS)
            port = int(found[1] or found[2])
            if kind not in ("udp-echo", "chat"):
                server.wait_for_port(port, START_SECONDS)
            yield server, port

    @contextmanager
    def _loading(self, *arguments: str) -> Iterator[Child]:
        with started([str(self.load), *arguments], self.cores.load) as load:
            yield load
