"""A monitoring plugin tells one line of status, figures that parse, and exits with 0 to 3."""

from __future__ import annotations

import re
from io import BytesIO

import click
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sockd.client.asking import Asking
from sockd.client.exits import Exit
from sockd.client.metrics import METRICS
from sockd.client.outputs.check import MOST_TEXT, Check
from sockd.client.report import Counts, Error, Event, HostSummary, Summary
from tests.client.outputs.events import SUMMARIES, ClosedPipe, host, silent, summary

# Written from the guidelines, not from our code.
NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
RANGE = rf"@?(?:(?:~|{NUMBER}):(?:{NUMBER})?|{NUMBER})"
PERFDATA = re.compile(
    rf"'(?P<label>[^'=|\s]+)'=(?P<value>U|{NUMBER}(?P<uom>s|%|B|))"
    rf"(?:;(?P<warn>{RANGE})?(?:;(?P<crit>{RANGE})?(?:;(?P<min>{NUMBER})?(?:;(?P<max>{NUMBER})?)?)?)?)?"
)
STATUS = re.compile(r"SOCK (OK|WARNING|CRITICAL|UNKNOWN) - ([^|\n]+?)(?: \| ([^|\n]+))?")
CODES = {"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3}


class Told:
    """What a plugin has told, parsed."""

    def __init__(self, check: Check, out: BytesIO, code: int = 0) -> None:
        self.code = check.exit_code(code)
        text = out.getvalue().decode()
        assert text.endswith("\n")
        first, *self.below = text.split("\n")[:-1]
        found = STATUS.fullmatch(first)
        assert found is not None, first
        self.status, self.text, figures = found.groups()
        assert self.code == CODES[self.status]
        self.figures: dict[str, dict[str, str]] = {}
        for figure in (figures or "").split():
            parsed = PERFDATA.fullmatch(figure)
            assert parsed is not None, figure
            assert parsed["label"] not in self.figures
            self.figures[parsed["label"]] = parsed.groupdict("")
        for line in [first, *self.below]:
            assert line.isprintable()
        for line in self.below:
            assert "|" not in line


def tell(
    *events: Event,
    warn: tuple[str, ...] = (),
    crit: tuple[str, ...] = (),
    enough: int | None = None,
    code: int = 0,
) -> Told:
    """What is told of a run."""
    out = BytesIO()
    asking = Asking(is_check=True, warn=warn, crit=crit, enough=enough)
    check = Check.by_options(asking, out)
    for event in events:
        check(event)
    return Told(check, out, code)


def test_datagrams_that_flow_have_a_rate_with_a_range() -> None:
    flow = summary(host(rtt=None, rate_bps=51_200, datagram_rate=99.5), command="chargen")
    told = tell(flow, warn=("datagram_rate=100/s:",), crit=("datagram_rate=50:",))
    assert (told.status, told.text) == (
        "WARNING",
        "chargen example: datagram_rate 99.5/s (warning: 100:)",
    )
    assert told.figures["datagram_rate"]["value"] == "99.5"
    assert tell(flow).text == "chargen example: loss 0%, rate 51.2 kbit/s, datagram_rate 99.5/s"
    told = tell(summary(host(), command="chargen"), crit=("datagram_rate=50:",))
    assert (told.status, "as no two datagrams have flowed" in told.text) == ("UNKNOWN", True)


def test_without_thresholds_an_answer_is_ok() -> None:
    told = tell(summary(host()))
    assert (told.status, told.text) == ("OK", "echo example: rtt_avg 120ms, loss 0%")
    assert told.figures["rtt_avg"] == {
        "label": "rtt_avg",
        "value": "0.12s",
        "uom": "s",
        "warn": "",
        "crit": "",
        "min": "0",
        "max": "",
    }
    assert told.figures["loss"]["value"] == "0%"
    assert told.below == []


@pytest.mark.parametrize(
    ("warn", "crit", "status"),
    [
        ("rtt_avg=150ms", "rtt_avg=1", "OK"),
        ("rtt_avg=100ms", "rtt_avg=1", "WARNING"),
        ("rtt_avg=100ms", "rtt_avg=0.11", "CRITICAL"),
        ("rtt_avg=120ms", "rtt_avg=0.12", "OK"),
        ("rtt_avg=@120ms:1s", "rtt_avg=1", "WARNING"),
        ("loss=@0", "rtt_avg=1", "WARNING"),
    ],
)
def test_a_value_out_of_its_range_is_a_warning_or_critical(
    warn: str, crit: str, status: str
) -> None:
    assert tell(summary(host()), warn=(warn,), crit=(crit,)).status == status


def test_what_is_wrong_stands_in_the_line_and_its_range_at_its_figure() -> None:
    told = tell(summary(host()), warn=("rtt_avg=100ms",), crit=("rtt_avg=500ms", "loss=5%"))
    assert told.text == "echo example: rtt_avg 120ms (warning: 0.1)"
    assert told.figures["rtt_avg"]["warn"] == "0.1"
    assert told.figures["rtt_avg"]["crit"] == "0.5"
    assert told.figures["loss"]["crit"] == "5"


def test_a_loss_of_seven_percent_is_within_seven_percent() -> None:
    of = host(counts=Counts(sent=100, lost=7, received=93))
    assert tell(summary(of), crit=("loss=7%",)).status == "OK"
    assert tell(summary(of), crit=("loss=6.999",)).status == "CRITICAL"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (Exit.ANSWERED, "OK"),
        (Exit.UNREACHABLE, "CRITICAL"),
        (Exit.USAGE, "UNKNOWN"),
        (Exit.TIMEOUT, "CRITICAL"),
        (Exit.BAD_ANSWER, "CRITICAL"),
        (Exit.CERTIFICATE, "CRITICAL"),
        (Exit.NAME, "CRITICAL"),
    ],
)
def test_a_host_that_gives_no_answer_is_critical(code: Exit, status: str) -> None:
    told = tell(summary(silent(exit=code)), code=code)
    assert told.status == status
    assert told.text.startswith("echo nobody does not answer") is (status != "OK")


