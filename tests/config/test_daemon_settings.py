"""What is wrong with the settings of the daemon is told where it stands, before a start."""

from __future__ import annotations

from pathlib import Path

import pytest

from sockd.config.document import ConfigError
from sockd.config.load import load
from sockd.service import find

FOUND = find()


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("log_file = '/nowhere/log'", "log_file: /nowhere is not a directory"),
        ("log_file = '/'", "log_file: / is a directory"),
        ("log_max_size = '1k'", "log_max_size: expected at least 64k, got 1k"),
        ("log_keep = 5000", "log_keep: expected at most 1000, got 5000"),
        ("log_rate = '0/s'", "log_rate: must be above 0: with 0/s nothing is told"),
        ("log_total_rate = '0/s'", "log_total_rate: must be above 0: with 0/s nothing is told"),
        ("control = '/%s'" % ("x" * 107), "control: a socket's path has 107 bytes at most"),
        ("enabled = false", "enabled: unknown key here; it belongs into [service.NAME]"),
    ],
)
def test_a_mistake_is_told_with_its_place(setting: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "sockd.toml"
    path.write_text(f"[service.echo]\n[sockd]\n{setting}\n", "utf-8")
    with pytest.raises(ConfigError) as error:
        load(str(path), None, (), FOUND)
    assert [str(one) for one in error.value.mistakes] == [f"{path}:3: sockd.{told}"]


def test_a_relative_name_starts_at_the_file(tmp_path: Path) -> None:
    path = tmp_path / "sockd.toml"
    path.write_text("[service.echo]\n[sockd]\nlog_file = 'log'\n", "utf-8")
    assert load(str(path), None, (), FOUND).daemon.log_file == str(tmp_path / "log")
