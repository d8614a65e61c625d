"""The log as the settings have it, from the start on and after a reload."""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path

import pytest

from sockd.config.settings import DaemonSettings
from sockd.ops.log_drain import Drain
from sockd.ops.log_start import apply, make_writer, open_file, standard_output
from sockd.options.units import Rate, SizeLimit
from tests.ops.samples import event_of
from tests.processes import PATIENCE, SOCKD, free_port, running, tcp_says, wait_until


def test_without_settings_a_file_only_grows_and_lines_are_bounded(tmp_path: Path) -> None:
    settings = DaemonSettings()
    file = open_file(str(tmp_path / "log"), settings)
    writer = make_writer(file, settings, "text")
    assert writer.log_file is file
    for _ in range(20_000):
        writer(event_of("x" * 100))
    file.close()
    assert [one.name for one in tmp_path.iterdir()] == ["log"]
    assert 0 < writer.lines_suppressed <= 10_000


def test_other_settings_hold_at_once(tmp_path: Path) -> None:
    before = DaemonSettings(log_rate=Rate(1, 1))
    file = open_file(str(tmp_path / "log"), before)
    writer = make_writer(file, before, "text")
    after = DaemonSettings(
        log_rate=Rate.parse("off"),
        log_total_rate=Rate.parse("off"),
        log_max_size=SizeLimit(64 * 1024),
        log_keep=1,
    )
    apply(writer, after)
    assert isinstance(writer.file, Drain)
    writer.file.patience = PATIENCE
    writer.file.be_patient(is_patient=True)
    for _ in range(2000):
        writer(event_of("x" * 100))
    file.close()
    sizes = {one.name: one.stat().st_size for one in tmp_path.iterdir()}
    assert sizes.keys() == {"log", "log.1"}
    assert max(sizes.values()) <= 64 * 1024
    assert writer.lines_suppressed == 0


def test_standard_output_is_the_journal_where_systemd_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "stream").open("w", encoding="utf-8") as stream:
        found = os.fstat(stream.fileno())
        monkeypatch.setattr(sys, "stdout", stream)
        assert not standard_output()[1]
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        assert standard_output()[1]
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert not standard_output()[1]


def test_a_reload_sets_the_rates_of_a_daemon_whose_log_is_a_file(tmp_path: Path) -> None:
    """People get the table all the same; the file has what a table would stand for."""
    port, config, log = free_port(), tmp_path / "sockd.toml", tmp_path / "log"
    service = f'[service.daytime]\nlisten = ["tcp:{port}:interface=127.0.0.1"]\n'
    table = '[sockd]\nlog_file = "log"\nlog_rate = "{}"\n'
    config.write_text(service + table.format("1/s"), "utf-8")
    with running([SOCKD, "run", str(config)], cwd=tmp_path) as daemon:
        daemon.wait_for("try it with")
        for _ in range(50):
            assert tcp_says(port)
        wait_until(lambda: "lines of connections left out" in log.read_text("utf-8"), "it is told")
        config.write_text(service + table.format("off"), "utf-8")
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "changed: log_rate" in log.read_text("utf-8"), "it holds")
        before = log.read_text("utf-8").count("connection from")
        for _ in range(50):
            assert tcp_says(port)
        assert daemon.stop() == 0
    text = log.read_text("utf-8")
    assert text.count("connection from") - before >= 50
    assert "listening on tcp" in text
    assert "listening on tcp" not in daemon.text()
