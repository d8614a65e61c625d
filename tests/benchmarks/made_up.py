"""Results that nobody has measured."""

from __future__ import annotations

from benchmarks.roster import Peer
from benchmarks.run import Result, Row, Sample
from benchmarks.works import Work

OURS = Peer("ours <&>", ("ours",))
FAST = Peer('fast "one" | two', ("fast",))
SLOW = Peer("slow", ("slow",))
ABSENT = Peer("absent", ("absent",))


def result(
    rates: dict[Peer, list[float]],
    targets: dict[Peer, float | None] | None = None,
    *,
    unit: str = "messages/s",
    less_is_better: bool = False,
) -> Result:
    """A result with these rates, ours first; a peer without any has not run."""
    others = dict.fromkeys(list(rates)[1:])
    work = Work(
        "work",
        "a work of <some> kind",
        "echo",
        ("pingpong",),
        unit,
        {**others, **(targets or {})},
        "memory" if less_is_better else "load",
    )
    rows = [
        Row(peer, [Sample(rate, 100.0, 200.0, 0.0, 0.5) for rate in found], "" if found else "why")
        for peer, found in rates.items()
    ]
    return Result(work, rows)
