"""What a person gets: answers on standard output, all else on standard error."""

from __future__ import annotations

import io
from typing import Any

import pytest
from attrs import evolve

from sockd.client.outputs.answers import MOST_LINE
from sockd.client.report import Answerer, Counts, Error, HostSummary, IcmpErrors, Outcome
from tests.client.outputs.runs import (
    ASKED,
    BROADCAST,
    FLOW,
    MEASURED,
    SENT,
    SILENT,
    error,
    probe,
    start,
    summary,
)
from tests.client.outputs.told import Told, answer

HOSTILE = "".join(
    map(
        chr,
        [
            *range(0x00, 0x09),
            *range(0x0B, 0x20),
            *range(0x7F, 0xA0),
            0x061C,
            *range(0x200B, 0x2010),
            *range(0x2028, 0x202F),
            *range(0x2066, 0x206A),
            0xFEFF,
            0xE0001,
        ],
    )
)
"""Controls of C0 and C1 but tab and LF, and characters that change the order of what is shown."""
# answers


def test_into_a_pipe_an_answer_goes_as_it_came() -> None:
    data = bytes(range(256)) + b"\r\n" + HOSTILE.encode() + b"a line without an end"
    told = Told(answer(data[:100]), answer(data[100:]), probe(), summary())
    assert told.out == data


def test_on_a_terminal_nothing_of_an_answer_acts() -> None:
    told = Told(answer(HOSTILE.encode() + bytes(range(0x80, 0x100))), out_is_terminal=True)
    told(probe(), summary(command="daytime"))
    shown = told.out.decode()
    assert shown.endswith("\n")
    assert shown.removesuffix("\n").isprintable()
    assert "\\x1b" in shown


def test_on_a_terminal_line_ends_stay_and_a_line_without_one_gets_none() -> None:
    told = Told(answer(b"one\r\ntwo\nthr"), out_is_terminal=True)
    assert told.out == b"one\ntwo\nthr"
    told(answer(b"ee\x07"))
    assert told.out == b"one\ntwo\nthree\\x07"


def test_at_the_end_a_line_on_a_terminal_is_ended_so_that_the_prompt_stands_on_its_own() -> None:
    told = Told(answer(b"no end"), probe(), summary(command="daytime"), out_is_terminal=True)
    assert told.out == b"no end\n"


def test_what_is_held_back_is_told_when_the_answer_is_complete() -> None:
    told = Told(answer(b"half of it: \xe2\x82"), out_is_terminal=True)
    assert told.out == b"half of it: "
    told(probe())
    assert told.out == b"half of it: \\xe2\\x82"


@pytest.mark.parametrize(
    ("asking", "is_told"),
    [
        ({}, False),
        ({"count": 2}, True),
        ({"interval": 1.0}, True),
        ({"interval": 1.0, "count": 1}, False),
        ({"interval": 1.0, "is_quiet": True}, False),
        ({"interval": 0.009}, False),
    ],
)
def test_a_question_that_fails_is_told_where_others_follow(
    asking: dict[str, Any], is_told: bool
) -> None:
    told = Told(probe(Outcome.LOST), probe(), **asking)
    assert told.lines == ["127.0.0.1: seq=3 no answer"] * is_told


def test_a_message_repeats_a_backslash_as_it_was_typed() -> None:
    assert Told(error("localhost", r"localhost said to 'a\b': below 2")).lines == [
        r"sock: localhost said to 'a\b': below 2"
    ]


HOSTS = ("one", "two")


def test_of_several_hosts_each_line_is_named() -> None:
    told = Told(hosts=HOSTS)
    told(answer(b"a\r\nb", "one"), answer(b"c\n", "two"), answer(b"b\nno end", "one"))
    told(probe(target="one"))
    assert told.out == b"one: a\r\ntwo: c\none: bb\none: no end\n"


def test_the_lines_of_several_hosts_are_escaped_on_a_terminal_and_so_are_their_names() -> None:
    hosts = ("o\x1bne", "two")
    told = Told(answer(b"\x1b[2J\r\n", hosts[0]), hosts=hosts, out_is_terminal=True)
    assert told.out == b"o\\x1bne: \\x1b[2J\n"


def test_a_line_without_an_end_is_not_held_for_ever() -> None:
    told = Told(answer(b"x" * (MOST_LINE + 1), "one"), hosts=HOSTS)
    assert told.out == b"one: " + b"x" * MOST_LINE + b"\n"


