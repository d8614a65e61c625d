"""What is told at the end of a run: tables where there are several hosts, else a block of lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sockd.client.outputs.figures import (
    ABSENT,
    Signs,
    amount,
    cut,
    duration,
    frequency,
    labelled,
    named,
    percent,
    rate,
    whom,
)
from sockd.client.outputs.tables import Sheet
from sockd.client.report import Answerer, Counts, HostSummary, Stamp, Summary
from sockd.formats.text import readable

ODDITIES = (
    ("late", "late"),
    ("duplicates", "duplicates"),
    ("reordered", "reordered"),
    ("corrupt", "corrupt"),
    ("foreign", "foreign"),
    ("failed", "failed"),
    ("undelivered", "reported undelivered"),
    ("in_flight", "still on their way"),
)
"""Counters that are told where they are not zero, and how."""
STAMPS = {
    Stamp.KERNEL: "the kernel said when answers came",
    Stamp.USER: "this program said when answers came, the kernel did not",
    Stamp.MIXED: "for some answers the kernel said when they came, for others this program",
}


def short(host: HostSummary, signs: Signs, width: int) -> str:
    """A line on how it stands, as ping's at SIGQUIT."""
    counts, rtt = host.counts, host.rtt
    text = f"{counts.received}/{counts.sent} answered, {percent(counts.loss)} loss"
    if flow := _flow(host):
        text = ", ".join(flow if is_stream(host) else [*_counted(host), *flow])
    elif counts.sent and not comes_back(counts):
        text = ", ".join(_counted(host))
    if rtt is not None:
        figures = (rtt.min_ns, rtt.mean_ns, rtt.max_ns)
        text += f", min/avg/max {'/'.join(duration(ns, signs) for ns in figures)}"
    name = cut(readable(host.target), max(width - len(text) - 2, 3))
    return cut(f"{name}: {text}", width)


def heading(summary: Summary, host: HostSummary, signs: Signs) -> str:
    """What was asked of whom, and how long it took."""
    who = whom(host.target, host.address)
    where = host.transport if host.port is None else f"{host.transport} port {host.port}"
    end = ", interrupted" if summary.interrupted else ""
    took = duration(summary.elapsed_ns, signs)
    return f"{readable(summary.command)} {who}, {where}: {took}{end}"


def block(host: HostSummary, signs: Signs, width: int) -> list[str]:
    """All that is known of one host."""
    lines = [] if is_stream(host) else labelled("probes", _listed(_counted(host)), width)
    if (rtt := host.rtt) is not None:
        spread = [f"{name} {duration(ns, signs)}" for name, ns in _spread(host)]
        lines += labelled("round trip", _listed(spread), width)
        ranks = [f"{name} {duration(ns, signs)}" for name, ns in rtt.percentiles.items()]
        lines += labelled("percentiles", _listed(ranks), width)
    varied = [
        f"{name} {duration(ns, signs)}"
        for name, ns in (("jitter", host.jitter_ns), ("PDV p99", host.pdv_p99_ns))
        if ns is not None
    ]
    lines += labelled("variation", _listed(varied), width)
    if host.stamps is not None and rtt is not None:
        lines += labelled("stamps", STAMPS[host.stamps].split(" "), width)
    return lines + remarks(host, signs, width)


def remarks(host: HostSummary, signs: Signs, width: int) -> list[str]:
    """What a reader should know beside the figures that every host has."""
    lines: list[str] = []
    for label, pieces in _remarks(host, signs):
        lines += labelled(label, pieces, width)
    return lines


def _remarks(host: HostSummary, signs: Signs) -> Iterator[tuple[str, Sequence[str]]]:
    if flow := _flow(host):
        yield "rate", _listed(flow)
    if (late := host.lateness) is not None or host.missed_slots:
        spread = [] if late is None else [("avg", late.mean_ns), ("max", late.max_ns)]
        pieces = [f"{name} {duration(ns, signs)}" for name, ns in spread]
        pieces.append(f"{host.missed_slots or 0} missed slots")
        yield "lateness", [*_listed(pieces), *["(the", "instrument's", "own)"]]
    if host.window is not None:
        text = f"{host.window} probes on their way at once: a closed loop"
        yield "window", text.split(" ")
    if host.stamps_discarded:
        text = f"{host.stamps_discarded} of the kernel discarded: a clock was set meanwhile"
        yield "stamps", text.split(" ")
    if host.own_losses:
        text = f"{host.own_losses} datagrams found our own receive queue full: not the network"
        yield "own losses", text.split(" ")
    for error in host.icmp:
        sender = "our own kernel" if error.sender is None else readable(error.sender)
        yield "ICMP", f"{error.count} x {readable(error.text)}, from {sender}".split(" ")
    if host.values:
        yield "also", _listed([named(name, value, signs) for name, value in host.values.items()])
    for note in host.notes:
        yield "note", readable(note).split(" ")


def _flow(host: HostSummary) -> list[str]:
    """How fast what flows did so, and how much it was; nothing where that was not measured."""
    if host.rate_bps is None:
        return []
    often = [] if host.datagram_rate is None else [frequency(host.datagram_rate)]
    return [rate(host.rate_bps), *often, amount(moved(host.counts))]


def is_stream(host: HostSummary) -> bool:
    """Whether it is a stream that flowed: it has no probes."""
    return host.rate_bps is not None and host.datagram_rate is None


