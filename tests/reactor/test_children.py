"""Ends of children: told whoever else starts some, and whatever has become of the process."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.protocol import ProcessProtocol

from sockd.testing.running import PATIENCE
from tests.helpers import until
from tests.memory import REACTOR
from tests.reactor.programs import said

# They close their pipes first, the end of which would have Twisted look whether they have ended.
CHILD = f"""
from twisted.internet import defer, protocol

class Child(protocol.ProcessProtocol):
    def __init__(self):
        self.over = defer.Deferred()

    def processEnded(self, reason):
        self.over.callback(reason.value)

def spawn(status, **kwargs):
    child = Child()
    words = ["sh", "-c", f"exec <&- >&- 2>&-; sleep 0.2; exit {{status}}"]
    reactor.spawnProcess(child, "/bin/sh", words, **kwargs)
    child.over.addCallback(lambda why: why.exitCode)
    return child.over.addTimeout({PATIENCE}, reactor)

async def guarded():
    try:
        await main()
    except BaseException as error:
        print(repr(error))
    reactor.stop()
"""
RUN = """
reactor.callWhenRunning(lambda: defer.ensureDeferred(guarded()))
reactor.run()
"""
BESIDE_ASYNCIO = f"""{CHILD}
import asyncio

async def of_asyncio(status):
    words = ["/bin/sh", "-c", f"echo {{status}}; exit {{status}}"]
    child = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    return await child.communicate(), child.returncode

def start(status):
    return defer.Deferred.fromFuture(asyncio.ensure_future(of_asyncio(status)))

async def main():
    print(await spawn(1))
    through = spawn(2)
    print(await start(3))
    print(await spawn(4), await through)
    print(await defer.gatherResults([spawn(5), start(6), spawn(7), start(8)]))
{RUN}"""
WITHOUT_DESCRIPTORS = f"""{CHILD}
import os, resource

held = []

def hold(self):
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass

async def main():
    # it has begun, and is not watched yet
    Child.connectionMade = hold
    over = spawn(9)
    assert len(held) > 10
    print(await over)
    for one in held:
        os.close(one)
    del Child.connectionMade
    print(await spawn(10))

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
reactor.callLater(0, lambda: defer.ensureDeferred(guarded()))
reactor.run()
"""
IGNORED = f"""
import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
{CHILD}
async def main():
    print(await spawn(11))
{RUN}"""
ELSEWHERE = f"""
import threading
{CHILD}
async def main():
    print(await spawn(12))

def run():
    reactor.callWhenRunning(lambda: defer.ensureDeferred(guarded()))
    reactor.run(installSignalHandlers=False)

thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


@pytest.mark.uvloop
@pytest.mark.parametrize("reactor", ["uvloop", "asyncio"])
def test_children_of_twisted_and_of_asyncio_are_told_of_side_by_side(reactor: str) -> None:
    assert said(BESIDE_ASYNCIO, reactor) == [
        "1",
        "((b'3\\n', None), 3)",
        "4 2",
        "[5, ((b'6\\n', None), 6), 7, ((b'8\\n', None), 8)]",
    ]


@pytest.mark.uvloop
@pytest.mark.parametrize("reactor", ["uvloop", "epoll"])
def test_the_end_of_a_child_is_told_while_there_is_no_descriptor_to_watch_it(reactor: str) -> None:
    assert said(WITHOUT_DESCRIPTORS, reactor) == ["9", "10"]


@pytest.mark.uvloop
@pytest.mark.parametrize("reactor", ["uvloop", "epoll"])
def test_the_end_of_a_child_is_told_though_the_signal_was_ignored_at_the_start(
    reactor: str,
) -> None:
    assert said(IGNORED, reactor) == ["11"]


@pytest.mark.uvloop
def test_the_end_of_a_child_is_told_by_a_reactor_that_runs_in_a_thread() -> None:
    assert said(ELSEWHERE, "uvloop") == ["12"]


def open_now() -> set[str]:
    """The descriptors of this process, and one that looks for them."""
    return {file.name for file in Path("/proc/self/fd").iterdir()}


class Child(ProcessProtocol):
    """Keeps that it has ended."""

    ended = False

    def processEnded(self, reason: object) -> None:
        self.ended = True


@pytest_twisted.ensureDeferred
async def test_children_that_have_ended_hold_no_descriptor() -> None:
    before = open_now()
    children = [Child() for _ in range(10)]
    for child in children:
        REACTOR.spawnProcess(child, "/bin/true", ["true"])
    await until(lambda: all(child.ended for child in children))
    assert open_now() <= before
