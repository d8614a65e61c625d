"""What users install: the wheel, without this checkout, and a distribution beside it."""

from __future__ import annotations

import email
import json
import os
import re
import signal
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import ask, namespace, socket_on
from tests.environments import INSTALL_SECONDS, ROOT, Environment, build
from tests.processes import NOBODY, free_port, run, running, succeed, tcp_says, udp_says
from tests.transcripts import readme_service

# the first of them has the wheel built and installed
pytestmark = pytest.mark.timeout(3 * INSTALL_SECONDS)
SERVICE = 'listen = ["tcp:{port}:interface=127.0.0.1", "udp:{port}:interface=127.0.0.1"]\n'


def write_config(folder: Path, text: str) -> str:
    file = folder / "sockd.toml"
    file.write_text(text, "utf-8")
    return str(file)


# the wheel


def test_the_wheel_holds_the_package_the_plugin_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    found = {name for name in names if not re.search(r"\.(dist-info|data)/", name)}
    source = ROOT / "src"
    expected = {str(file.relative_to(source)) for file in source.rglob("*.py")}
    assert found == expected | {"sockd/py.typed", "twisted/plugins/sockd_plugin.py"}


def test_the_documentation_the_configuration_and_the_unit_are_installed_as_they_are_here(
    installed: Environment,
) -> None:
    share = installed.folder / "share" / "doc" / "sockd"
    expected = {ROOT / "LICENSE", *ROOT.glob("*.md"), *ROOT.glob("benchmarks/results.*")}
    expected |= {*(ROOT / "docs").rglob("*.md"), ROOT / "etc" / "sockd.toml"}
    expected |= {*(ROOT / "etc" / "systemd").iterdir()}
    for file in expected:
        assert (share / file.relative_to(ROOT)).read_bytes() == file.read_bytes()


COMPLETIONS = {
    "{}.bash": "bash-completion/completions/{}",
    "_{}": "zsh/site-functions/_{}",
    "{}.fish": "fish/vendor_completions.d/{}.fish",
}
"""What completes a program is called here, and where its shell looks for it."""


def test_man_pages_and_completions_are_installed_where_they_are_looked_for(
    installed: Environment,
) -> None:
    share = installed.folder / "share"
    pages = {file: share / "man" / f"man{file.suffix[1:]}" for file in (ROOT / "man").iterdir()}
    places = {file: folder / file.name for file, folder in pages.items()}
    for here, there in COMPLETIONS.items():
        for program in ("sock", "sockd"):
            places[ROOT / "completions" / here.format(program)] = share / there.format(program)
    assert places.keys() == {*(ROOT / "man").iterdir(), *(ROOT / "completions").iterdir()}
    for file, place in places.items():
        assert place.read_bytes() == file.read_bytes()


def test_every_link_of_what_is_installed_leads_to_something_installed(
    installed: Environment,
) -> None:
    share = installed.folder / "share" / "doc" / "sockd"
    pages = list(share.rglob("*.md"))
    assert share / "README.md" in pages
    for page in pages:
        text = page.read_text("utf-8")
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page}: {target}"
    assert len(re.findall(r"\]\((?:docs|etc)/", (share / "README.md").read_text("utf-8"))) > 10


def test_the_readme_is_what_an_index_shows_and_says_where_its_links_lead(wheel: Path) -> None:
    [name] = [one for one in zipfile.ZipFile(wheel).namelist() if one.endswith("/METADATA")]
    metadata = email.message_from_bytes(zipfile.ZipFile(wheel).read(name))
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "share/doc/sockd" in metadata.get_payload()


def test_what_is_installed_needs_what_the_lock_names_and_no_more(installed: Environment) -> None:
    installed.pip("check")


@pytest.mark.parametrize(
    "command", ["twistd sockd", "twistd sockd-reverse", "sockd run", "sock echo"]
)
def test_the_commands_have_help(installed: Environment, command: str, tmp_path: Path) -> None:
    program, *rest = command.split()
    said = succeed(installed.command(program), *rest, "--help", cwd=tmp_path)
    assert re.match(rf"Usage: {program} (\[options\] )?{rest[0]} \[", said)


def test_the_client_asks_the_daemon_that_is_installed_with_it(
    installed: Environment, tmp_path: Path
) -> None:
    port = free_port()
    config = write_config(tmp_path, f"[service.echo]\n{SERVICE.format(port=port)}")
    with running([installed.command("sockd"), "run", config]) as daemon:
        daemon.wait_for("^echo .*")
        for transport in ("--udp", "--tcp"):
            asked = [transport, "--json", "-c3", "-i0.01", f"127.0.0.1:{port}"]
            said = succeed(installed.command("sock"), "echo", *asked, cwd=tmp_path)
            assert json.loads(said.splitlines()[-1])["hosts"][0]["counts"]["received"] == 3
        daemon.stop()


def test_twistd_knows_the_reactor(installed: Environment, tmp_path: Path) -> None:
    said = succeed(installed.command("twistd"), "--help-reactors", cwd=tmp_path)
    assert re.search(r"^ {4}uvloop\tuvloop based reactor", said, re.M)


def test_the_built_in_configuration_is_right(installed: Environment, tmp_path: Path) -> None:
    said = succeed(installed.command("sockd"), "check", cwd=tmp_path)
    assert "echo: tcp 127.0.0.1:10007\n" in said
    assert "warning" not in said


