"""The summary of a host has all figures of its measurement."""

from __future__ import annotations

from sockd.client.measure.answerers import Answerers
from sockd.client.measure.figures import measured
from sockd.client.measure.prober import Prober
from sockd.client.report import Counts, HostSummary, Stamp
from sockd.formats.probe import ProbeFormat

FORM = ProbeFormat(b"session!", 20)
ABOUT = HostSummary(target="here", transport="udp", port=7, window=3)


def test_figures_of_a_prober_stand_beside_what_is_known_of_the_host() -> None:
    prober = Prober(FORM, 1_000)
    for at in range(100):
        prober.sent(at, 0)
        prober.received(FORM.encode(at), at + 10 + at)
    found = measured(prober, ABOUT)
    assert (found.target, found.port, found.window) == ("here", 7, 3)
    assert found.counts == Counts(sent=100, received=100, bytes_sent=2_000, bytes_received=2_000)
    assert found.rtt is not None
    assert (found.rtt.min_ns, found.rtt.max_ns) == (10, 109)
    assert found.lateness is not None
    assert found.lateness.max_ns == 99
    assert (found.pdv_p99_ns, found.jitter_ns, found.stamps) == (98, 1, Stamp.USER)
    assert sum(times for *_, times in found.histogram) == 100


def test_a_host_that_was_asked_nothing_has_no_figures() -> None:
    assert measured(Prober(FORM, 1_000), ABOUT) == ABOUT
    assert measured(Answerers(FORM, 1_000), ABOUT) == ABOUT
