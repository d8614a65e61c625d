"""The rights and the bounds of a program, as it sees them itself; and commands that are none."""

from __future__ import annotations

import os
import re
import resource
import sys
import tempfile
from pathlib import Path

import pytest
import pytest_twisted

from sockd.access.reasons import because
from sockd.net import program as program_module
from sockd.net.program import (
    TOOLS,
    NoProgram,
    locate,
    missing_tools,
)
from tests.helpers import LogRecorder, until
from tests.net.children import MAY, program, run, start
from tests.processes import NOBODY
from tests.processes import run as command

STATUS = "cat /proc/self/status"
NONE = "0000000000000000"


def status_of(text: bytes) -> dict[str, str]:
    """The fields of /proc/PID/status (proc(5)), a few words each."""
    pairs = (line.split(":", 1) for line in text.decode().splitlines())
    return {name: " ".join(value.split()) for name, value in pairs}


def own_status() -> dict[str, str]:
    return status_of(Path("/proc/self/status").read_bytes())


# rights


@pytest_twisted.ensureDeferred
async def test_a_program_that_runs_as_root_has_no_capability_and_can_gain_none() -> None:
    status = status_of((await run(STATUS)).output)
    assert status["Uid"] == "0 0 0 0"
    assert {status[f"Cap{which}"] for which in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {NONE}
    assert status["NoNewPrivs"] == "1"


@pytest_twisted.ensureDeferred
async def test_a_program_of_another_user_has_that_users_groups_and_no_capability() -> None:
    status = status_of((await run(STATUS, uid=NOBODY, gid=NOBODY)).output)
    assert status["Uid"] == status["Gid"] == f"{NOBODY} {NOBODY} {NOBODY} {NOBODY}"
    assert status["Groups"] == str(NOBODY)
    assert {status[f"Cap{which}"] for which in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {NONE}
    assert status["NoNewPrivs"] == "1"


@pytest_twisted.ensureDeferred
async def test_a_privileged_program_keeps_what_the_daemon_has() -> None:
    status = status_of((await run(STATUS, is_privileged=True)).output)
    ours = own_status()
    for name in ("CapPrm", "CapEff", "CapBnd", "NoNewPrivs"):
        assert status[name] == ours[name]


@pytest.mark.parametrize("is_privileged", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_setuid_program_gains_nothing_unless_it_is_privileged(
    is_privileged: bool,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        copy = Path(name, "cat")
        copy.write_bytes(Path("/bin/cat").read_bytes())
        copy.chmod(0o4755)
        script = f"{copy} /proc/self/status"
        child = await run(script, uid=NOBODY, gid=NOBODY, is_privileged=is_privileged)
    real, effective, *_ = status_of(child.output)["Uid"].split()
    assert (int(real), int(effective)) == (NOBODY, 0 if is_privileged else NOBODY)


# bounds


@pytest_twisted.ensureDeferred
async def test_a_program_opens_no_more_descriptors_than_it_may() -> None:
    script = (
        "import os\n"
        "try:\n"
        "    while True: last = os.dup(0)\n"
        "except OSError as error: print(last, error.strerror)"
    )
    child = start(sys.executable, "-S", "-c", script, descriptors=20)
    await until(lambda: child.status)
    assert child.output == b"19 Too many open files\n"


@pytest_twisted.ensureDeferred
async def test_a_program_writes_no_larger_file_than_it_may(tmp_path: Path) -> None:
    file = tmp_path / "file"
    child = await run(f"exec head -c 100000 /dev/zero >{file}", file_bytes=50_000)
    assert child.status == "signal SIGXFSZ"
    assert file.stat().st_size == 50_000


@pytest_twisted.ensureDeferred
async def test_what_a_program_prints_is_no_file(tmp_path: Path) -> None:
    child = await run("exec head -c 100000 /dev/zero", file_bytes=0)
    assert (child.status, len(child.output)) == ("exit 0", 100_000)


@pytest_twisted.ensureDeferred
async def test_a_program_starts_no_more_processes_than_its_user_may(log: LogRecorder) -> None:
    user = 1_000_000 + os.getpid()  # nobody else's, whatever runs on this host
    become = (
        "setpriv",
        f"--reuid={user}",
        "--clear-groups",
        "sh",
        "-c",
        "echo started; sleep 0; true",
    )
    child = start("/usr/bin/env", *become, is_privileged=True, processes=1)
    await until(lambda: child.status)
    assert (child.output, child.status) == (b"started\n", "exit 2")
    [said] = log.events("child-said")
    assert "fork" in said["text"]


def test_a_limit_is_never_above_the_daemons_own(monkeypatch: pytest.MonkeyPatch) -> None:
    limited = program("true")
    assert "--nofile=64" in limited.prepared_argv
    monkeypatch.setattr(resource, "getrlimit", lambda _: (7, 16))
    assert "--nofile=16" in limited.prepared_argv


def test_a_bound_that_does_not_bind_root_is_warned_of() -> None:
    assert list(program("true", processes=3).weaknesses()) == [because("processes_of_root")]
    assert not list(program("true", processes=3, uid=NOBODY, gid=NOBODY).weaknesses())


def test_root_that_cannot_give_up_its_capabilities_is_warned_of() -> None:
    script = (
        "from sockd.net.program import Program\n"
        f"print(*Program(argv=('true',), **{MAY}).weaknesses())"
    )
    done = command("setpriv", "--bounding-set=-setpcap", sys.executable, "-c", script)
    assert done.stdout == (
        "a program that runs as root keeps root's capabilities where the daemon lacks "
        "CAP_SETPCAP: give it a user\n"
    )
    assert not list(program("true").weaknesses())


# commands


def test_a_command_is_a_path_or_a_name_to_look_for() -> None:
    assert locate("/bin/sh") == "/bin/sh"
    assert Path(locate("sh")).samefile("/bin/sh")


@pytest.mark.parametrize("command", ["/no/such/program", "no-such-program", "/etc/passwd/program"])
def test_a_command_that_there_is_not_is_told_apart_from_one_that_cannot_be_run(
    command: str,
) -> None:
    with pytest.raises(NoProgram, match=f"^there is no program '{command}'"):
        locate(command)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("/tmp", "is a directory, not a program"),
        ("/etc/passwd", "is not executable: `chmod [+]x` makes it so"),
        ("/dev/null", "is no ordinary file, and so no program"),
        ("bin/sh", "is a relative path: give an absolute one, or a name to look for"),
        ("./sh", "is a relative path: give an absolute one, or a name to look for"),
        ("/" + "x" * 300, "cannot be looked at: File name too long"),
        ("/bin/s\0h", "has a NUL"),
    ],
)
def test_a_command_that_cannot_be_run_is_told_as_what_it_is(command: str, why: str) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(repr(command))} {why}$") as caught:
        locate(command)
    assert not isinstance(caught.value, NoProgram)


# the tools


def test_a_host_without_the_tools_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert missing_tools() == ""
    monkeypatch.setattr(program_module, "PATH", str(tmp_path))
    said = "programs cannot be run: {} not on this host (see its packages util-linux and coreutils)"
    assert missing_tools() == said.format("env, setsid, prlimit, setpriv are")
    for name in TOOLS[:3]:
        (tmp_path / name).touch(0o755)
    assert missing_tools() == said.format("setpriv is")
    with pytest.raises(FileNotFoundError, match="setpriv"):
        _ = program("true").prepared_argv
