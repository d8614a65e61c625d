"""The Containerfile, without a container engine: what it says is done on a root of its own."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator

import pytest
from attrs import frozen

from tests.daemons import children, inside, two_hosts
from tests.environments import INSTALL_SECONDS, ROOT, Environment
from tests.processes import BIN, SOCKD, Running, running, succeed, wait_until
from tests.roots import Root, root
from tests.transcripts import blocks

pytestmark = pytest.mark.timeout(3 * INSTALL_SECONDS)
TEXT = (ROOT / "Containerfile").read_text("utf-8")


BUILD, LAST = TEXT.split("\nFROM ")[1:]


def said(stage: str, word: str) -> list[str]:
    """What stands behind an instruction, each time that it is there."""
    return re.findall(rf"^{word} (.+)$", stage, re.M)


ENVIRONMENT = dict(value.split("=", 1) for value in said(LAST, "ENV"))
[USER] = said(LAST, "USER")
START = [*json.loads(said(LAST, "ENTRYPOINT")[0]), *json.loads(said(LAST, "CMD")[0])]
[HEALTH] = re.findall(r"^HEALTHCHECK .* CMD (\[.*\])$", LAST, re.M)
AS_USER = (
    *("env", *(f"{name}={value}" for name, value in ENVIRONMENT.items())),
    *("setsid", "setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups"),
    # the interpreter can lie in root's home here
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),
    "--bounding-set=-all,+dac_read_search",
)


@frozen
class Container:
    """What runs as the engine would have it run."""

    process: Running
    address: str
    other_host: str

    @property
    def first(self) -> int:
        """The number that its first process has here."""
        # nsenter, unshare, and what that has started
        [below] = children(self.process.pid)
        [found] = children(below)
        return found

    def execute(self, *argv: str) -> str:
        """Have a command run in it, as an engine's `exec` does; what it prints."""
        enter = ["nsenter", f"--target={self.first}", "--mount", "--net", "--pid", "--root", "--wd"]
        return succeed(*enter, *AS_USER, *argv)


@pytest.fixture(scope="module")
def container(
    installed: Environment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Container]:
    """It is built and runs, on a host beside another one."""
    folder = tmp_path_factory.mktemp("container")
    with two_hosts() as (here, there), root(folder, installed, here) as host:
        build(host)
        argv = host.command(*AS_USER, *START, is_first=True)
        with running(argv) as process:
            process.wait_for(r"sockd .* runs \d+ services")
            found = Container(process, "10.77.0.1", there)
            yield found
            os.kill(found.first, signal.SIGTERM)
            assert process.wait() == 0
            assert "Traceback" not in process.text()


def build(host: Root) -> None:
    """Do what the last stage says; what the first one makes is there already."""
    for command in said(LAST, "RUN"):
        host.run(command, folder="/")


def test_it_installs_sockd_as_the_page_on_operations_does() -> None:
    """By commands that are tried there."""
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    [block, *_] = [one.text for one in blocks(page) if "python3 -m venv /opt/sockd" in one.text]
    assert said(BUILD, "RUN") == block.splitlines()[:3]


def commands_of_the_page() -> list[str]:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    [chapter] = re.findall(r"^## In a container\n(.*?)^## ", page, re.M | re.S)
    [block] = [one.text for one in blocks(chapter)]
    return block.splitlines()


def test_it_shows_the_commands_that_the_page_on_operations_shows() -> None:
    assert re.findall("^#   (podman .*)$", TEXT, re.M) == commands_of_the_page()


def test_an_image_is_built_in_the_format_that_has_a_health_check() -> None:
    [build] = [line for line in commands_of_the_page() if line.startswith("podman build ")]
    assert HEALTH
    assert "--format docker" in build


def test_a_port_below_1024_that_is_published_is_one_that_its_user_may_bind() -> None:
    low = [
        line
        for line in commands_of_the_page()
        if any(int(port) < 1024 for port in re.findall(r"--publish \d+:(\d+)", line))
    ]
    assert low
    assert all("--sysctl net.ipv4.ip_unprivileged_port_start=0 " in line for line in low)


def test_it_says_nothing_that_is_not_tried_here() -> None:
    words = set(re.findall(r"^([A-Z]+) ", TEXT, re.M))
    tried = {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert words == tried | {"EXPOSE", "VOLUME"}
    assert said(LAST, "COPY") == ["--from=build /opt/sockd /opt/sockd"]
    assert said(LAST, "VOLUME") == [ENVIRONMENT["STATE_DIRECTORY"]]


def test_it_names_ports_that_the_built_in_configuration_listens_on() -> None:
    listed = succeed(SOCKD, "check", "--interface", "*")
    ports = {f"{port}/{transport}" for transport, port in re.findall(r": (\w+) \S+:(\d+)", listed)}
    assert set(said(LAST, "EXPOSE")[0].split()) <= ports


def test_another_host_is_served(container: Container) -> None:
    assert inside(container.other_host, "nc", "-N", container.address, "7800", data=b"abc\n") == (
        b"cba\r\n"
    )
    asked = (str(BIN / "sock"), "echo", "-c1", "--json", f"{container.address}:10007")
    summary = json.loads(inside(container.other_host, *asked).splitlines()[-1])
    assert summary["hosts"][0]["counts"]["received"] == 1


def test_the_health_check_finds_it_well(container: Container) -> None:
    assert container.execute(*json.loads(HEALTH)) == ""


def test_it_is_the_first_process_and_reaps_what_has_lost_its_parent(container: Container) -> None:
    container.execute("sh", "-c", "echo $$; setsid sleep 0.2 & setsid sh -c 'sleep 0.1; exit 3' &")
    assert container.execute("cat", "/proc/1/comm").startswith(("sockd", "python"))
    wait_until(lambda: not children(container.first), "all have been reaped")


def test_it_is_upgraded_in_place_and_stays_the_first_process(container: Container) -> None:
    before = container.first
    assert " serves, process 1, " in container.execute("sockd", "upgrade")
    assert container.first == before
    assert container.execute(*json.loads(HEALTH)) == ""
    said = inside(container.other_host, "nc", "-N", container.address, "7800", data=b"abc\n")
    assert said == b"cba\r\n"
