"""Of a broadcast everybody may answer once: who did, and how."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.client.measure.answerers import (
    MOST_ANSWERERS,
    MOST_IN_FLIGHT,
    REMEMBERED,
    Answerers,
)
from sockd.client.report import Counts, Outcome, Probe, Stamp
from sockd.formats.probe import SEQUENCES, ProbeFormat

FORM = ProbeFormat(b"session!", 32)
WAIT = 1_000
ADA, BOB, EVE = "192.0.2.1", "192.0.2.2", "192.0.2.3"


def asked(*times: int, first: int = 0) -> Answerers:
    """Probes were sent at these times."""
    everybody = Answerers(FORM, WAIT, first=first)
    for at in times:
        everybody.sent(at)
    return everybody


def test_an_answer_from_a_second_address_is_no_duplicate() -> None:
    everybody = asked(0)
    everybody.received_many([(FORM.encode(0), None, ADA), (FORM.encode(0), None, BOB)], 10)
    assert everybody.counts == Counts(sent=1, received=1, bytes_sent=32, bytes_received=64)
    for address in (ADA, BOB):
        assert everybody.counts_of(address) == Counts(
            sent=1, received=1, bytes_sent=32, bytes_received=32
        )
    everybody.received_many([(FORM.encode(0), None, BOB)], 11)
    assert everybody.counts.duplicates == 1
    assert everybody.counts_of(ADA).duplicates == 0
    assert everybody.counts_of(BOB).duplicates == 1
    assert len(everybody.rtt) == 2


def test_a_probe_is_lost_for_an_address_that_did_not_answer_and_for_all_if_none_did() -> None:
    everybody = asked(0, 1, 2)
    everybody.received_many([(FORM.encode(0), None, ADA), (FORM.encode(1), None, BOB)], 10)
    everybody.expire(WAIT + 2)
    assert (everybody.counts.received, everybody.counts.lost, everybody.in_flight) == (2, 0, 1)
    ada = everybody.counts_of(ADA)
    assert (ada.received, ada.lost, ada.in_flight) == (1, 1, 1)
    everybody.expire(WAIT + 3)
    assert (everybody.counts.received, everybody.counts.lost, everybody.in_flight) == (2, 1, 0)
    ada = everybody.counts_of(ADA)
    assert (ada.received, ada.lost, ada.in_flight) == (1, 2, 0)
    assert everybody.next_expiry_ns is None


def test_an_answer_after_the_wait_is_late_for_its_address() -> None:
    everybody = asked(0)
    everybody.received_many([(FORM.encode(0), None, ADA)], 10)
    everybody.received_many([(FORM.encode(0), None, BOB)], WAIT + 1)
    everybody.received_many([(FORM.encode(0), None, EVE)], WAIT + 2)
    everybody.received_many([(FORM.encode(0), None, EVE)], WAIT + 2)
    assert (everybody.counts.received, everybody.counts.late, everybody.counts.lost) == (1, 2, 0)
    eve = everybody.counts_of(EVE)
    assert (eve.received, eve.lost, eve.late, eve.duplicates) == (0, 1, 1, 1)


def test_order_and_jitter_are_those_of_each_address() -> None:
    everybody = asked(0, 0)
    everybody.received_many([(FORM.encode(1), None, ADA), (FORM.encode(0), None, BOB)], 16)
    everybody.received_many([(FORM.encode(0), None, ADA), (FORM.encode(1), None, BOB)], 32)
    assert everybody.counts_of(ADA).reordered == 1
    assert everybody.counts_of(BOB).reordered == 0
    assert everybody.by_address[ADA].jitter.ns == 1
    assert [*everybody.by_address] == [ADA, BOB]


def test_what_is_foreign_makes_nobody_an_answerer_and_what_is_corrupt_does() -> None:
    everybody = asked(0)
    everybody.received_many([(b"noise", None, EVE)], 5)
    assert everybody.by_address == {}
    everybody.received_many([(FORM.encode(0)[:-1], None, ADA), (FORM.encode(9), None, ADA)], 5)
    everybody.received_many([(FORM.encode(0, 2), None, ADA)], 5)
    assert (everybody.counts.foreign, everybody.counts.corrupt) == (1, 3)
    assert everybody.counts_of(ADA).corrupt == 3


def test_stamps_are_carried_over_as_for_one_target() -> None:
    everybody = asked(100, 100)
    everybody.received_many(
        [(FORM.encode(0), 1_120, ADA), (FORM.encode(0), 1_090, BOB)], 150, -1_000
    )
    assert (everybody.rtt.min_ns, everybody.rtt.max_ns) == (20, 50)
    assert (everybody.stamps, everybody.stamps_discarded) == (Stamp.MIXED, 1)


def test_outcomes_are_told_with_who_answered() -> None:
    told: list[Probe] = []
    everybody = Answerers(FORM, WAIT, target="255.255.255.255", tell=told.append)
    everybody.unsent("no route")
    everybody.sent(0, 0)
    everybody.sent(0)
    everybody.received_many([(FORM.encode(1), None, ADA), (FORM.encode(1), None, ADA)], 7)
    everybody.received_many([(b"", None, BOB)], 8)
    everybody.expire(WAIT + 1)
    everybody.received_many([(FORM.encode(2), None, ADA)], WAIT + 9)
    assert [(one.outcome, one.seq, one.address, one.rtt_ns) for one in told] == [
        (Outcome.FAILED, 0, None, None),
        (Outcome.ANSWERED, 1, ADA, 7),
        (Outcome.DUPLICATE, 1, ADA, 7),
        (Outcome.FOREIGN, 0, BOB, None),
        (Outcome.LOST, 2, None, None),
        (Outcome.LATE, 2, ADA, None),
    ]
    assert everybody.lateness.max_ns == 0
    assert everybody.counts.failed == everybody.counts_of(ADA).failed == 1


def test_an_interval_has_what_came_since_the_last() -> None:
    everybody = asked(0, 0)
    everybody.received_many([(FORM.encode(0), None, ADA), (FORM.encode(0), None, BOB)], 10)
    counts, rtt = everybody.interval()
    assert (counts.sent, counts.received, counts.in_flight) == (2, 1, 1)
    assert rtt is not None
    assert rtt.count == 2
    assert everybody.interval() == (Counts(in_flight=1), None)


def test_more_addresses_than_can_be_told_apart_are_counted_and_no_more() -> None:
    everybody = asked(0)
    for number in range(MOST_ANSWERERS + 5):
        everybody.received_many([(FORM.encode(0), None, f"host{number}")], 10)
    assert len(everybody.by_address) == MOST_ANSWERERS
    assert everybody.unlisted == 5
    everybody.received_many([(FORM.encode(0)[:-1], None, "one more")], 10)
    assert everybody.counts.corrupt == 1


def test_no_more_probes_are_in_flight_than_their_table_holds() -> None:
    everybody = asked(*[0] * MOST_IN_FLIGHT)
    assert everybody.room == 0
    with pytest.raises(OverflowError, match="the wait of 4096 probes is not over"):
        everybody.sent(0)


def test_what_is_older_than_is_remembered_counts_as_late_and_memory_does_not_grow() -> None:
    everybody, now = Answerers(FORM, WAIT), 0
    for n in range(4 * REMEMBERED):
        everybody.sent(now)
        everybody.received_many([(FORM.encode(n), None, ADA)], now)
        now += WAIT + 1
        everybody.expire(now)
    assert len(everybody.by_address[ADA]._had) <= 2 * REMEMBERED + 1
    everybody.received_many([(FORM.encode(0), None, ADA)], now)
    assert (everybody.counts.late, everybody.counts.duplicates) == (1, 0)
    everybody.received_many([(FORM.encode(3 * REMEMBERED), None, ADA)], now)
    assert (everybody.counts.late, everybody.counts.duplicates) == (1, 1)
    assert everybody.counts.received == 4 * REMEMBERED


@given(
    st.integers(1, 8),
    st.lists(st.tuples(st.integers(0, 7), st.sampled_from([ADA, BOB, EVE])), max_size=60),
    st.sampled_from([0, SEQUENCES - 3]),
)
def test_each_address_is_counted_as_if_it_were_alone(
    probes: int, answers: list[tuple[int, str]], first: int
) -> None:
    everybody = asked(*[0] * probes, first=first)
    payloads = [FORM.encode((first + n) % SEQUENCES) for n in range(8)]
    everybody.received_many([(payloads[n], None, address) for n, address in answers], 5)
    assert everybody.in_flight == probes - everybody.counts.received
    everybody.expire(WAIT + 1)
    for address in everybody.by_address:
        own = [n for n, who in answers if who == address]
        valid = [n for n in own if n < probes]
        counts = everybody.counts_of(address)
        assert counts.received == len({*valid})
        assert counts.lost == probes - len({*valid})
        assert counts.duplicates == len(valid) - len({*valid})
        assert counts.corrupt == len(own) - len(valid)
    anybody = {n for n, _ in answers if n < probes}
    assert everybody.counts.received == len(anybody)
    assert everybody.counts.lost == probes - len(anybody)
