"""What holds for every test: it leaves nothing behind, in the log, the kernel or the reactor.

What imports Twisted's reactor is imported late: the suite's reactor is installed after this file
has been read.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import pytest_twisted
import trustme
from twisted.logger import globalLogPublisher

if TYPE_CHECKING:
    from tests.helpers import LogRecorder


def pytest_configure(config: pytest.Config) -> None:
    """Have the daemons that tests start run on the reactor that the suite runs on.

    An example of a property has no deadline: what else runs on the machine would decide. Examples
    are always the same, unless SOCKD_FUZZ in the environment asks to search for others.
    """
    # a suite that runs in the background has ^C switched off, and so would the daemons that it asks
    # to end
    signal.signal(signal.SIGINT, signal.default_int_handler)
    hypothesis.settings.register_profile(
        "suite",
        deadline=None,
        derandomize="SOCKD_FUZZ" not in os.environ,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("suite")
    os.environ["SOCKD_TEST_REACTOR"] = config.getoption("reactor")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, on the other reactors, what only sockd's own promises."""
    if config.getoption("reactor") != "uvloop":
        ours = [item for item in items if item.get_closest_marker("uvloop")]
        config.hook.pytest_deselected(items=ours)
        items[:] = [item for item in items if item not in ours]


@pytest.fixture(scope="session", autouse=True)
def running_reactor() -> None:
    """The reactor as the daemon has it, with the descriptors that it opens once and keeps."""
    from twisted.internet import reactor, tcp
    from twisted.internet.defer import ensureDeferred
    from twisted.internet.protocol import Factory, Protocol
    from twisted.internet.task import deferLater

    from sockd.daemon.daemon import use_monotonic_time
    from tests.helpers import until
    from tests.memory import REACTOR

    use_monotonic_time(reactor)
    tcp._reservedFD.reserve()
    # libuv opens /dev/null for its first stream
    served: Any = Protocol()
    port = REACTOR.listenTCP(0, Factory.forProtocol(lambda: served), interface="127.0.0.1")
    socket.create_connection(("127.0.0.1", port.getHost().port)).close()
    is_over = until(lambda: served.transport and not served.transport.connected)
    pytest_twisted.blockon(ensureDeferred(is_over))
    pytest_twisted.blockon(port.stopListening())
    pytest_twisted.blockon(deferLater(reactor, 0))


@pytest.fixture(scope="session")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A certificate for localhost and 127.0.0.1, its key, and who has signed it."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    files = (folder / "cert.pem", folder / "key.pem", folder / "ca.pem")
    files[0].write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(files[1]))
    authority.cert_pem.write_to_path(str(files[2]))
    return files


@pytest.fixture
def log() -> Iterator[LogRecorder]:
    """What is logged during the test."""
    from tests.helpers import LogRecorder

    recorder = LogRecorder()
    globalLogPublisher.addObserver(recorder)
    yield recorder
    globalLogPublisher.removeObserver(recorder)


@pytest.fixture(autouse=True)
def nothing_left(log: LogRecorder) -> Iterator[None]:
    """No fault in the log, no timer, no descriptor, no child process, no open session."""
    from twisted.internet.defer import ensureDeferred

    from tests import helpers

    world = helpers.WORLD = helpers.World()
    before = _what_is_there()
    yield
    world.close()

    def left() -> list[str]:
        return [*world.left(), *(_what_is_there() - before).elements()]

    if left():
        # what closes or ends in the next turns of the reactor is on its way
        with suppress(AssertionError):
            pytest_twisted.blockon(ensureDeferred(helpers.until(lambda: not left())))
    found = left()
    world.forget()
    gc.collect()  # a Deferred that failed unseen says so when it is collected
    gc.freeze()  # and what is still there need not be looked at again
    found += [f"a fault in the log: {text}" for text in log.fault_texts()]
    assert not found, "\n".join(found)


def _what_is_there() -> Counter[str]:
    """Descriptors, children (zombies too) and timers, in words."""
    from tests.memory import REACTOR

    found: Counter[str] = Counter()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists them
            found[f"a descriptor: {descriptor.readlink()}"] += 1
    for thread in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            for child in (thread / "children").read_text("ascii").split():
                found[f"a child process: {child}"] += 1
    for call in REACTOR.getDelayedCalls():
        found[f"a delayed call at {call.getTime()}: {call.func}"] += 1
    return found