def test_where_nobody_reads_answers_any_more_the_run_is_told() -> None:
    class Closed(io.BytesIO):
        def write(self, data: object) -> int:
            raise BrokenPipeError

    told = Told()
    told.human._answers.out = Closed()
    with pytest.raises(BrokenPipeError):
        told(answer(b"data"))


# everything else


def test_nothing_but_answers_goes_to_standard_output() -> None:
    told = Told(command="echo", is_insecure=True, tells_timing=True, verbosity=1)
    told(*(probe(outcome) for outcome in Outcome), error(), summary(is_final=False), summary())
    assert told.out == b""
    assert told.err


@pytest.mark.parametrize("is_terminal", [True, False])
def test_no_escape_of_a_server_gets_to_standard_error_even_into_a_file(is_terminal: bool) -> None:
    told = Told(command="echo", verbosity=2, tells_timing=True, err_is_terminal=is_terminal)
    text = HOSTILE + "\n"
    hostile = evolve(
        MEASURED,
        target=text,
        address=text,
        values={text: text},
        notes=(text,),
        icmp=(IcmpErrors(text=text, sender=text, count=1),),
        error=text,
        answerers=(Answerer(address=text, counts=MEASURED.counts),),
    )
    told(
        evolve(probe(), target=text, address=text, reason=text, values={text: text}),
        Error(target=text, reason="x", message=text, exit=hostile.exit),
        summary([hostile], is_final=False),
        summary([hostile]),
        summary([hostile, hostile], is_final=False),
    )
    told(summary([hostile, hostile]))
    # the one escape that is ours: before a summary that a key has asked for
    lines = told.err.replace("\r\x1b[K", "").split("\n")
    assert all(line.isprintable() for line in lines)


def test_an_error_of_several_hosts_begins_with_the_host() -> None:
    told = Told(
        error("one", "refused"), error("two", "two:7 refused"), error(None, "x"), hosts=HOSTS
    )
    assert told.lines == ["sock: one: refused", "sock: two:7 refused", "sock: x"]


def test_an_error_of_one_host_is_told_as_it_is() -> None:
    assert Told(error(message="localhost:7: refused")).lines == ["sock: localhost:7: refused"]


def test_quiet_is_errors_and_the_figures_at_the_end() -> None:
    told = Told(command="echo", is_quiet=True, err_is_terminal=True, count=3)
    told(probe(), probe(Outcome.LOST), error(), summary())
    assert told.lines[0] == "sock: refused"
    assert told.lines[1].startswith("echo localhost")
    assert not [line for line in told.lines if "seq=" in line or "Round trips" in line]


def test_what_is_insecure_is_said_loudly_even_when_quiet() -> None:
    told = Told(is_insecure=True, is_quiet=True, color="always")
    assert "THE CERTIFICATE IS NOT CHECKED" in told.err
    assert told.err.startswith("\x1b[1;7;31m")


def test_echo_tells_each_probe() -> None:
    told = Told(probe(), command="echo")
    assert told.lines == ["64 bytes from 127.0.0.1: seq=3 time=0.123 ms (kernel)"]


@pytest.mark.parametrize("outcome", Outcome)
def test_a_line_says_what_became_of_a_probe(outcome: Outcome) -> None:
    words = {Outcome.ANSWERED: "time=0.123 ms (kernel)", Outcome.LOST: "no answer"}
    told = Told(probe(outcome), command="echo")
    [line] = told.lines
    assert words.get(outcome, str(outcome)) in line


def test_echo_of_several_hosts_names_them_beside_their_addresses() -> None:
    told = Told(probe(target="one"), command="echo", hosts=HOSTS)
    assert told.lines == ["64 bytes from one (127.0.0.1): seq=3 time=0.123 ms (kernel)"]


def test_echo_in_less_than_ten_milliseconds_tells_no_probe() -> None:
    assert Told(probe(), command="echo", interval=0.0099).lines == []
    assert len(Told(probe(), command="echo", interval=0.01).lines) == 1


def test_echo_with_a_window_tells_no_probe() -> None:
    told = Told(command="echo")
    told(start(window=64), probe())
    assert told.lines == []


