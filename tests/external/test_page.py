"""Another distribution with a service, made of docs/writing-a-service.md alone.

Every file that the page shows is written; then it is built, installed beside sockd's wheel in an
environment that knows nothing of this checkout, tested with its own tests, and run.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from attrs import frozen

from tests.environments import INSTALL_SECONDS, ROOT, Environment, build, make_environment
from tests.processes import free_port, running, succeed, tcp_says, udp_says
from tests.transcripts import write_files

PAGE = (ROOT / "docs" / "writing-a-service.md").read_text("utf-8")
MOST_LINES = 299
"""Of the page."""
PYTEST = {"iniconfig", "pluggy", "pygments", "pytest"}
PYTEST_TWISTED = {"decorator", "greenlet", "pytest-twisted"}
"""What `sockd-shout[test]` needs and sockd does not."""
# the first of them may have sockd's wheel built and installed
pytestmark = pytest.mark.timeout(3 * INSTALL_SECONDS)


@frozen
class Distribution:
    """The page's distribution: its files, and an environment in which it is installed."""

    source: Path
    environment: Environment

    def python(self, *arguments: str) -> str:
        """Run Python there, in the folder of the files; what it prints."""
        return succeed(self.environment.command("python"), *arguments, cwd=self.source)


def locked(names: set[str]) -> str:
    """These packages, as requirements-dev.txt has them."""
    lock = (ROOT / "requirements-dev.txt").read_text("utf-8")
    rows = re.findall(r"^([\w-]+)==.*(?:\n    --hash.*)+\n", lock, re.M)
    assert names <= set(rows)
    parts = re.split(r"^(?=[\w-]+==)", lock, flags=re.M)
    return "".join(part for part in parts if part.partition("==")[0] in names)


@pytest.fixture(scope="module")
def distribution(installed: Environment, tmp_path_factory: pytest.TempPathFactory) -> Distribution:
    """Installed on top of the environment in which sockd's wheel is."""
    folder = tmp_path_factory.mktemp("external")
    source = folder / "source"
    write_files(PAGE, source)
    environment = make_environment(folder / "venv")
    (environment.packages / "below.pth").write_text(f"{installed.packages}\n", "utf-8")
    (folder / "tools.txt").write_text(locked(PYTEST | PYTEST_TWISTED), "utf-8")
    quiet = ("install", "--quiet", "--only-binary", ":all:", "--no-deps")
    environment.pip(*quiet, "--require-hashes", "-r", folder / "tools.txt")
    environment.pip(*quiet, build(source, folder / "dist"))
    return Distribution(source, environment)


def test_the_page_is_read_in_one_sitting() -> None:
    assert len(PAGE.splitlines()) <= MOST_LINES


def test_it_needs_no_file_that_the_page_does_not_show(distribution: Distribution) -> None:
    where = distribution.python("-c", "from sockd.services import shout; print(shout.__file__)")
    assert Path(where.strip()).is_relative_to(distribution.environment.packages)
    sockd = distribution.python("-c", "import sockd; print(sockd.__file__)")
    assert not Path(sockd.strip()).is_relative_to(ROOT)


def test_its_tests_pass_where_it_is_installed(distribution: Distribution) -> None:
    said = distribution.python("-m", "pytest", "-q", "-W", "error")
    assert re.search(r"^\d\d passed", said, re.M), said


def test_sockd_lists_it_and_prints_its_page(distribution: Distribution) -> None:
    services = ("-m", "sockd.cli", "services")
    assert re.search(r"^shout +\[[a-z, ]+\] +Shout back", distribution.python(*services), re.M)
    page = distribution.python(*services, "shout")
    assert "with an ending that can be set" in page
    assert "what is put behind each line" in page


def test_sockd_runs_it(distribution: Distribution) -> None:
    port = free_port()
    listen = f'["tcp:{port}:interface=127.0.0.1", "udp:{port}:interface=127.0.0.1"]'
    argv = [
        *(distribution.environment.command("python"), "-m", "sockd.cli", "run", "--only", "shout"),
        *("--set", f"service.shout.listen={listen}", "--set", 'service.shout.ending="!"'),
    ]
    with running(argv, cwd=distribution.source) as daemon:
        daemon.wait_for("sockd .* runs 1 service")
        assert tcp_says(port, b"hello\nworld\n") == b"HELLO!\r\nWORLD!\r\n"
        assert udp_says(port, b"hello") == b"HELLO"
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.text()
