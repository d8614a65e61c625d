"""The commands `sockd services` and `sockd config`: what they print, and their exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import attrs
import pytest

from sockd.access.limits import Limits
from sockd.config.annotated import default_config
from sockd.config.toml import toml
from sockd.config.uses import limits_for, uses_of
from sockd.ops.describe import overview
from tests.commands import FOUND, config, runtime, sockd
from tests.processes import SOCKD, run

__all__ = ["runtime"]


def test_services_lists_every_kind_with_its_summary_and_its_transports() -> None:
    result = sockd("services")
    assert result.exit_code == 0
    lines = {line.split()[0]: line for line in result.output.splitlines()}
    assert lines.keys() == FOUND.kinds.keys()
    for name, kind in FOUND.kinds.items():
        assert kind.summary in lines[name]
        assert f"  [{', '.join(kind.transports)}]" in lines[name]


def test_in_a_narrow_terminal_a_kind_has_two_lines() -> None:
    wide, narrow = overview(FOUND), overview(FOUND, 80)
    assert max(map(len, wide.splitlines())) > 100
    assert max(map(len, narrow.splitlines())) <= 80
    assert len(narrow.splitlines()) == 2 * len(wide.splitlines())
    assert narrow.split() == wide.split()


@pytest.mark.parametrize("name", sorted(FOUND.kinds))
def test_services_name_tells_all_about_a_kind(name: str) -> None:
    kind = FOUND.kinds[name]
    result = sockd("services", name)
    assert result.exit_code == 0
    assert kind.documentation in result.output
    assert f"Transports: {', '.join(kind.transports)}." in result.output
    for instance in kind.instances:
        assert f"Default instance `{instance.name}`: `{instance.listen[0]}`" in result.output
    uses = uses_of(kind)
    effective = list(limits_for(uses))
    for one in (*attrs.fields(kind.options), *effective):
        start = f"- `{one.name}` (default `{toml(one.default)}`): {one.metadata['help']} ("
        [line] = [text for text in result.output.splitlines() if text.startswith(start)]
        assert line.endswith(f"change: {one.metadata['change']})")
    for one in attrs.fields(Limits):
        assert (one in effective) == (f"\n- `{one.name}` " in result.output)


def test_services_with_the_name_of_an_instance_tells_all_about_its_kind() -> None:
    result = sockd("services", "fortune")
    assert result.exit_code == 0
    assert result.output == f"fortune is an instance of exec.\n\n{sockd('services', 'exec').output}"


def test_a_kind_that_there_is_not_has_a_near_miss() -> None:
    done = run(SOCKD, "services", "ecko")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("there is no kind of service 'ecko'; did you mean 'echo'?\n")


def test_config_prints_the_built_in_configuration_which_checks_the_same(tmp_path: Path) -> None:
    result = sockd("config")
    assert result.exit_code == 0
    assert result.output == default_config(FOUND)
    file = config(tmp_path, result.output)
    assert sockd("check", file).output == f"read {file}\n{sockd('check').output}"


def test_config_of_a_file_prints_what_holds_and_where_it_came_from(tmp_path: Path) -> None:
    file = config(tmp_path, "[service.echo]\nidle_timeout = '5 min'\n[service.time]")
    result = sockd("config", file, "--only", "echo", "--set", "service.echo.max_connections=9")
    assert result.exit_code == 0
    found = tomllib.loads(result.output)
    assert found["service"].keys() == {"echo"}
    assert found["service"]["echo"]["idle_timeout"] == "5m"
    assert re.search(rf"^idle_timeout = .* # {file}:2$", result.output, re.M)
    assert re.search(r"^max_connections = 9 .*# --set service\.echo\.max", result.output, re.M)


def test_config_as_json_is_one_object(tmp_path: Path) -> None:
    file = config(tmp_path, "[service.echo]\nidle_timeout = '5 min'")
    found = json.loads(sockd("config", "--json", file).stdout)
    assert found["files"] == [str(file)]
    assert found["service.echo"]["idle_timeout"]["value"] == "5m"
    assert found["service.echo"]["idle_timeout"]["line"] == 2
    assert json.loads(sockd("config", "--json").stdout)["files"] == []


def test_config_of_a_file_with_a_mistake_tells_it(tmp_path: Path) -> None:
    done = run(SOCKD, "config", str(config(tmp_path, "[service.ecko]")))
    assert (done.returncode, done.stdout) == (1, "")
    assert "did you mean 'echo'?" in done.stderr


def test_where_no_kind_is_near_all_are_named() -> None:
    done = run(SOCKD, "services", "nope")
    assert done.returncode == 2
    assert "there is no kind of service 'nope'; there are ack, beacon, chargen," in done.stderr
    assert done.stderr.endswith(
        " factor, fortune, greet, localtime, metrics, quote, reverse, said, time, travesty, "
        "urgent, welcome, wrap\n"
    )


@pytest.mark.parametrize(
    "command", ["check", "check --json", "config", "services", "services echo"]
)
def test_output_that_cannot_be_written_is_told_without_a_traceback(command: str) -> None:
    full = Path("/dev/full")
    with full.open("w") as output:
        result = subprocess.run(
            [SOCKD, *command.split()], stdout=output, stderr=subprocess.PIPE, check=False, text=True
        )
    assert result.returncode == 1
    assert result.stderr == "sockd: cannot write the output: no space left on device\n"