def test_of_several_hosts_one_that_is_silent_is_critical() -> None:
    told = tell(summary(host(), silent()))
    assert told.status == "CRITICAL"
    assert told.text == "echo nobody does not answer within 3s"
    assert told.figures["example/rtt_avg"]["value"] == "0.12s"
    assert "nobody/rtt_avg" not in told.figures
    assert told.figures["hosts_silent"]["value"] == "1"
    assert told.below == ["example: rtt_avg 120ms, loss 0%"]


def test_where_answers_of_fewer_suffice_a_silent_one_is_not_critical() -> None:
    told = tell(summary(host(), silent(), exit=Exit.ANSWERED), enough=1)
    assert (told.status, told.text) == ("OK", "echo 1 of 2 hosts answered")
    assert tell(summary(host(), silent()), enough=2).status == "CRITICAL"


@pytest.mark.parametrize(
    ("warn", "crit", "status"),
    [
        ("hosts_silent=1", "hosts_silent=2", "OK"),
        ("hosts_silent=0", "hosts_silent=2", "WARNING"),
        ("hosts_answered=3:", "hosts_answered=2:", "CRITICAL"),
    ],
)
def test_a_range_can_say_how_many_may_be_silent(warn: str, crit: str, status: str) -> None:
    run = summary(host(), silent())
    assert tell(run, warn=(warn,), crit=(crit,)).status == status


def test_that_nobody_answers_is_critical_whatever_the_ranges() -> None:
    assert tell(summary(silent()), warn=("hosts_silent=9",)).status == "CRITICAL"
    assert tell(summary(), warn=("hosts_silent=9",)).status == "CRITICAL"


def test_a_metric_with_a_threshold_and_without_a_value_is_unknown_with_the_reason() -> None:
    told = tell(summary(host()), warn=("rtt_p99=1",))
    assert told.status == "UNKNOWN"
    assert told.text == "echo example: rtt_p99 has no value, as so few answers do not support it"
    assert told.figures["rtt_p99"]["value"] == "U"
    assert told.figures["rtt_p99"]["warn"] == "1"


@pytest.mark.parametrize("name", METRICS)
def test_any_metric_may_have_a_threshold(name: str) -> None:
    told = tell(summary(host()), warn=(f"{name}=~:",), crit=(f"{name}=~:",))
    assert told.status in ("OK", "UNKNOWN")
    assert told.figures[name]["warn"] == told.figures[name]["crit"] == "~:"


def test_a_metric_of_a_host_that_gave_no_answer_is_not_unknown_too() -> None:
    told = tell(summary(silent()), warn=("rtt_avg=1",))
    assert told.status == "CRITICAL"
    assert "has no value" not in told.text


def test_what_is_known_to_be_wrong_comes_before_what_is_unknown() -> None:
    told = tell(summary(host()), warn=("rtt_p99=1", "rtt_avg=0.1"))
    assert told.status == "WARNING"
    assert told.below[:2] == [
        "WARNING: example: rtt_avg 120ms (warning: 0.1)",
        "UNKNOWN: example: rtt_p99 has no value, as so few answers do not support it",
    ]


def test_a_run_that_was_interrupted_is_unknown() -> None:
    for of in (host(), silent()):
        told = tell(summary(of, interrupted=True), crit=("rtt_avg=1ns",))
        assert told.status == "UNKNOWN"
        assert told.text.startswith("echo interrupted after 1.5s")


def test_a_run_without_a_summary_is_unknown() -> None:
    assert tell(code=1).text == "the run ended without a result"
    error = Error(target=None, reason="usage", message="no such\ndevice|", exit=Exit.USAGE)
    assert tell(error, code=2).text == r"no such\x0adevice\x7c"


