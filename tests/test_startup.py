"""Starting: what it loads, how soon it serves, on which reactors; and what is installed for it."""

from __future__ import annotations

import ast
import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sockd.service import find
from tests.daemons import namespace, receive_all, socket_on
from tests.processes import SOCKD, on_suite_reactor, run, running, tcp_says

ROOT = Path(__file__).parents[1]
SERVICES = ROOT / "src" / "sockd" / "services"
FOUND = find()
FILES = sorted(SERVICES.glob("[!_]*.py"))
SERVING_SECONDS = 5.0
"""The specification gives one second; on a loaded machine it is as many more."""


# what is imported

DEFAULT_START = """
import json, signal, sys
from sockd.service import find
from sockd.tap import load, run_foreground

settings = load(None, None, (), find())
from twisted.internet import reactor

def started():
    print("modules", json.dumps(sorted(sys.modules)), flush=True)
    signal.raise_signal(signal.SIGTERM)

reactor.callWhenRunning(started)
run_foreground(settings, None, "json")
"""
UNUSED = ("twisted.conch", "twisted.mail", "twisted.names", "twisted.web", "twisted.words")


def test_a_default_start_loads_no_part_of_twisted_that_it_does_not_need(tmp_path: Path) -> None:
    environment = {"RUNTIME_DIRECTORY": str(tmp_path)}
    with namespace() as host:
        argv = ["ip", "netns", "exec", host, sys.executable, "-c", DEFAULT_START]
        done = run(*argv, environment=environment)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    [started] = [event for event in events if event["event"] == "started"]
    assert started["services"] == sum(len(kind.instances) for kind in FOUND.kinds.values())
    [line] = re.findall(r"^modules (.*)$", done.stdout, re.M)
    modules = json.loads(line)
    assert "sockd.services.echo" in modules
    assert [name for name in modules if name.startswith(UNUSED)] == []


PLUGIN = """
import json, sys
from twisted.application.service import IServiceMaker
import twisted.plugins.sockd_plugin as plugin

modules = sorted(sys.modules)
commands = {
    one.tapname: one.description for one in vars(plugin).values() if IServiceMaker.providedBy(one)
}
print(json.dumps([modules, commands]))
"""


@pytest.fixture(scope="module")
def plugin() -> tuple[list[str], dict[str, str]]:
    """The modules there are once the plugin is imported, and twistd's commands: name, summary."""
    done = run(sys.executable, "-c", PLUGIN)
    assert done.returncode == 0, done.stderr
    modules, commands = json.loads(done.stdout)
    return modules, commands


def test_the_plugin_imports_neither_a_reactor_nor_a_service(
    plugin: tuple[list[str], dict[str, str]],
) -> None:
    modules, _ = plugin
    assert "twisted.plugins.sockd_plugin" in modules
    assert "twisted.internet.reactor" not in modules
    ours = [name for name in modules if name.partition(".")[0] == "sockd"]
    assert set(ours) <= {"sockd"}, ours


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_service_is_a_file_that_begins_with_its_summary_and_has_a_command(
    file: Path, plugin: tuple[list[str], dict[str, str]]
) -> None:
    text = file.read_text("utf-8")
    kind = FOUND.kinds[file.stem]
    assert text.startswith(f'"""{kind.summary}.\n\n')
    assert kind.doc == ast.get_docstring(ast.parse(text), clean=False)
    _, commands = plugin
    assert commands[f"sockd-{file.stem}"] == kind.summary


def test_every_command_of_twistd_is_the_daemon_or_a_service(
    plugin: tuple[list[str], dict[str, str]],
) -> None:
    _, commands = plugin
    assert commands.keys() == {"sockd", *(f"sockd-{file.stem}" for file in FILES)}
    assert FOUND.broken == {}


# how soon it serves


def test_it_serves_soon_after_its_start(tmp_path: Path) -> None:
    environment = {"RUNTIME_DIRECTORY": str(tmp_path)}
    with namespace() as host:
        argv = ["ip", "netns", "exec", host, *on_suite_reactor("run")]
        begin = time.monotonic()
        with running(argv, environment=environment) as daemon:
            daemon.wait_for(r"^wrap +unix ")
            sock = socket_on(host, socket.AF_INET, socket.SOCK_STREAM)
            with sock:
                sock.connect(("127.0.0.1", 10013))
                assert receive_all(sock)
            seconds = time.monotonic() - begin
            assert daemon.stop() == 0
    sys.stdout.write(f"the first answer came {seconds:.2f} s after the start\n")
    assert seconds < SERVING_SECONDS


# reactors


@pytest.mark.parametrize(
    ("name", "reactor"),
    [
        ("default", "EPollReactor"),
        ("epoll", "EPollReactor"),
        ("poll", "PollReactor"),
        ("select", "SelectReactor"),
        ("asyncio", "AsyncioSelectorReactor"),
    ],
)
def test_it_runs_on_each_reactor_that_there_is(name: str, reactor: str) -> None:
    listen = 'service.said.listen=["tcp:0:interface=127.0.0.1"]'
    argv = [SOCKD, "run", "--reactor", name, "--only", "said", "--set", listen]
    with running(argv) as daemon:
        table = daemon.wait_for(
            rf"^sockd \S+ runs 1 service on the {reactor}; .*\n\n.*\nsaid +tcp +127\.0\.0\.1:(\d+) "
        )
        assert tcp_says(int(table[1]), b"hi\n") == b"You said:hi\r\n"
        assert daemon.stop(signal.SIGINT) == 0
        assert "Traceback" not in daemon.text()


@pytest.mark.parametrize("name", ["kqueue", "iocp"])
def test_a_reactor_of_another_system_is_an_error_in_one_line(name: str) -> None:
    done = run(SOCKD, "run", "--reactor", name)
    assert done.returncode == 1
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith(f"sockd: the reactor {name!r} does not work here: ")


# what is installed

LOCKS = sorted(ROOT.glob("requirements*.txt"))
REQUIREMENT = re.compile(r"[a-z0-9][a-z0-9.-]*==[0-9][0-9a-z.]*( ; [a-z_]+ .+)?")


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_requirement_is_a_version_with_hashes_and_names_no_place(lock: Path) -> None:
    text = re.sub(r"^ *#.*\n", "", lock.read_text("utf-8"), flags=re.M).replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line]
    assert lines
    for line in lines:
        requirement, *hashes = re.split(r" +--hash=", line)
        assert REQUIREMENT.fullmatch(requirement), line
        assert hashes, line
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", one) for one in hashes), line


PLACES = re.compile(
    # where only one machine has anything, and where packages come from
    r"(?<![\w.}])/(?:work|root|home/\w+|Users/\w+)/"
    r"|\b(?:pypi|pythonhosted)\.org|\b(?:artifactor[y]|devp[i]|nexu[s])\b"
    r"|--(?:extra-)?index-url|--find-links[ =]"
)


def test_no_file_names_a_place_of_one_machine_or_of_a_registry() -> None:
    listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    # also where somebody else owns the checkout
    git = ["git", "-c", "safe.directory=*", *listing]
    names = subprocess.run(git, cwd=ROOT, capture_output=True, timeout=60, check=True).stdout
    found = []
    for name in filter(None, names.decode().split("\0")):
        file = ROOT / name
        if file.is_file():
            text = file.read_text("utf-8")
            found += [f"{name}: {place[0]}" for place in PLACES.finditer(text)]
    assert found == []
