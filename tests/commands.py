"""The command `sockd`, called in this process."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sockd.cli import main
from sockd.service import find

FOUND = find()
"""The registry, as an installed daemon sees it."""


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime directory of the test's own."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o755)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
    return folder


def sockd(*arguments: str | Path) -> Result:
    """What a command does, in this process."""
    return CliRunner().invoke(main, [str(one) for one in arguments], prog_name="sockd")


def config(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "sockd.toml"
    file.write_text(text, "utf-8")
    return file
