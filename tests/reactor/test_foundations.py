"""What the reactor builds on is as it knows it; where it is not, that is found and told at once."""

from __future__ import annotations

import ast
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockd.reactor import foundations, openssl
from sockd.reactor.foundations import ABSENT, PARTS, Part, Shape
from tests.processes import BIN, Running, run, running, tcp_says, udp_says

ROOT = Path(__file__).parents[2]
REACTOR = ROOT / "src" / "sockd" / "reactor"
DOCS = ROOT / "docs" / "engine.md"


def test_all_parts_of_this_twisted_are_as_the_reactor_knows_them() -> None:
    assert [wrong for part in PARTS if (wrong := part.difference())] == []
    foundations.check()


# which parts


def documented() -> Iterator[str]:
    """The parts of which docs/engine.md says why the reactor needs them."""
    section = DOCS.read_text("utf-8").partition("## What it builds on")[2].partition("\n## ")[0]
    module = ""
    for line in section.splitlines():
        if heading := re.match(r"### `(.+)`", line):
            module = heading[1]
        elif row := re.match(r"\| (`.+?`) \| \S", line):
            for name in re.findall(r"`(.+?)`", row[1]):
                yield f"{module}.{name}"


def test_the_documentation_has_each_part_with_its_reason() -> None:
    assert sorted(documented()) == sorted(part.name for part in PARTS)


def test_the_documentation_has_each_part_of_pyopenssl_with_its_reason() -> None:
    section = DOCS.read_text("utf-8").partition("## TLS\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+`) \| \S", section, re.MULTILINE)
    told = [name.rpartition(".")[2] for row in rows for name in re.findall(r"`(.+?)`", row)]
    assert sorted(told) == sorted((*openssl._FUNCTIONS, *openssl._ATTRIBUTES))


def private_names() -> Iterator[str]:
    """Names with an underscore that the reactor's code uses and does not define itself."""
    trees = [ast.parse(file.read_text("utf-8")) for file in REACTOR.glob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    own = {node.name for node in nodes if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    own |= {node.id for node in nodes if isinstance(node, ast.Name)}
    for node in nodes:
        if isinstance(node, ast.Attribute):
            names = [node.attr]
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("sockd"):
            names = [one.name for one in node.names]
        else:
            continue
        yield from (name for name in names if re.match(r"_[^_]", name) and name not in own)


def test_every_private_part_that_the_reactor_s_code_names_is_looked_at() -> None:
    text = (REACTOR / "foundations.py").read_text("utf-8")
    known = {*re.findall(r"\b_[a-zA-Z]+", text), *openssl._ATTRIBUTES}
    ours = {"_wire", "_sender", "_written", "_next", "_log"}  # of the ports, set in their methods
    assert set(private_names()) - known - stored_here() - ours == set()


def stored_here() -> set[str]:
    """Attributes that the reactor's own code sets, and Twisted's does not."""
    found = set()
    for file in REACTOR.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                found.add(node.attr)
    return found


# what is found


class Old:
    """What the reactor knows."""

    size = 1

    def __init__(self, sock: object, name: str) -> None:
        self.sock = sock
        self.name = name

    def write(self, data: bytes) -> None:
        self.sock = data


class New(Old):
    """What the next Twisted has."""


SHAPES: dict[str, tuple[str, Shape, str]] = {
    "absent": ("Old.close", foundations.takes(), ABSENT),
    "a parameter": (
        "Old.write",
        foundations.takes("data", "how"),
        "takes (data) and not (data, how)",
    ),
    "a constructor": ("Old", foundations.takes("sock"), "takes (sock, name) and not (sock)"),
    "no function": ("Old.size", foundations.takes(), "is no function"),
    "no function to look into": ("Old.size", foundations.uses(), "is no function"),
    "no function that sets": ("Old.size", foundations.sets(), "is no function"),
    "an attribute more": ("Old.__init__", foundations.sets("sock"), "sets name"),
    "an attribute less": (
        "Old.__init__",
        foundations.sets("sock", "name", "queue"),
        "does not set queue",
    ),
    "another way": ("Old.write", foundations.uses("_queue"), "does not use _queue"),
    "another base": ("New", foundations.stands_on("Older"), "stands on Old, not on Older"),
    "another value": ("Old.size", foundations.equals(2), "is 1 and not 2"),
    "without": ("Old", foundations.has("size", "colour"), "has no colour"),
}


@pytest.mark.parametrize("case", SHAPES)
def test_a_difference_is_a_sentence(case: str) -> None:
    path, shape, wrong = SHAPES[case]
    sys.modules["the_next_twisted"] = sys.modules[__name__]
    try:
        part = Part("the_next_twisted", path, shape)
        assert part.difference() == f"the_next_twisted.{path} {wrong}"
    finally:
        del sys.modules["the_next_twisted"]


def test_a_module_that_is_gone_is_a_difference() -> None:
    part = Part("twisted.internet.never", "Port", foundations.takes())
    assert part.difference() == "twisted.internet.never.Port is not there"


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("Old.write", foundations.takes("data")),
        ("Old", foundations.takes("sock", "name")),
        ("Old.__init__", foundations.sets("sock", "name")),
        ("Old.write", foundations.uses("sock")),
        ("New", foundations.stands_on("Old")),
        ("New.size", foundations.equals(1)),
        ("New", foundations.has("size")),
    ],
)
def test_what_is_as_it_was_is_no_difference(path: str, shape: Shape) -> None:
    sys.modules["the_next_twisted"] = sys.modules[__name__]
    try:
        assert Part("the_next_twisted", path, shape).difference() == ""
    finally:
        del sys.modules["the_next_twisted"]