def test_other_commands_tell_probes_when_verbose() -> None:
    assert Told(probe()).lines == []
    assert len(Told(probe(), verbosity=1).lines) == 1


def test_a_line_of_a_probe_names_the_service_where_several_are_asked() -> None:
    found = evolve(probe(), values={"service": "daytime", "way": "broadcast"})
    [brief] = Told(found, command="discover", verbosity=1).lines
    [whole] = Told(found, command="discover", verbosity=2).lines
    assert brief.endswith(", service daytime")
    assert whole.endswith(", service daytime, way broadcast")


def test_a_snapshot_is_a_line_a_host_and_the_run_goes_on() -> None:
    told = Told(summary([MEASURED, SILENT], is_final=False), answer(b"more\n"), hosts=HOSTS)
    assert told.lines == [
        "localhost: 998/1000 answered, 0.2 % loss, min/avg/max 41.2 µs/55.0 µs/1.20 ms",
        "2001:db8:1234:5678:9abc:def0:1234:5678: 0/1000 answered, 100 % loss",
    ]
    assert told.out == b"localhost: more\n"


def test_one_question_has_no_summary_and_several_have() -> None:
    host = evolve(MEASURED, notes=())
    assert Told(summary([host], command="daytime")).lines == []
    assert Told(summary([host], command="daytime"), count=2).lines
    assert Told(summary(), command="echo", count=1).lines


def test_an_interrupted_run_is_summed_up_and_says_so() -> None:
    told = Told(summary(interrupted=True), command="echo")
    assert told.lines[0] == "echo localhost (127.0.0.1), udp port 10007: 12.0 s, interrupted"


def test_a_summary_says_all_that_is_known() -> None:
    told = Told(summary(), command="echo")
    text = " ".join(told.err.split())
    for said in (
        "1000 sent, 998 received, 0.2 % loss, 3 late, 2 duplicates, 1 reordered, 1 failed",
        "min 41.2 µs, avg 55.0 µs, max 1.20 ms, stddev 20.1 µs",
        "p50 50.1 µs, p90 63.4 µs, p99 140 µs, p99.9 1.20 ms",
        "jitter 3.10 µs, PDV p99 98.8 µs",
        "avg 20.0 µs, max 1.10 ms, 0 missed slots (the instrument's own)",
        "the kernel said when answers came",
        "2 of the kernel discarded: a clock was set meanwhile",
        "7 datagrams found our own receive queue full",
        "12 x host unreachable, from 192.0.2.1",
        "kernel rtt 38.0 µs, retransmits 0",
        MEASURED.notes[0],
    ):
        assert said in text, said
    assert "corrupt" not in text
    assert "foreign" not in text


def test_timing_is_a_table_of_steps() -> None:
    told = Told(summary([evolve(MEASURED, notes=())], command="daytime"), tells_timing=True)
    assert told.lines == [
        "Timing of the last connection",
        "host       resolve  connect  TLS  first byte    total",
        "localhost   310 µs  1.23 ms    -     12.3 ms  14.0 ms",
    ]


def test_beside_a_dump_everything_is_a_comment() -> None:
    told = Told(command="echo", explains=True, tells_timing=True, verbosity=1)
    told(probe(), error(), summary(is_final=False), summary([MEASURED, SILENT]))
    assert told.lines
    assert all(line.startswith("# ") for line in told.lines)


def test_of_a_flow_it_is_told_how_fast_it_went_and_no_probes() -> None:
    told = Told(summary([FLOW], command="chargen"), command="chargen")
    assert told.lines == [
        "chargen localhost (127.0.0.1), tcp port 10019: 12.0 s",
        "  rate         2.68 Gbit/s, 335 MB",
        "  also         took 1.00 s",
    ]
    told = Told(summary([FLOW, FLOW], command="chargen"), command="chargen", hosts=HOSTS)
    assert told.lines[:3] == [
        "Throughput",
        "host              rate   moved",
        "localhost  2.68 Gbit/s  335 MB",
    ]
    told = Told(summary([FLOW], is_final=False), command="chargen")
    assert told.lines == ["localhost: 2.68 Gbit/s, 335 MB"]


