"""`pytest --reactor=NAME` with the reactors that the suite is run on.

pytest-twisted knows few of them. It reads its table when it is loaded, so this is loaded before it:
pyproject.toml has `-p tests.reactors`.
"""

from __future__ import annotations

from functools import partial

import pytest_twisted
from twisted.internet import epollreactor

from sockd.reactor import entry
from sockd.reactor.uv import UvloopReactor

pytest_twisted.reactor_installers.update(
    epoll=partial(pytest_twisted._install_reactor, epollreactor.install, epollreactor.EPollReactor),
    uvloop=partial(pytest_twisted._install_reactor, entry.install, UvloopReactor),
)