# what comes of it: processes in which Twisted is another, and works

OTHERS = {
    "a parameter more": (
        """
from twisted.internet import tcp

def accept(logger, accepts, listener, reservedFD, most=None):
    return older(logger, accepts, listener, reservedFD)

older, tcp._accept = tcp._accept, accept
""",
        "twisted.internet.tcp._accept takes (logger, accepts, listener, reservedFD, most) "
        "and not (logger, accepts, listener, reservedFD)",
    ),
    "a name that is gone": (
        """
from twisted.internet import udp

def startListening(self):
    self._open()
    self._connectToProtocol()

udp.Port._open = udp.Port._bindSocket
udp.Port.startListening = startListening
del udp.Port._bindSocket
""",
        "twisted.internet.udp.Port._bindSocket is not there",
    ),
    "an attribute more": (
        """
from twisted.internet import abstract

def __init__(self, reactor=None):
    older(self, reactor)
    self._marks = []

older, abstract.FileDescriptor.__init__ = abstract.FileDescriptor.__init__, __init__
""",
        "twisted.internet.abstract.FileDescriptor.__init__ sets _marks",
    ),
}
HOSTED = ["tcp:0:interface=127.0.0.1", "udp:0:interface=127.0.0.1"]


@pytest.fixture(params=OTHERS)
def other(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[dict[str, str], str]:
    """An environment in which Twisted is another one, and what is different."""
    prelude, wrong = OTHERS[request.param]
    (tmp_path / "sitecustomize.py").write_text(prelude, "utf-8")
    return {"PYTHONPATH": str(tmp_path)}, wrong


def arguments(command: str) -> list[str]:
    """What has a command run `echo` alone, on TCP and UDP."""
    if command.endswith("-echo"):
        return [word for one in HOSTED for word in ("--listen", one)]
    return ["--only", "echo", "--set", f"service.echo.listen={HOSTED}".replace("'", '"')]


def answers(daemon: Running) -> None:
    """Its services answer over both transports."""
    for transport, says in (("tcp", tcp_says), ("udp", udp_says)):
        found = daemon.wait_for(rf"^.*\b{transport} +127\.0\.0\.1:(\d+)")
        assert says(int(found[1]), b"hi\n") == b"hi\n"


@pytest.mark.parametrize("command", ["sockd run", "twistd -n --pidfile= sockd-echo"])
def test_on_another_twisted_the_daemon_says_so_in_one_line_and_runs_on_the_stock_reactor(
    command: str, other: tuple[dict[str, str], str]
) -> None:
    environment, wrong = other
    program, *rest = command.split()
    with running(
        [str(BIN / program), *rest, *arguments(command)], environment=environment
    ) as daemon:
        daemon.wait_for(r"sockd \S+ runs 1 service on the EPollReactor\b")
        answers(daemon)
        daemon.stop(signal.SIGINT)
        [line] = [line for line in daemon.text().splitlines() if "Twisted" in line]
        assert "Traceback" not in daemon.text()
    assert re.search(
        r" warn: sockd: Twisted [0-9.]+ is not as sockd's reactor knows it: "
        + re.escape(f"{wrong}; Twisted's default reactor is used, which is slower")
        + "$",
        line,
    )


@pytest.mark.parametrize("command", ["sockd run -r uvloop", "twistd -r uvloop -n --pidfile= sockd"])
def test_on_another_twisted_the_reactor_that_was_asked_for_is_refused(
    command: str, other: tuple[dict[str, str], str]
) -> None:
    environment, wrong = other
    program, *rest = command.split()
    done = run(str(BIN / program), *rest, *arguments(command), environment=environment)
    assert wrong in done.stdout + done.stderr
    assert "listening" not in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
