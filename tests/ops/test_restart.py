"""How a process is started again: as it was started."""

from __future__ import annotations

from pathlib import Path

import pytest

from sockd.ops.restart import command

PYTHON = "/opt/sockd/bin/python"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A script of this Python, as pip installs them."""
    file = tmp_path / "sockd"
    file.write_text(f"#!{PYTHON}\n# -*- coding: utf-8 -*-\n", "utf-8")
    file.chmod(0o755)
    return file


def test_a_script_is_run_itself_so_that_the_process_is_called_by_it(script: Path) -> None:
    assert command("/usr/bin/python3", [PYTHON, str(script), "run"]) == (str(script), "run")


def test_a_script_that_names_another_python_is_given_to_this_one(script: Path) -> None:
    argv = ["/usr/bin/python3", str(script), "run"]
    assert command(PYTHON, argv) == (PYTHON, str(script), "run")


def test_a_script_that_cannot_be_run_is_given_to_python(script: Path, tmp_path: Path) -> None:
    script.chmod(0o644)
    for one in (str(script), str(tmp_path), str(tmp_path / "none")):
        assert command(PYTHON, [PYTHON, one]) == (PYTHON, one)


def test_options_of_python_and_modules_stay() -> None:
    for rest in (["-I", "-m", "sockd.cli", "run"], ["-c", "pass"], []):
        assert command("/usr/bin/python3", [PYTHON, *rest]) == ("/usr/bin/python3", *rest)
