"""The command `sock` itself: its table, its help, mistakes on the command line."""

from __future__ import annotations

import sys

import pytest
from click.testing import CliRunner

from sockd.client.main import COMMANDS, sock
from tests.processes import BIN, cpu_seconds, run

SOCK = str(BIN / "sock")
LIGHT = """
import sys
from sockd.client.main import sock
try:
    sock.main(["--help"], prog_name="sock")
except SystemExit:
    pass
heavy = {"OpenSSL", "cffi", "prometheus_client", "psutil", "rich", "ssl", "twisted", "uvloop"}
print("heavy:", *sorted({name.partition(".")[0] for name in sys.modules} & heavy))
"""
HELP_SECONDS = 0.15
"""Of CPU, for the table of commands."""


def test_help_is_there_at_once() -> None:
    assert cpu_seconds(SOCK, "--help") <= HELP_SECONDS


def test_help_imports_no_reactor_no_tables_no_tls() -> None:
    done = run(sys.executable, "-c", LIGHT)
    assert done.stdout.splitlines()[-1] == "heavy:", done.stdout + done.stderr


def test_the_table_has_every_command() -> None:
    done = CliRunner().invoke(sock, ["--help"])
    for name, (_, text) in COMMANDS.items():
        assert f"  {name} " in done.output
        assert text in " ".join(done.output.split())


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_has_help_of_its_own(name: str) -> None:
    done = CliRunner().invoke(sock, [name, "--help"], prog_name="sock")
    assert done.exit_code == 0, done.output
    assert f"sock {name}" in done.output


def test_a_command_that_is_not_there_is_told_with_the_nearest() -> None:
    done = run(SOCK, "dayime")
    assert done.returncode == 2
    assert "there is no command 'dayime'; did you mean 'daytime'?" in done.stderr


def test_a_plugin_of_monitoring_tells_its_mistakes_as_unknown() -> None:
    done = run(SOCK, "daytime", "--check", "--wrn", "x|y")
    assert done.returncode == 3
    assert done.stdout.startswith("SOCK UNKNOWN - ")
    assert "|" not in done.stdout