def test_a_summary_on_the_way_is_not_told_and_the_end_is_told_once() -> None:
    end = summary(host())
    told = tell(summary(silent(), is_final=False), end, end)
    assert told.status == "OK"
    assert told.below == []


def test_a_host_is_named_where_its_error_does_not_name_it() -> None:
    assert tell(summary(silent(error="refused"))).text == "echo nobody: refused"
    assert tell(summary(silent(error=None))).text == "echo nobody: no answer"


def test_more_problems_than_fit_the_line_stand_below_it() -> None:
    told = tell(summary(*(silent(f"host{number}") for number in range(5))))
    assert told.text.endswith("; and 2 more")
    assert sum(line.startswith("CRITICAL: host") for line in told.below) == 5


def test_a_text_of_the_network_ends_neither_the_line_nor_the_text() -> None:
    told = tell(summary(silent(error="a|b\nSOCK OK - fine\r\x1b[31m\t'x'=1 \udcff" + "y" * 9999)))
    assert told.text.startswith(r"echo nobody: a\x7cb\x0aSOCK OK - fine\x0d\x1b[31m 'x'=1")
    assert len(told.text) <= MOST_TEXT + len("echo nobody: ") + len(r"\x7c")


def test_notes_stand_below_the_line() -> None:
    told = tell(summary(host(notes=("the server limits | a source",))))
    assert told.below == [r"example: the server limits \x7c a source"]


def test_labels_have_no_quotes_and_are_told_apart() -> None:
    told = tell(summary(host("a'b"), host("a=b"), host("c d|e")))
    labels = [label for label in told.figures if label.endswith("rtt_avg")]
    assert labels == ["a_b/rtt_avg", "a_b#2/rtt_avg", r"c_d\x7ce/rtt_avg"]


def test_a_figure_that_is_not_one_of_the_main_ones_is_told_where_it_has_a_threshold() -> None:
    assert "rtt_stddev" not in tell(summary(host())).figures
    assert tell(summary(host()), warn=("rtt_stddev=1",)).figures["rtt_stddev"]["value"] == "0.05s"


def test_an_offset_may_be_negative_and_has_no_least_value() -> None:
    values = {"offset_low_ns": -2_000_000_000, "offset_high_ns": -1_000_000_000}
    told = tell(summary(host(values=values)), crit=("offset=-1:1",), warn=("offset=-0.5:0.5",))
    assert told.status == "WARNING"
    assert told.figures["offset"] | {"label": ""} == {
        "label": "",
        "value": "-1s",
        "uom": "s",
        "warn": "-0.5:0.5",
        "crit": "-1:1",
        "min": "",
        "max": "",
    }


@pytest.mark.parametrize("texts", [("rtt_agv=1",), ("rtt_avg=2:1",), ("loss=1", "loss=2")])
def test_a_mistake_in_a_threshold_is_told_before_anything_is_asked(texts: tuple[str, ...]) -> None:
    for asking in (Asking(is_check=True, warn=texts), Asking(is_check=True, crit=texts)):
        with pytest.raises(click.UsageError, match=r"--(warn|crit) "):
            Check.by_options(asking, BytesIO())


def test_where_nobody_reads_any_more_that_is_raised() -> None:
    check = Check(ClosedPipe())
    with pytest.raises(BrokenPipeError):
        check(summary(host()))
    assert check.exit_code(0) == 0


RANGES = st.sampled_from(["1", "0", "1:", "~:0", "@0:1", "0.5:1.5", "@~:"])
THRESHOLDS = st.dictionaries(st.sampled_from(sorted(METRICS)), RANGES, max_size=4).map(
    lambda found: tuple(f"{name}={text}" for name, text in found.items())
)


@given(SUMMARIES, THRESHOLDS, THRESHOLDS, st.none() | st.integers(1, 3), st.integers(0, 255))
@example(summary(*[host("a#2"), host("a"), host("a")], host("")), (), (), None, 0)
def test_any_run_parses_and_exits_with_0_to_3(
    of: Summary, warn: tuple[str, ...], crit: tuple[str, ...], enough: int | None, code: int
) -> None:
    told = tell(of, warn=warn, crit=crit, enough=enough, code=code)
    if of.interrupted:
        assert told.status == "UNKNOWN"
    elif not any(found.exit is Exit.ANSWERED for found in of.hosts):
        assert told.status in ("CRITICAL", "UNKNOWN")
        assert (told.status == "UNKNOWN") is only_usage(of.hosts, told)
    for text in (*warn, *crit):
        name = text.partition("=")[0]
        labels = [label for label in told.figures if label.rpartition("/")[2] == name]
        assert labels or not of.hosts


def only_usage(hosts: tuple[HostSummary, ...], told: Told) -> bool:
    """Whether nothing was wrong but what was asked for."""
    return bool(hosts) and all(of.exit is Exit.USAGE for of in hosts) and told.code == 3
