"""A run as Prometheus reads it passes its parser, and takes its place as a whole or not at all."""

from __future__ import annotations

import os
import re
import resource
import stat
from io import BytesIO, StringIO
from pathlib import Path

import click
import pytest
from hypothesis import given
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from sockd.client.errors import UsageFault
from sockd.client.exits import Exit
from sockd.client.metrics import METRICS, Unit
from sockd.client.outputs import prometheus
from sockd.client.outputs.prometheus import exported_name, exposition, into_file
from sockd.client.report import Counts, Error, HostSummary, Summary, Timing
from tests.client.outputs.events import SUMMARIES, ClosedPipe, host, silent, summary

SAMPLE = re.compile(r'[a-z0-9_:]+\{[a-z]+="[^\n]*"\} [-+0-9.e]+')
"""A name, labels, a value: no time stamp behind it."""


def samples(of: Summary) -> dict[str, list[Sample]]:
    """What is told of a run, by name, as Prometheus's own parser has it."""
    text = exposition(of).decode()
    assert text.endswith("\n") or not text
    for line in text.split("\n")[:-1]:
        assert line.startswith(("# HELP sock_", "# TYPE sock_")) or SAMPLE.fullmatch(line), line
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    for family in families:
        assert family.type == "gauge"
        assert all(sample.timestamp is None for sample in family.samples)
    return {family.name: family.samples for family in families}


def value(of: Summary, name: str) -> float:
    """The value of the only sample of this name."""
    (sample,) = samples(of)[name]
    return float(sample.value)


def test_figures_are_in_base_units_and_labelled() -> None:
    of = host(
        counts=Counts(sent=4, received=3, lost=1, bytes_sent=256),
        rate_bps=8_000_000,
        datagram_rate=12.5,
        timing=Timing(connect_ns=2_000_000),
        values={"certificate_days": 2, "offset_low_ns": -5, "offset_high_ns": -1_500_000_000},
    )
    run = summary(of)
    (sample,) = samples(run)["sock_rtt_avg_seconds"]
    assert sample.value == 0.12
    assert sample.labels == {"target": "example", "transport": "udp", "command": "echo"}
    assert value(run, "sock_loss_ratio") == 0.25
    assert value(run, "sock_sent") == 4
    assert value(run, "sock_sent_bytes") == 256
    assert value(run, "sock_rate_bytes_per_second") == 1_000_000
    assert value(run, "sock_datagrams_per_second") == 12.5
    assert value(run, "sock_connect_seconds") == 0.002
    assert value(run, "sock_certificate_remaining_seconds") == 172_800
    assert value(run, "sock_offset_high_seconds") == -1.5
    assert value(run, "sock_elapsed_seconds") == 1.5
    assert value(run, "sock_up") == 1
    (sample,) = samples(run)["sock_hosts_answered"]
    assert sample.labels == {"command": "echo"}


def test_what_is_not_known_is_not_told() -> None:
    found = samples(summary(silent()))
    assert found["sock_up"][0].value == 0
    assert not {"sock_rtt_avg_seconds", "sock_offset_seconds", "sock_rtt_p99_seconds"} & set(found)


def test_a_host_that_an_interrupted_run_did_not_wait_for_is_not_called_down() -> None:
    (sample,) = samples(summary(host(), silent(), interrupted=True))["sock_up"]
    assert sample.labels["target"] == "example"
    assert "sock_hosts_silent" not in samples(summary(silent(), interrupted=True))


def test_hosts_of_one_name_have_labels_of_their_own() -> None:
    found = samples(summary(host("a"), host("a", port=8)))["sock_sent"]
    assert [sample.labels["target"] for sample in found] == ["a:7", "a:8"]


def test_the_text_of_a_help_is_the_same_in_every_run() -> None:
    def helps(of: Summary) -> set[bytes]:
        return {line for line in exposition(of).split(b"\n") if line.startswith(b"# ")}

    assert helps(summary(silent())) < helps(summary(host(), silent("other")))


def test_one_run_is_told_in_one_order() -> None:
    run = summary(host("b"), host("a"))
    text = exposition(run)
    assert text == exposition(run)
    assert [sample.labels["target"] for sample in samples(run)["sock_sent"]] == ["b", "a"]
    assert list(samples(run)) == [
        name for name in map(exported_name, METRICS.values()) if name in samples(run)
    ]