def test_of_datagrams_that_flow_it_is_told_how_many_and_how_fast() -> None:
    assert Told(summary([ASKED], command="chargen"), command="chargen").lines == [
        "chargen localhost (127.0.0.1), udp port 10019: 12.0 s",
        "  probes       1000 sent, 998 received, 0.2 % loss",
        "  rate         590 kbit/s, 997 datagrams/s, 73.9 kB",
    ]
    assert Told(summary([SENT], command="discard"), command="discard").lines == [
        "discard localhost (127.0.0.1), udp port 10009: 12.0 s",
        "  probes       1000 sent",
        "  rate         51.2 kbit/s, 100 datagrams/s, 64.0 kB",
        "  note         what has arrived is not known",
    ]
    told = Told(summary([SENT], is_final=False), command="discard")
    assert told.lines == ["localhost: 1000 sent, 51.2 kbit/s, 100 datagrams/s, 64.0 kB"]


def test_of_datagrams_to_several_hosts_that_flow_there_is_a_row_each() -> None:
    alone = evolve(SENT, rate_bps=None, datagram_rate=None)
    told = Told(summary([SENT, alone], command="discard"), command="discard", hosts=HOSTS)
    assert told.lines[:6] == [
        "Throughput",
        "host              rate        datagrams    moved",
        "localhost  51.2 kbit/s  100 datagrams/s  64.0 kB",
        "localhost            -                -        -",
        "Probes",
        "host       sent  received  loss",
    ]
    assert told.lines[6].split() == ["localhost", "1000", "-", "-"]


def test_of_a_broadcast_it_is_told_who_answered() -> None:
    told = Told(summary([BROADCAST]), command="echo", columns=120)
    at = told.lines.index("Who answered 192.0.2.255")
    assert told.lines[at + 2].split()[:2] == ["192.0.2.1", "10"]
    assert told.lines[at + 3].split()[:2] == ["192.0.2.2\\x1b[2J", "9"]


def test_where_nothing_could_be_sent_it_is_said() -> None:
    silent = HostSummary(target="localhost", transport="udp")
    told = Told(summary([silent]), command="echo")
    assert told.lines[1] == "  probes       nothing was sent"


def test_notes_are_told_where_nothing_is_measured_too() -> None:
    noted = evolve(MEASURED, notes=("its clock was set meanwhile \x1b[2J",))
    told = Told(summary([noted], command="time"), command="time")
    assert told.lines == ["localhost: its clock was set meanwhile \\x1b[2J"]
    assert Told(summary([noted], command="time"), command="time", is_quiet=True).lines == []


def test_what_the_terminal_shows_of_a_key_is_erased_before_the_summary() -> None:
    for asked in (summary(interrupted=True), summary(is_final=False)):
        told = Told(asked, command="echo", err_is_terminal=True)
        assert told.err.startswith("\r\x1b[K")
        assert "\x1b" not in Told(asked, command="echo").err


def test_of_what_nothing_comes_back_no_loss_is_told() -> None:
    lost = HostSummary(target="localhost", transport="udp", counts=Counts(sent=5, lost=5))
    assert Told(summary([lost]), command="echo").lines[1].endswith("5 sent, 0 received, 100 % loss")
    gone = HostSummary(target="localhost", transport="udp", counts=Counts(sent=5))
    assert Told(summary([gone]), command="discard", count=5).lines[1].endswith("  5 sent")
    known = evolve(gone, counts=Counts(sent=5, undelivered=2))
    for is_final, line in (
        (True, "  probes       5 sent, 2 reported undelivered"),
        (False, "localhost: 5 sent, 2 reported undelivered"),
    ):
        told = Told(summary([known], is_final=is_final), command="discard", count=5)
        assert line in told.lines


def test_an_address_is_not_told_twice_beside_the_name_that_it_was_found_by() -> None:
    target, address = "localhost (127.0.0.1)", "127.0.0.1"
    one = evolve(MEASURED, target=target, address=address)
    told = Told(probe(target=target), summary([one]), command="echo")
    head = next(line for line in told.lines if line.startswith("echo "))
    assert head.startswith(f"echo {target}, udp")
    several = Told(probe(target=target), hosts=(target, "b"), command="echo")
    assert f" bytes from {target}: " in several.lines[0]


def test_the_answers_of_several_addresses_are_named_though_one_name_was_given() -> None:
    told = Told()
    told(start("a (192.0.2.1)", "a (192.0.2.2)"), answer(b"now\n", "a (192.0.2.2)"))
    assert told.out == b"a (192.0.2.2): now\n"
