"""Another checkout's sockd as a peer."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import chosen, main, parse
from benchmarks.before import before, commit
from benchmarks.machine import pick_cores
from benchmarks.processes import Failed
from benchmarks.roster import INETD, PERL_FORK, SOCKD, XINETD, C
from benchmarks.run import Bench, Plan
from benchmarks.works import WORKS


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A checkout whose peer knows one kind, and says so."""
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    peer = tmp_path / "benchmarks" / "peers" / "sockd_peer.py"
    peer.parent.mkdir(parents=True)
    peer.write_text('import sys; sys.exit(f"old: {sys.argv[1:]}, " + "echo")\n')
    return tmp_path


def test_it_is_the_first_peer_of_every_work_and_has_no_target(old: Path) -> None:
    for work, plain in zip(chosen(parse(["--before", str(old)])), WORKS, strict=True):
        ours, first, *others = work.peers
        assert (ours, *others) == plain.peers
        assert first.name == "before"
        assert work.is_reached(first, 0.1) is None


def test_without_it_the_works_are_as_they_are() -> None:
    assert chosen(parse([])) == list(WORKS)
    assert [work.name for work in chosen(parse(["--only", "udp", "echo"]))] == ["echo", "udp"]


def test_by_processor_no_server_takes_part_whose_time_is_not_seen() -> None:
    echo, memory = chosen(parse(["--by-processor", "--only", "echo", "idle"]))
    assert echo.measure == "processor"
    assert C in echo.peers
    assert not {XINETD, INETD, PERL_FORK} & {*echo.peers}
    assert memory.measure == "memory"


def test_it_is_started_by_its_own_python_and_its_own_peer(old: Path) -> None:
    bench = Bench(pick_cores(), Plan(1, 1, 0.1, 0.0), {})
    with (
        pytest.raises(Failed, match=r"old: \['uvloop', 'echo'\]"),
        bench.serving("echo", before(old, "echo")),
    ):
        pass


def test_a_kind_that_its_own_peer_does_not_know_is_started_by_ours(old: Path) -> None:
    peer = before(old, "daytime-log")
    assert peer.argv == (str(old / ".venv" / "bin" / "python"), *SOCKD.argv[1:])


@pytest.mark.parametrize("missing", [".venv/bin/python", "benchmarks/peers/sockd_peer.py"])
def test_a_folder_that_is_no_installed_checkout_is_a_mistake_that_names_what_it_lacks(
    old: Path, missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (old / missing).unlink()
    with pytest.raises(SystemExit) as ended:
        main(["--before", str(old)])
    assert ended.value.code == 2
    assert f"{old / missing} does not exist" in capsys.readouterr().err


def test_a_folder_that_git_does_not_know_has_no_commit(tmp_path: Path) -> None:
    assert commit(tmp_path) == "unknown"