@given(SUMMARIES)
def test_any_run_passes_the_parser_and_says_nothing_twice(of: Summary) -> None:
    for found in samples(of).values():
        labels = [tuple(sorted(sample.labels.items())) for sample in found]
        assert len(set(labels)) == len(labels)
        for _, text in (pair for several in labels for pair in several):
            assert text.isascii() or "\n" not in text
            assert "\x1b" not in text


def test_every_metric_has_a_name_of_its_own_in_base_units() -> None:
    found = [exported_name(metric) for metric in METRICS.values()]
    assert len(set(found)) == len(found)
    for name, metric in zip(found, METRICS.values(), strict=True):
        assert re.fullmatch(r"sock_[a-z][a-z0-9_]*", name)
        assert not name.endswith(("_total", "_days"))
        assert name.endswith("_seconds") is (metric.unit in (Unit.SECONDS, Unit.DAYS))


def test_only_the_figures_of_the_final_summary_are_written(tmp_path: Path) -> None:
    path = tmp_path / "sock.prom"
    tell = into_file(str(path))
    tell(summary(host(), is_final=False))
    assert list(tmp_path.iterdir()) == []
    tell(summary(host()))
    assert path.read_bytes() == exposition(summary(host()))
    assert tell.exit_code(3) == 3


def test_the_file_is_renamed_into_place_and_everybody_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "sock.prom"
    path.write_text("old")
    old = path.stat().st_ino
    mask = os.umask(0o077)
    try:
        into_file(str(path))(summary(host()))
    finally:
        os.umask(mask)
    assert path.stat().st_ino != old
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "sock.prom"
    link.symlink_to("there/real.prom")
    into_file(str(link))(summary(host()))
    assert link.is_symlink()
    assert (tmp_path / "there/real.prom").is_file()


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("missing/sock.prom", "cannot be written there: No such file or directory"),
        ("file/sock.prom", "cannot be written there: Not a directory"),
        (".", "no regular file"),
        ("pipe", "no regular file"),
        ("\x1bnone/sock.prom", r"\x1bnone/sock.prom: cannot be written"),
        ("nul\x00", "cannot be written"),
    ],
)
def test_where_no_file_can_be_that_is_told_before_anything_is_asked(
    tmp_path: Path, path: str, why: str
) -> None:
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(click.UsageError, match=re.escape(why)) as caught:
        into_file(f"{tmp_path}/{path}")
    assert caught.value.message.isprintable()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "pipe"]


def test_a_device_is_never_replaced() -> None:
    with pytest.raises(click.UsageError, match="no regular file"):
        into_file("/dev/null")
    assert Path("/dev/null").is_char_device()


def test_where_the_file_cannot_be_put_in_its_place_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "sock.prom"
    tell = into_file(str(path))
    path.mkdir()  # meanwhile
    with pytest.raises(UsageFault, match="Is a directory"):
        tell(summary(host()))
    assert [path.name for path in tmp_path.iterdir()] == ["sock.prom"]


def test_where_it_cannot_be_written_the_old_file_stays_and_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "sock.prom"
    path.write_text("old")
    tell = into_file(str(path))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(UsageFault, match="File too large"):
            tell(summary(host()))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_to_standard_output_go_the_figures_and_to_standard_error_what_failed() -> None:
    out, errors = BytesIO(), StringIO()
    tell = prometheus.printing(out, errors)
    tell(Error(target="a", reason="timeout", message="no\nanswer", exit=Exit.TIMEOUT))
    tell(summary(silent()))
    assert errors.getvalue() == "sock: no\\x0aanswer\n"
    assert out.getvalue() == exposition(summary(silent()))


def test_where_nobody_reads_any_more_that_is_raised() -> None:
    with pytest.raises(BrokenPipeError):
        prometheus.printing(ClosedPipe(), StringIO())(summary(host()))


def test_a_name_that_is_hostile_stays_in_its_label() -> None:
    name = 'a"} 1\nsock_up{target="b"} 0\\ \udcff'
    (sample,) = samples(summary(HostSummary(target=name, transport="udp")))["sock_up"]
    assert sample.labels["target"] == r'a"} 1\x0asock_up{target="b"} 0\\ ' + r"\udcff"
