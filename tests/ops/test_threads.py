"""A stop waits for no thread that waits for good."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Timer

import pytest
from twisted.python.threadpool import ThreadPool

from sockd.ops import threads
from sockd.ops.threads import hold_up_no_end
from tests.daemons import Daemon
from tests.processes import PATIENCE

CONFIG = '[service.stuck]\nlisten = ["tcp:0:interface=127.0.0.1"]\n'
STUCK = """
from threading import Event

from sockd.net.stream import Stream
from sockd.service import Kind


class Stuck(Stream):
    def opened(self):
        reactor = self.context.world.reactor
        reactor.getThreadPool().callInThread(self.wait, reactor)

    def wait(self, reactor):
        reactor.callFromThread(self.write, b"stuck")
        Event().wait()


kind = Kind(name="stuck", doc=None, stream=Stuck)
"""


@pytest.fixture
def pool() -> ThreadPool:
    pool = ThreadPool(0, 3)
    hold_up_no_end(pool)
    pool.start()
    return pool


def test_a_pool_stops_though_work_goes_on_in_it(pool: ThreadPool) -> None:
    begun, let_go = Event(), Event()

    def wait() -> None:
        begun.set()
        let_go.wait()

    for _ in range(3):
        pool.callInThread(wait)
    assert begun.wait(PATIENCE)
    pool.stop()
    stuck = [one for one in pool.threads if one.is_alive()]
    assert stuck
    let_go.set()
    for one in stuck:
        one.join(PATIENCE)
        assert not one.is_alive()


def test_work_that_ends_in_time_is_waited_for(
    pool: ThreadPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "END_SECONDS", PATIENCE)
    let_go, done = Event(), []
    pool.callInThread(lambda: done.append(let_go.wait(PATIENCE)))
    Timer(0.01, let_go.set).start()
    pool.stop()
    assert done == [True]


def test_a_thread_that_waits_for_good_holds_up_no_stop(tmp_path: Path) -> None:
    folder = tmp_path / "others" / "sockd" / "services"
    folder.mkdir(parents=True)
    (folder / "stuck.py").write_text(STUCK, "utf-8")
    others = {"PYTHONPATH": str(tmp_path / "others"), "PYTHONDONTWRITEBYTECODE": "1"}
    with Daemon(tmp_path, CONFIG, environment=others) as daemon:
        with daemon.connect("stuck") as client:
            assert client.recv(10) == b"stuck"
        assert daemon.stop() == 0
