"""A pytest plugin: `pytest_plugins = ["sockd.testing.plugin"]` in the conftest.py of other tests.

Every test then fails for what it leaves behind, and one that asks for `log` can read what was
logged. It works with pytest-twisted, and without it where all is in memory.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.internet.defer import ensureDeferred

from sockd.testing.leftovers import nothing_left
from sockd.testing.log import LogRecorder
from sockd.testing.running import has_reactor, wait, warm_up


@pytest.fixture(scope="session", autouse=True)
def running_reactor() -> None:
    """The reactor as the daemon has it, with the descriptors that it opens once and keeps."""
    if has_reactor():
        import pytest_twisted

        pytest_twisted.blockon(ensureDeferred(warm_up()))


@pytest.fixture(autouse=True)
def log(running_reactor: None) -> Iterator[LogRecorder]:
    """What is logged during the test, which leaves nothing behind: see `nothing_left`."""
    with nothing_left(wait if has_reactor() else None) as recorder:
        yield recorder
