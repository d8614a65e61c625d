"""What the page on operations says of moving in, and of the doctor, is so."""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from pathlib import Path

import pytest

from tests.importer.host import PORTS, service
from tests.processes import SOCKD, finish, succeed
from tests.transcripts import blocks, is_as_said, transcripts, write_files

ROOT = Path(__file__).parents[2]
SYSTEMD = ROOT / "etc" / "systemd"
DROP_IN = "/etc/systemd/system/sockd.service.d/as-root.conf"
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
CHAPTERS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")}
IMPORT, DOCTOR = CHAPTERS["Moving in from inetd or xinetd"], CHAPTERS["What is in the way"]


def test_its_commands_print_what_it_says(tmp_path: Path) -> None:
    write_files(IMPORT, tmp_path)
    steps = [step for part in (IMPORT, DOCTOR) for each in transcripts(part) for step in each]
    assert len(steps) == 3
    script = "\necho '=== next'\n".join(step.command for step in steps)
    paths = {"PATH": f"{Path(SOCKD).parent}:{os.environ['PATH']}"}
    done = finish(["bash", "-c", f"exec 2>&1; {script}"], cwd=tmp_path, environment=paths)
    outputs = done.stdout.decode().split("=== next\n")
    for step, output in zip(steps, outputs, strict=True):
        assert is_as_said(output, step.output), f"$ {step.command}\n{output}"


def test_its_table_names_attributes_that_are_carried_over_as_it_says(tmp_path: Path) -> None:
    attributes = {
        "instances": "7",
        "per_source": "2",
        "cps": "5 10",
        "only_from": "10.0.0.0",
        "no_access": "10.1.1.1",
        "bind": "127.0.0.1",
        "rlimit_as": "64M",
        "rlimit_cpu": "5",
        "rlimit_files": "99",
        "env": "A=b",
        "nice": "5",
        "disable": "yes",
        "user": "nobody",
        "group": "tty",
    }
    lines = [f"{name} = {value}" for name, value in attributes.items()]
    lines += [f"port = {PORTS['finger']}", "type = UNLISTED", "server = /bin/cat"]
    (tmp_path / "conf").write_text(service("finger", *lines))
    text = succeed(SOCKD, "import", "conf", cwd=tmp_path)
    values = tomllib.loads(text)["service"]["finger"]
    rows = [re.findall("`([^`]+)`", row) for row in IMPORT.splitlines() if row.startswith("| ")]
    named = {name for row in rows for name in row}
    assert attributes.keys() <= named
    ours = {*values} - {"kind", "listen", "trusted", "command", "user", "privileged"}
    ours -= {"max_time", "file_size", "max_children", "socket"}
    assert ours - {"enabled"} <= named


@pytest.mark.parametrize("drop_in", [None, "as-root.conf"])
def test_the_unit_is_one_with_and_without_what_programs_of_other_users_need(
    tmp_path: Path, drop_in: str | None
) -> None:
    unit = tmp_path / "sockd.service"
    text = (SYSTEMD / "sockd.service").read_text()
    unit.write_text(re.sub("^(Exec[A-Za-z]*)=.*", r"\1=/bin/true", text, flags=re.M))
    if drop_in is not None:
        folder = tmp_path / "sockd.service.d"
        folder.mkdir()
        shutil.copy(SYSTEMD / drop_in, folder)
    done = finish(["systemd-analyze", "verify", str(unit)])
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def settings(name: str) -> set[str]:
    """What a unit file sets."""
    lines = (SYSTEMD / name).read_text().splitlines()
    return {line.partition("=")[0] for line in lines if "=" in line and line[0] != "#"}


def test_what_programs_of_other_users_need_takes_back_all_that_the_unit_takes() -> None:
    rights = "Protect|Private|Restrict|SystemCall(?!Error)|NoNew|Capab|Ambient|Lock|Dynamic|Device"
    taken = {key for key in settings("sockd.service") if re.match(rights, key)}
    assert taken <= settings("as-root.conf")


def test_its_commands_put_the_configuration_and_the_drop_in_where_the_unit_looks(
    tmp_path: Path,
) -> None:
    """In a mount namespace, whose /etc is a copy; what is told to systemd is written down."""
    write_files(IMPORT, tmp_path)
    [[step, *_], *_] = transcripts(IMPORT)
    [script] = [block.text for block in blocks(IMPORT) if block.kind == "sh"]
    told, manager = tmp_path / "told", tmp_path / "bin" / "systemctl"
    manager.parent.mkdir()
    manager.write_text(f'#!/bin/sh\necho "$@" >>{told}\n')
    manager.chmod(0o755)
    (tmp_path / "etc").symlink_to(ROOT / "etc")
    paths = {"PATH": f"{manager.parent}:{Path(SOCKD).parent}:{os.environ['PATH']}"}
    of_its_own = f"set -e; cp -a /etc {tmp_path}/copy; mount --bind {tmp_path}/copy /etc"
    look = f"sockd check /etc/sockd/sockd.toml; cat {DROP_IN}"
    whole = f"{of_its_own}\n{step.command}\n{script}{look}"
    done = finish(
        ["unshare", "--mount", "sh", "-c", whole], cwd=tmp_path, environment=paths, seconds=60
    )
    assert done.returncode == 0, done.stderr.decode()
    said = done.stdout.decode()
    assert said.count("daytime: tcp 0.0.0.0:13") == 2
    assert said.endswith((SYSTEMD / "as-root.conf").read_text())
    assert told.read_text().splitlines() == [
        "daemon-reload",
        "disable --now inetd xinetd",
        "enable --now sockd",
    ]
    assert not Path(DROP_IN).exists()