def moved(counts: Counts) -> int:
    """Bytes of a flow, whichever way it goes: what is sent only asks where something comes."""
    return counts.bytes_received or counts.bytes_sent


def comes_back(counts: Counts) -> bool:
    """Whether answers are due: where nothing comes back, as to discard, no loss is known."""
    return bool(counts.received or counts.in_flight or counts.loss is not None)


def _counted(host: HostSummary) -> list[str]:
    counts = host.counts
    if not counts.sent:
        return ["nothing was sent"]
    pieces = [f"{counts.sent} sent"]
    if comes_back(counts):
        pieces += [f"{counts.received} received", f"{percent(counts.loss)} loss"]
    for name, word in ODDITIES:
        if count := getattr(counts, name):
            pieces.append(f"{count} {word}")
    return pieces


def _spread(host: HostSummary | Answerer) -> list[tuple[str, int]]:
    rtt = host.rtt
    if rtt is None:
        return []
    return [
        ("min", rtt.min_ns),
        ("avg", rtt.mean_ns),
        ("max", rtt.max_ns),
        ("stddev", rtt.stddev_ns),
    ]


def _listed(pieces: Sequence[str]) -> list[str]:
    """With a comma behind each but the last."""
    return [f"{piece}," for piece in pieces[:-1]] + list(pieces[-1:])


# of several hosts


def probes_sheet(summary: Summary) -> Sheet:
    """What became of the probes, a row a host."""
    told = [
        (name, word)
        for name, word in ODDITIES
        if any(getattr(host.counts, name) for host in summary.hosts)
    ]
    heads = ["host", "sent", "received", "loss", *(name.replace("_", " ") for name, _ in told)]
    rows = []
    for host in summary.hosts:
        counts = host.counts
        received = str(counts.received) if comes_back(counts) else ABSENT
        row = [readable(host.target), str(counts.sent), received, percent(counts.loss)]
        row += [str(getattr(counts, name)) for name, _ in told]
        rows.append(tuple(row))
    return Sheet("Probes", tuple(heads), tuple(rows))


def trips_sheet(summary: Summary, signs: Signs) -> Sheet:
    """Round trips, a row a host."""
    heads = ("host", "min", "avg", "max", "stddev", "jitter", "PDV p99", "stamp")
    rows = []
    for host in summary.hosts:
        figures: list[int | None] = [ns for _, ns in _spread(host)] or [None] * 4
        figures += [host.jitter_ns, host.pdv_p99_ns]
        stamp = host.stamps or ABSENT
        rows.append((readable(host.target), *(duration(ns, signs) for ns in figures), stamp))
    return Sheet("Round trips", heads, tuple(rows))


def ranks_sheet(summary: Summary, signs: Signs) -> Sheet:
    """Percentiles of round trips, a row a host."""
    ranks = [host.rtt.percentiles if host.rtt else {} for host in summary.hosts]
    names = sorted({name for found in ranks for name in found}, key=_rank)
    rows = tuple(
        (readable(host.target), *(duration(found.get(name), signs) for name in names))
        for host, found in zip(summary.hosts, ranks, strict=True)
    )
    return Sheet("Percentiles of round trips", ("host", *names), rows)


def _rank(name: str) -> tuple[float, str]:
    try:
        return float(name.removeprefix("p")), name
    except ValueError:
        return 0.0, name


def rates_sheet(summary: Summary) -> Sheet:
    """How fast it went, a row a host."""
    absent = [ABSENT] * (2 + any(host.datagram_rate is not None for host in summary.hosts))
    heads = ("host", "rate", "datagrams", "moved") if len(absent) > 2 else ("host", "rate", "moved")
    rows = tuple((readable(host.target), *(_flow(host) or absent)) for host in summary.hosts)
    return Sheet("Throughput", heads, rows)


def answerers_sheet(host: HostSummary, signs: Signs) -> Sheet:
    """Who answered a broadcast or a group, a row each."""
    rows = []
    for one in host.answerers:
        counts = one.counts
        figures: list[int | None] = [ns for _, ns in _spread(one)] or [None] * 4
        rows.append(
            (
                readable(one.address),
                str(counts.received),
                percent(counts.loss),
                str(counts.duplicates),
                *(duration(ns, signs) for ns in (*figures, one.jitter_ns)),
            )
        )
    heads = ("address", "received", "loss", "duplicates", "min", "avg", "max", "stddev", "jitter")
    return Sheet(f"Who answered {readable(host.target)}", heads, tuple(rows))


def timing_sheet(summary: Summary, signs: Signs) -> Sheet:
    """How long each step took, of the last connection where there were some, a row a host."""
    heads = ("host", "resolve", "connect", "TLS", "first byte", "total")
    rows = []
    for host in summary.hosts:
        steps: tuple[int | None, ...] = (None,) * 5
        if (timing := host.timing) is not None:
            steps = (
                timing.resolve_ns,
                timing.connect_ns,
                timing.tls_ns,
                timing.first_byte_ns,
                timing.total_ns,
            )
        rows.append((readable(host.target), *(duration(ns, signs) for ns in steps)))
    is_connected = any(host.timing and host.timing.connect_ns for host in summary.hosts)
    title = "Timing of the last connection" if is_connected else "Timing"
    return Sheet(title, heads, tuple(rows))
