"""The prober counts what was sent, what came and what did not, and measures round trips."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import asdict

from sockd.client.measure.prober import (
    LOST_REMEMBERED,
    MOST_UNANSWERED,
    REMEMBERED,
    Prober,
)
from sockd.client.report import Counts, Outcome, Probe, Stamp
from sockd.formats.probe import SEQUENCES, ProbeFormat

FORM = ProbeFormat(b"session!", 40)
WAIT = 1_000


def counts(prober: Prober) -> dict[str, Any]:
    """The counts that are not 0, without bytes."""
    return {
        name: value
        for name, value in asdict(prober.counts).items()
        if value and not name.startswith("bytes")
    }


def asked(*times: int, first: int = 0, attempts: int = 1) -> Prober:
    """A prober that has sent a probe at each of these times."""
    prober = Prober(FORM, WAIT, first=first, attempts=attempts)
    for at in times:
        prober.sent(at)
    return prober


def telling(wait: int = WAIT, attempts: int = 1) -> tuple[Prober, list[Probe]]:
    """A prober that tells outcomes, and what it has told."""
    told: list[Probe] = []
    prober = Prober(FORM, wait, attempts=attempts, target="here", tell=told.append)
    return prober, told


def test_a_round_trip_is_from_its_own_send_to_its_answer() -> None:
    prober = asked(100, 150)
    prober.received(FORM.encode(1), 160)
    prober.received(FORM.encode(0), 170)
    assert prober.rtt.spread() is not None
    assert (prober.rtt.min_ns, prober.rtt.max_ns) == (10, 70)
    assert counts(prober) == {"sent": 2, "received": 2, "reordered": 1}
    assert prober.jitter_ns == round(60 / 16)


def test_what_is_in_flight_is_neither_lost_nor_received() -> None:
    prober = asked(0, 500, 900)
    prober.received(FORM.encode(0), 10)
    prober.expire(1_501)
    assert counts(prober) == {"sent": 3, "received": 1, "lost": 1, "in_flight": 1}
    assert prober.counts.loss == 0.5


def test_a_probe_is_lost_once_the_wait_of_its_own_send_is_over() -> None:
    prober = asked(0, 10)
    assert prober.next_expiry_ns == WAIT + 1
    prober.expire(WAIT)
    assert prober.counts.lost == 0
    prober.expire(WAIT + 1)
    assert prober.counts.lost == 1
    assert prober.next_expiry_ns == WAIT + 11
    prober.expire(WAIT + 11)
    assert prober.counts.lost == 2
    assert prober.next_expiry_ns is None


def test_an_answer_in_the_last_moment_of_its_wait_is_in_time() -> None:
    prober = asked(0, 0)
    prober.received(FORM.encode(0), WAIT)
    prober.received(FORM.encode(1), WAIT + 1)
    assert counts(prober) == {"sent": 2, "received": 1, "lost": 1, "late": 1}
    assert prober.rtt.max_ns == WAIT


def test_a_late_answer_leaves_its_probe_lost_and_its_copy_is_a_duplicate() -> None:
    prober = asked(0)
    prober.expire(WAIT + 1)
    for _ in range(3):
        prober.received(FORM.encode(0), WAIT + 50)
    assert counts(prober) == {"sent": 1, "lost": 1, "late": 1, "duplicates": 2}
    assert len(prober.rtt) == 0


def test_a_late_answer_says_nothing_of_the_order() -> None:
    prober = asked(0, 0, 0)
    prober.expire(WAIT + 1)
    prober.sent(WAIT + 2)
    prober.received(FORM.encode(3), WAIT + 3)
    prober.received(FORM.encode(1), WAIT + 4)
    assert prober.counts.reordered == 0


def test_a_duplicate_never_raises_received() -> None:
    prober = asked(0, 0)
    prober.received_many([(FORM.encode(0), None)] * 5, 10)
    assert counts(prober) == {"sent": 2, "received": 1, "duplicates": 4, "in_flight": 1}
    assert prober.counts.bytes_received == 40


def test_what_was_never_sent_is_corrupt_though_it_is_whole() -> None:
    prober = asked(0, first=5)
    for seq in (4, 6, 5 + SEQUENCES // 2):
        prober.received(FORM.encode(seq), 10)
    prober.received(FORM.encode(5, 2), 10)
    prober.received(FORM.encode(5, 0), 10)
    prober.received(FORM.encode(5)[:-1], 10)
    assert counts(prober) == {"sent": 1, "corrupt": 6, "in_flight": 1}
    prober.received(FORM.encode(5), 10)
    assert prober.counts.received == 1


def test_what_has_another_token_is_foreign_and_answers_nothing() -> None:
    prober = asked(0)
    prober.received(ProbeFormat(b"another!", 40).encode(0), 10)
    prober.received(b"", 10)
    assert counts(prober) == {"sent": 1, "foreign": 2, "in_flight": 1}


def test_numbers_go_on_with_0_after_the_last() -> None:
    prober = Prober(FORM, WAIT, first=SEQUENCES - 2)
    payloads = prober.payloads(4)
    assert payloads == [FORM.encode(seq) for seq in (SEQUENCES - 2, SEQUENCES - 1, 0, 1)]
    prober.sent_many(4, 0)
    assert prober.payloads() == [FORM.encode(2)]
    prober.received_many([(data, None) for data in payloads], 10)
    assert counts(prober) == {"sent": 4, "received": 4}
    prober.received(payloads[1], 11)
    assert counts(prober) == {"sent": 4, "received": 4, "duplicates": 1}


def test_a_probe_that_could_not_be_sent_has_failed_and_took_a_number() -> None:
    prober = Prober(FORM, WAIT)
    prober.unsent("no buffer space")
    prober.sent(0)
    prober.received(FORM.encode(1), 5)
    assert counts(prober) == {"sent": 2, "received": 1, "failed": 1}
    assert prober.counts.bytes_sent == 40


def test_an_error_of_the_network_ends_the_probe_it_quotes() -> None:
    prober = asked(0, 0)
    head = FORM.head(FORM.encode(0)[:28])
    assert head is not None
    assert prober.failed(head[0], "port unreachable")
    assert not prober.failed(head[0], "port unreachable"), "a second one says nothing new"
    assert not prober.failed(77, "port unreachable")
    assert counts(prober) == {"sent": 2, "failed": 1, "in_flight": 1}
    prober.received(FORM.encode(0), 10)
    assert counts(prober) == {"sent": 2, "failed": 1, "in_flight": 1, "late": 1}


def test_a_try_again_is_due_after_the_wait_of_the_last_and_measured_by_its_own_send() -> None:
    prober = asked(0, 0, attempts=3)
    prober.received(FORM.encode(1), 10)
    assert prober.expire(WAIT) == []
    assert prober.expire(WAIT + 1) == [0]
    assert prober.expire(WAIT + 2) == [], "it is asked for once"
    assert counts(prober) == {"sent": 2, "received": 1, "in_flight": 1}
    assert prober.next_try(0) == FORM.encode(0, 2)
    prober.sent_again(0, WAIT + 5)
    prober.received(FORM.encode(0, 3), WAIT + 6)
    prober.received(FORM.encode(0, 1), WAIT + 7)
    prober.received(FORM.encode(0, 2), WAIT + 25)
    prober.received(FORM.encode(0, 1), WAIT + 26)
    assert counts(prober) == {
        "sent": 2, "received": 2, "corrupt": 1, "late": 1, "duplicates": 1, "reordered": 1,
    }  # fmt: skip
    assert prober.rtt.max_ns == 20
    assert prober.counts.bytes_sent == 3 * 40
    assert prober._tries == {}, "what is not in flight needs no memory"


def test_a_probe_is_lost_when_the_wait_of_its_last_try_is_over() -> None:
    prober = asked(0, attempts=2)
    assert prober.expire(WAIT + 1) == [0]
    prober.sent_again(0, 2 * WAIT)
    prober.sent_again(0, 2 * WAIT)
    prober.sent_again(9, 2 * WAIT)
    assert prober.expire(3 * WAIT) == []
    assert prober.expire(3 * WAIT + 1) == []
    assert counts(prober) == {"sent": 1, "lost": 1}
    assert prober.counts.bytes_sent == 2 * 40


def test_what_has_failed_is_not_tried_again() -> None:
    prober = asked(0, 0, attempts=2)
    prober.received(FORM.encode(0), WAIT + 1)
    assert counts(prober) == {"sent": 2, "late": 1, "in_flight": 2}
    assert prober.failed(0, "unreachable")
    assert prober.expire(WAIT + 1) == [1]
    assert prober.failed(1, "no buffer space")
    assert counts(prober) == {"sent": 2, "late": 1, "failed": 2}


@pytest.mark.parametrize("attempts", [0, 65_536])
def test_a_number_of_tries_that_cannot_be_is_an_error(attempts: int) -> None:
    with pytest.raises(ValueError, match="1 to 65535 times"):
        Prober(FORM, WAIT, attempts=attempts)


def test_the_stamp_of_the_kernel_is_taken_where_it_fits_both_clocks() -> None:
    offset = -1_000_000
    prober = asked(100, 100, 100, 100)
    arrived = [(FORM.encode(0), 1_000_110), (FORM.encode(1), 1_000_140)]
    prober.received_many(arrived, 150, offset)
    assert (prober.rtt.min_ns, prober.rtt.max_ns, prober.stamps) == (10, 40, Stamp.KERNEL)
    before_its_send, after_now = 1_000_099, 1_000_181
    prober.received_many(
        [(FORM.encode(2), before_its_send), (FORM.encode(3), after_now)], 180, offset
    )
    assert prober.stamps_discarded == 2
    assert (prober.rtt.max_ns, prober.stamps) == (80, Stamp.MIXED)


def test_without_an_offset_or_a_stamp_the_users_time_is_taken() -> None:
    prober = asked(100, 100)
    assert [prober.stamps] == [None]
    prober.received(FORM.encode(0), 150, 1_000_110, None)
    prober.received(FORM.encode(1), 150)
    assert (prober.stamps, prober.stamps_discarded) == (Stamp.USER, 1)
    assert (prober.rtt.min_ns, prober.rtt.max_ns) == (50, 50)


def test_an_answer_that_was_there_in_time_is_in_time_though_read_later() -> None:
    prober = asked(0)
    prober.received(FORM.encode(0), 50 * WAIT, WAIT, 0)
    assert counts(prober) == {"sent": 1, "received": 1}
    assert prober.rtt.max_ns == WAIT


def test_lateness_is_how_much_later_than_due_a_probe_was_sent() -> None:
    prober = Prober(FORM, WAIT)
    prober.sent(107, 100)
    prober.sent(199, 200)
    assert (prober.lateness.max_ns, prober.lateness.min_ns) == (7, 0)


def test_an_interval_has_what_came_since_the_last() -> None:
    prober = asked(0, 0, 0)
    prober.received(FORM.encode(0), 10)
    first, rtt = prober.interval()
    assert (first.sent, first.received, first.in_flight) == (3, 1, 2)
    assert rtt is not None
    assert rtt.max_ns == 10
    prober.received(FORM.encode(1), 30)
    prober.received(FORM.encode(1), 30)
    prober.expire(WAIT + 1)
    second, rtt = prober.interval()
    assert second == Counts(received=1, lost=1, duplicates=1, bytes_received=40)
    assert rtt is not None
    assert (rtt.count, rtt.max_ns) == (1, 30)
    assert prober.interval() == (Counts(), None)
    assert prober.counts.sent == 3


def test_each_outcome_is_told_with_what_is_known_of_it() -> None:
    prober, told = telling()
    prober.sent(0, 0)
    prober.sent(9, 5)
    prober.unsent("no route")
    prober.received(FORM.encode(1), 29, 28, 0)
    prober.received(FORM.encode(1), 30)
    prober.received(b"\0" * 8, 30)
    prober.received(FORM.encode(50), 30)
    prober.expire(WAIT + 1)
    prober.received(FORM.encode(0), WAIT + 5)
    assert [(one.outcome, one.seq, one.rtt_ns, one.late_ns, one.stamp) for one in told] == [
        (Outcome.FAILED, 2, None, None, None),
        (Outcome.ANSWERED, 1, 19, 4, Stamp.KERNEL),
        (Outcome.DUPLICATE, 1, None, None, None),
        (Outcome.FOREIGN, 0, None, None, None),
        (Outcome.CORRUPT, 0, None, None, None),
        (Outcome.LOST, 0, None, 0, None),
        (Outcome.LATE, 0, WAIT + 5, None, Stamp.USER),
    ]
    assert told[0].reason == "no route"
    assert {(one.target, one.transport) for one in told} == {("here", "udp")}
    assert [one.size for one in told] == [None, 40, 40, 8, 40, None, 40]


def test_counts_are_right_when_an_outcome_is_told() -> None:
    seen: list[Counts] = []
    prober = Prober(FORM, WAIT, tell=lambda _: seen.append(prober.counts))
    prober.sent_many(3, 0)
    prober.received_many([(FORM.encode(seq), None) for seq in range(3)], 10)
    assert [one.received for one in seen] == [3, 3, 3]


def test_tries_are_told_apart() -> None:
    prober, told = telling(attempts=2)
    prober.sent_many(2, 0)
    assert prober.expire(WAIT + 1) == [0, 1]
    prober.sent_again(0, WAIT + 2)
    prober.sent_again(1, WAIT + 2)
    prober.received(FORM.encode(0, 1), WAIT + 3)
    prober.received(FORM.encode(0, 2), WAIT + 4)
    prober.expire(2 * WAIT + 3)
    prober.received(FORM.encode(1, 2), 3 * WAIT + 2)
    assert [(one.outcome, one.seq, one.attempt, one.rtt_ns) for one in told] == [
        (Outcome.LATE, 0, 1, None),
        (Outcome.ANSWERED, 0, 2, 2),
        (Outcome.LOST, 1, 2, None),
        (Outcome.LATE, 1, 2, 2 * WAIT),
    ]


def test_no_more_probes_are_in_flight_than_their_table_holds() -> None:
    prober = Prober(FORM, WAIT)
    prober.sent_many(MOST_UNANSWERED, 0)
    assert prober.room == 0
    with pytest.raises(OverflowError, match="1000000 probes have no answer yet"):
        prober.sent(0)
    prober.received(FORM.encode(3), 10)
    assert prober.room == 1
    prober.sent(0)
    prober.expire(WAIT + 1)
    assert prober.counts.lost == MOST_UNANSWERED
    assert len(prober._lost_sent) + len(prober._lost_before) <= 2 * LOST_REMEMBERED
    assert prober.room == MOST_UNANSWERED


def test_what_is_older_than_is_remembered_counts_as_late() -> None:
    prober = Prober(FORM, WAIT)
    prober.sent_many(3, 0)
    prober.received(FORM.encode(0), 10)
    prober.received(FORM.encode(1), 10)
    for start in range(3, REMEMBERED + 1, 50_000):
        now = start
        prober.sent_many(min(50_000, REMEMBERED + 1 - start), now)
        prober.expire(now)
    prober.received(FORM.encode(1), 10)
    assert prober.counts.duplicates == 1, "the oldest that is remembered"
    prober.received(FORM.encode(0), 10)
    assert (prober.counts.duplicates, prober.counts.late) == (1, 1), "the first that is not"
    prober.received(FORM.encode(0), 10)
    assert prober.counts.late == 2


def test_what_is_remembered_of_a_probe_is_not_taken_for_a_later_ones() -> None:
    prober = asked(0, 0, 0)
    prober.received(FORM.encode(1), 10)
    prober.received(FORM.encode(2), 10)
    prober.sent_many(REMEMBERED // 2, 20)
    for n in range(3, 3 + REMEMBERED // 2):
        assert prober.failed(n, "unreachable")
    prober.sent_many(REMEMBERED // 2 - 2, 30)  # so that the next takes the place of the second
    prober.unsent("no buffer space")
    prober.sent(30)
    prober.received(FORM.encode(0), WAIT)
    assert prober.counts.received == 3
    prober.expire(WAIT + 31)
    for n in (REMEMBERED, REMEMBERED + 1, REMEMBERED + 2):
        prober.received(FORM.encode(n), WAIT + 40)
    assert (prober.counts.late, prober.counts.duplicates) == (3, 0)


def test_an_answer_that_was_read_before_its_probe_was_sent_is_an_error_of_the_caller() -> None:
    prober = asked(100)
    with pytest.raises(ValueError, match="read before its probe was sent"):
        prober.received(FORM.encode(0), 99)
    assert prober.rtt.spread() is None
