"""Environments with sockd installed as users install it: from its wheel, without this checkout."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from attrs import frozen

from tests.processes import succeed

ROOT = Path(__file__).parents[1]
INSTALL_SECONDS = 300.0
NOT_COPIED = shutil.ignore_patterns(".git", ".venv*", ".*_cache", ".hypothesis", "__pycache__")


@frozen
class Environment:
    """A virtual environment with sockd installed from its wheel."""

    folder: Path

    def command(self, name: str) -> str:
        """The path of a command."""
        return str(self.folder / "bin" / name)

    @property
    def packages(self) -> Path:
        """Its site-packages."""
        [found] = self.folder.glob("lib/python*/site-packages")
        return found

    def pip(self, *arguments: str | Path) -> None:
        """Run pip for it, the one of the environment that the tests run in."""
        pip = (sys.executable, "-m", "pip", "--python", self.command("python"))
        succeed(*pip, *arguments, seconds=INSTALL_SECONDS)


def make_environment(folder: Path) -> Environment:
    """An environment with nothing in it."""
    succeed(sys.executable, "-m", "venv", "--without-pip", folder)
    return Environment(folder)


def build(source: Path, target: Path) -> Path:
    """The wheel of a source tree, made by way of its source distribution."""
    command = (sys.executable, "-m", "build", "--no-isolation", "--outdir", target, source)
    succeed(*command, seconds=INSTALL_SECONDS)
    [wheel] = target.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, in which twistd has left its caches."""
    folder = tmp_path_factory.mktemp("build")
    shutil.copytree(ROOT, folder / "source", ignore=NOT_COPIED)
    for place in ("twisted/plugins", "src/sockd/services"):
        (folder / "source" / place / "dropin.cache").write_bytes(b"")
    return build(folder / "source", folder)


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel installed with what the lock names, in an environment of its own."""
    environment = make_environment(tmp_path_factory.mktemp("installed") / "venv")
    quiet = ("install", "--quiet", "--only-binary", ":all:")
    environment.pip(*quiet, "--require-hashes", "-r", ROOT / "requirements.txt")
    environment.pip(*quiet, "--no-deps", wheel)
    return environment