START = {
    "sockd run": 0,
    "sockd run --reactor poll": 0,
    "twistd --reactor uvloop --nodaemon --pidfile= sockd": -signal.SIGTERM,
    # twistd ends by the signal that it was sent
    "twistd --nodaemon --pidfile= sockd": -signal.SIGTERM,
}
"""Commands that start it in the foreground, and the exit code after SIGTERM."""


def test_it_runs(installed: Environment, tmp_path: Path) -> None:
    port = free_port()
    file = write_config(tmp_path, "[service.reverse]\n" + SERVICE.format(port=port))
    for command, status in START.items():
        program, *rest = command.split()
        argv = [installed.command(program), *rest, "--config", file]
        with running(argv, cwd=tmp_path) as daemon:
            daemon.wait_for(f"127.0.0.1:{port}")
            daemon.wait_for("sockd .* runs 1 service")
            assert tcp_says(port, b"stressed\n") == b"desserts\r\n"
            assert udp_says(port, b"1: stressed\n").startswith(b"1: desserts")
            assert daemon.stop() == status
            assert "Traceback" not in daemon.text()


def remove_caches(installed: Environment) -> None:
    """Have Twisted look for plugins anew."""
    for file in installed.packages.rglob("dropin.cache"):
        file.unlink()


# read-only

AS_NOBODY = (
    *("setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"),
    # may go where only root may, for the interpreter can lie in root's home; may write nowhere
    *("--inh-caps", "-all,+dac_read_search", "--ambient-caps", "-all,+dac_read_search"),
    *("--bounding-set", "-all,+dac_read_search"),
)


@pytest.mark.parametrize(("command", "status"), START.items())
def test_a_default_start_needs_to_write_nothing_but_sockets(
    installed: Environment, command: str, status: int, tmp_path: Path
) -> None:
    """As a user without a home, who may not write where sockd is installed."""
    remove_caches(installed)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    os.chown(temporary, NOBODY, NOBODY)
    program, *rest = command.split()
    with namespace() as host:
        nobody = ["ip", "netns", "exec", host, *AS_NOBODY]
        assert run(*nobody, "test", "-w", str(installed.packages)).returncode == 1
        clean = ["env", "-i", "PATH=/usr/bin:/bin", f"TMPDIR={temporary}"]
        argv = [*nobody, *clean, installed.command(program), *rest]
        with running(argv, cwd=temporary) as daemon:
            daemon.wait_for(r"sockd .* runs \d+ services")
            daemon.wait_for(rf"{temporary}/sockd-{NOBODY}/wrap\.sock")
            sock = socket_on(host, socket.AF_INET, socket.SOCK_STREAM)
            sock.connect(("127.0.0.1", 7800))
            assert ask(sock, b"stressed\n") == b"desserts\r\n"
            assert daemon.stop() == status
            for word in ("cache", "Traceback", "warn", "error"):
                assert word not in daemon.text()
    assert not list(installed.packages.rglob("dropin.cache"))
    assert [file.name for file in temporary.iterdir()] == [f"sockd-{NOBODY}"]


# services of others

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "sockd-shout"
version = "1"
dependencies = ["sockd"]

[tool.hatch.build]
only-include = ["sockd"]
"""


@pytest.fixture
def third_party(installed: Environment, tmp_path: Path) -> Iterator[Environment]:
    """With another distribution installed in it, that adds the service `shout`."""
    # so that Twisted has a cache of the commands that there were before
    succeed(installed.command("twistd"), "sockd", "--help")
    source = tmp_path / "source"
    file = source / "sockd" / "services" / "shout.py"
    file.parent.mkdir(parents=True)
    file.write_text(readme_service(), "utf-8")
    (source / "pyproject.toml").write_text(PROJECT, "utf-8")
    installed.pip("install", "--quiet", "--no-deps", build(source, tmp_path / "dist"))
    yield installed
    installed.pip("uninstall", "--quiet", "--yes", "sockd-shout")


def test_another_distribution_adds_a_service_by_one_file(
    third_party: Environment, tmp_path: Path
) -> None:
    sockd = third_party.command("sockd")
    assert re.search(r"^shout +\[[a-z, ]+\] +Shout back$", succeed(sockd, "services"), re.M)
    assert "Shout back." in succeed(sockd, "services", "shout")
    assert "[service.shout]" in succeed(sockd, "config")
    port = free_port()
    file = write_config(tmp_path, '[service.loud]\nkind = "shout"\n' + SERVICE.format(port=port))
    with running([sockd, "run", "--config", file], cwd=tmp_path) as daemon:
        daemon.wait_for(rf"^loud +tcp +127\.0\.0\.1:{port}")
        assert tcp_says(port, b"hello\nworld\n") == b"HELLO\r\nWORLD\r\n"
        assert udp_says(port, b"hello") == b"HELLO"
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.text()


def test_a_service_that_is_gone_is_gone_from_twistd_too(
    third_party: Environment, tmp_path: Path
) -> None:
    """Twisted's cache still has its command."""
    remove_caches(third_party)
    assert "sockd-shout" in succeed(third_party.command("twistd"), "--help", cwd=tmp_path)
    # as an uninstalled one, until the test's end
    service = third_party.packages / "sockd" / "services" / "shout.py"
    text = service.read_text("utf-8")
    service.unlink()
    try:
        done = run(third_party.command("twistd"), "--help", cwd=tmp_path)
    finally:
        service.write_text(text, "utf-8")
    assert done.returncode == 0
    assert "sockd-reverse" in done.stdout
    assert "shout" not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
