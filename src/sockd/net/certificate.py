"""The certificate of a listener: its files, looked at again and again while it is in use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import LogLevel
from twisted.python.failure import Failure

from sockd.access.reasons import Reason, because
from sockd.listen.terms import Terms
from sockd.net import tls
from sockd.net.context import World
from sockd.net.tls_socket import OnSocket

Loaded = tuple[tls.Files, Any]
"""When TLS files were last changed, and the context that was made of them."""
Look = Literal["same", "changed", "unusable"]
"""What a look at the files has come to."""


def load(terms: Terms) -> Loaded:
    """Read the TLS files of an address. Raises ValueError that names the file at fault."""
    return tls.stamps(terms), tls.load(terms)


class Certificate:
    """What TLS is spoken with at one address. A file that turns bad leaves the old in use.

    Raises ValueError where the files cannot be used. `report` gets a reason and its
    level whenever something has changed.
    """

    def __init__(
        self, terms: Terms, world: World, report: Callable[[Reason, LogLevel], None]
    ) -> None:
        self.terms = terms
        self._world = world
        self._report = report
        found: Loaded = world.loaded.get(terms) or load(terms)
        self._files, context = found
        self._connections = tls.Connections(context)
        self._factory = tls.TLSFactory(self._connections, world.reactor, world.turns)
        self._check: LoopingCall | None = None
        self._complaint = ""

    def wrap(self, inner: IProtocol) -> IProtocol:
        """The TLS protocol around a service's."""
        return self._factory.wrap(inner)

    def wrap_on_socket(self, inner: IProtocol) -> IProtocol:
        """The same for a transport that can speak TLS itself."""
        return OnSocket(self._factory, inner)

    @property
    def expires(self) -> float:
        """When the first one ends of those that new connections get, as Unix time."""
        return tls.expires(self._connections.context)

    def watch(self) -> None:
        """Look at the files from time to time, as often as the daemon is set to."""
        self.stop()
        self._check = LoopingCall(self.look)
        self._check.clock = self._world.reactor
        self._check.start(self._world.certificate_check, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._check is not None:
            self._check.stop()
            self._check = None

    def look(self) -> Deferred[Look]:
        """Look whether the files have changed."""
        pool = self._world.reactor.getThreadPool()
        known = self._files

        def read() -> Loaded | None:
            found = tls.stamps(self.terms)
            return None if found == known else (found, tls.load(self.terms))

        done = deferToThreadPool(self._world.reactor, pool, read)
        return done.addCallbacks(self._use, self._keep)

    def _use(self, found: Loaded | None) -> Look:
        if found is None:
            return "same"
        self._files, self._connections.context = found
        self._complaint = ""
        self._report(because("certificate_changed"), LogLevel.info)
        return "changed"

    def _keep(self, failure: Failure) -> Look:
        failure.trap(ValueError)
        why = failure.getErrorMessage()
        if why != self._complaint:
            self._complaint = why
            self._report(because("certificate_kept", detail=why), LogLevel.warn)
        return "unusable"
