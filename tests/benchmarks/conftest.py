"""What the benchmark needs beside Python: compiled as `make bench` compiles it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import run
from tests.processes import PATIENCE

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers may take their time to start: what else runs on the machine is not measured here."""
    monkeypatch.setattr(run, "START_SECONDS", PATIENCE)


@pytest.fixture(scope="session")
def tools() -> None:
    """The load generator and the peers in C and Go, in the environment that runs the tests."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    subprocess.run(
        ["make", "--silent", f"VENV={sys.prefix}", "bench-tools"],
        cwd=ROOT,
        env=environment,
        check=True,
        timeout=300,
    )
