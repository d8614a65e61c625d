"""One probe as a line, in the manner of ping."""

from __future__ import annotations

from sockd.client.outputs.figures import amount, milliseconds, named, whom
from sockd.client.report import Outcome, Probe
from sockd.formats.text import readable

MARKS = {
    Outcome.LOST: " no answer",
    Outcome.LATE: " (late)",
    Outcome.DUPLICATE: " (duplicate)",
    Outcome.CORRUPT: " (corrupt)",
    Outcome.FOREIGN: " (foreign)",
    Outcome.FAILED: " failed",
}
STYLES = {Outcome.ANSWERED: "", Outcome.LOST: "bad", Outcome.FAILED: "bad"}
"""How a line of an outcome looks; others are odd."""
ALWAYS = frozenset({"service"})
"""Values without which nobody knows what was asked: they stand in every line."""


def probe_line(probe: Probe, *, is_alone: bool, has_values: bool = False) -> str:
    """As `64 bytes from 127.0.0.1: seq=3 time=0.123 ms (kernel)`.

    Where there are several hosts, the name is told beside the address.
    """
    who = _who(probe, is_alone=is_alone)
    head = f"{who}: " if probe.size is None else f"{amount_of(probe.size)} from {who}: "
    if probe.outcome is Outcome.FOREIGN:
        return f"{head.rstrip(' :')}{MARKS[probe.outcome]}"
    text = f"{head}seq={probe.seq}"
    if probe.attempt > 1:
        text += f" try={probe.attempt}"
    if probe.rtt_ns is not None:
        text += f" time={milliseconds(probe.rtt_ns)}"
        text += f" ({probe.stamp})" if probe.stamp is not None else ""
    text += MARKS.get(probe.outcome, "")
    if probe.reason:
        text += f": {readable(probe.reason)}"
    for name, value in probe.values.items():
        if has_values or name in ALWAYS:
            text += f", {named(name, value)}"
    return text


def amount_of(size: int) -> str:
    """Bytes, exactly: a line of a probe is compared with what was sent."""
    return amount(size) if size < 1000 else f"{size} bytes"


def _who(probe: Probe, *, is_alone: bool) -> str:
    if is_alone and probe.address is not None:
        return readable(probe.address)
    return whom(probe.target, probe.address)
