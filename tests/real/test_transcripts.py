"""What the documentation says can be typed is typed, and what it says comes back comes back."""

from __future__ import annotations

import os
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockd.ops.table import client_command
from sockd.service import find
from tests.daemons import Daemon, inside, namespace
from tests.processes import SOCKD, finish, running
from tests.transcripts import Step, blocks, is_as_said, transcripts

ROOT = Path(__file__).parents[2]
SECONDS = 60.0
KINDS = find().kinds
README = (ROOT / "README.md").read_text("utf-8")


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    """A host of its own, with all ports free."""
    with namespace() as name:
        yield name


@pytest.fixture(scope="module")
def daemon(host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """What `make run` runs: the built-in configuration on its own ports.

    The beacon's period is shorter: whoever types the command may have to wait, and a test need not.
    The pages of `urgent` and `metrics` say what to start them with.
    """
    quick = ["--set", 'service.beacon.period="1s"']
    arguments = quick
    for kind in ("urgent", "metrics"):
        [assignment] = re.findall(r"`--set '(service\..*=.*)'`", KINDS[kind].documentation)
        arguments += ["--set", assignment]
    with Daemon(tmp_path_factory.mktemp("d"), None, arguments, namespace=host) as running:
        yield running


def shell(host: str, folder: Path, runtime: Path, script: str) -> str:
    """What bash prints when it is given this, in a folder, on a host."""
    environment = {
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "PATH": f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}:/usr/sbin:/usr/games",
        "RUNTIME": str(runtime),
        "RUNTIME_DIRECTORY": str(runtime),
    }
    argv = ["ip", "netns", "exec", host, "bash", "-c", f"exec 2>&1; {script}"]
    return finish(argv, cwd=folder, environment=environment, seconds=SECONDS).stdout.decode()


def replay(daemon: Daemon, host: str, folder: Path, steps: list[Step]) -> None:
    """Type the commands of a transcript into one shell; fails at the first that says else."""
    mark = "=== the next command ==="
    script = f"\necho '{mark}'\n".join(step.command for step in steps)
    outputs = shell(host, folder, daemon.runtime, script).split(f"{mark}\n")
    for step, output in zip(steps, outputs, strict=True):
        assert is_as_said(output, step.output), f"$ {step.command}\n{output}"


@pytest.mark.parametrize(
    ("output", "said", "is_so"),
    [
        ("one\r\ntwo\r\n", ["one", "two"], True),
        ("one\ntwo", ["one"], False),
        ("one\n", ["one", "two"], False),
        ("", [], True),
        ("", ["..."], False),
        ("one\n", [], False),
        ("one two three\n", ["one ... three"], True),
        ("one\nthree\n", ["one...three"], False),
        ("a\nb\nc\n", ["a", "..."], True),
        ("at Sat Nov  1 00:00:00 2036\n", ["at Sat Jun 17 18:06:14 2000"], True),
        ("at noon\n", ["at Sat Jun 17 18:06:14 2000"], False),
        ("2.3\n", ["2.3"], True),
        ("2 3\n", ["2.3"], False),
        ("time=12 µs\n", ["time=0.35 ms"], True),
        ("time=12 sec\n", ["time=0.35 s"], False),
        ("-0.002..+0.013 s\n", ["-0.45..+0.56 s"], True),
        ("0.013 s\n", ["0.013 Mbit/s"], False),
        ("9 kbit/s\n", ["3.21 Gbit/s"], True),
    ],
)
def test_a_transcript_that_is_not_so_is_noticed(output: str, said: list[str], is_so: bool) -> None:
    assert is_as_said(output, tuple(said)) is is_so


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_service_answers_as_its_documentation_says(
    kind: str, daemon: Daemon, host: str, tmp_path: Path
) -> None:
    found = list(transcripts(KINDS[kind].documentation))
    assert found, "there is nothing in its documentation that can be typed"
    for steps in found:
        replay(daemon, host, tmp_path, steps)


PAGES = ("README.md", "docs/clients.md", "docs/configuration.md")
ON_PAGES = {
    f"{page}: {steps[0].command[:30]}": (page, steps)
    for page in PAGES
    for steps in transcripts((ROOT / page).read_text("utf-8"))
}


def test_every_transcript_of_every_page_is_replayed() -> None:
    texts = {page: (ROOT / page).read_text("utf-8") for page in PAGES}
    assert {page: sum(one == page for one, _ in ON_PAGES.values()) for page in PAGES} == {
        page: text.count("```console\n") for page, text in texts.items()
    }


@pytest.mark.parametrize("name", ON_PAGES)
def test_the_commands_on_a_page_print_what_it_says(
    name: str, daemon: Daemon, host: str, tmp_path: Path
) -> None:
    page, steps = ON_PAGES[name]
    text = (ROOT / page).read_text("utf-8")
    for block in blocks(text):
        if block.name.endswith(".toml"):
            file = tmp_path / block.name
            file.parent.mkdir(exist_ok=True)
            file.write_text(block.text, "utf-8")
    replay(daemon, host, tmp_path, steps)


def test_a_start_prints_what_the_readme_shows(tmp_path: Path) -> None:
    """An excerpt: the columns are as wide as what stands in them, and `...` stands for lines."""
    [shown] = [block.text for block in blocks(README) if block.text.startswith("sockd ")]
    runtime = tmp_path / "run"
    with namespace() as alone:
        argv = ["ip", "netns", "exec", alone, SOCKD, "run"]
        with running(argv, environment={"RUNTIME_DIRECTORY": str(runtime)}) as daemon:
            text = daemon.wait_for(r"\A.+\n\n(?:.+\n)+\n")[0]
            assert inside(alone, "nc", "-N", "127.0.0.1", "10007", data=b"there?") == b"there?"
            assert daemon.stop() == 0
    lines = text.splitlines()
    printed = "\n".join(" ".join(line.split()) for line in lines)
    printed = printed.replace(str(runtime), "/run/sockd")
    printed = printed.replace(f" {client_command()} ", " .venv/bin/sock ")
    said = tuple(" ".join(line.split()) for line in shown.splitlines())
    assert is_as_said(printed, said), printed
