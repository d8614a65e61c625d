"""The addresses of an instance, each with its socket and what comes in there.

A listener is *prepared*, which binds and may fail, and *committed*, which begins to accept. So a
daemon can find out whether all of a change can be done before it does any of it. Terms and context
change while the socket stays.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import LogLevel

from sockd import events
from sockd.access.entrance import Entrance
from sockd.access.reasons import because
from sockd.formats.hostport import host_port
from sockd.listen.address import WILDCARDS
from sockd.listen.leaving import has_waiting
from sockd.listen.listen import Listen
from sockd.listen.socket_files import Identity, Owner, give, put_back, remove_own, set_aside
from sockd.listen.socket_terms import Taken, check_file, set_file, take
from sockd.listen.sockets import ListenError, bound_file
from sockd.net.context import Context
from sockd.net.leaving import ARRIVAL_SECONDS, ReadingOn, has_turned_away
from sockd.reactor.sockaddr import bound_to

RETRY_SECONDS = 30.0
"""Between two tries to bind an address that may be missing."""
ROOT_GIVEN_UP = "root was given up at the start: a port below 1024 that is new needs a restart"


def entrance_of(listen: Listen, sock: socket.socket | None = None) -> Entrance:
    """The address as it is bound; as it is wanted, where there is no socket."""
    host, port, path = listen.host, listen.port, listen.path
    if sock is None and listen.systemd:
        path = str(listen.address)
    elif sock is not None and sock.family == socket.AF_UNIX:
        path = sock.getsockname()
    elif sock is not None and listen.transport != "multicast":
        host, port = bound_to(sock)
    return Entrance(
        listen.transport,
        host,
        port,
        path,
        listen.role,
        is_wildcard=host in WILDCARDS,
        is_proxied=bool(listen.proxies),
    )


class Listener:
    """An address of an instance."""

    def __init__(self, context: Context[Any, Any], listen: Listen, is_required: bool) -> None:
        self.context = context
        self.listen = listen
        self._is_required = is_required
        self.address = str(listen.address)
        """Where it listens, with the port that the kernel chose; what systemd gave by its name."""
        self.entrance = entrance_of(listen)
        self.port: Any = None
        self._socket: socket.socket | None = None
        self._beside: Sequence[socket.socket] = ()
        self._problem: ListenError | None = None
        self._identity: Identity | None = None
        self._aside = ""
        """Where its socket file is instead, while another socket has its name."""
        self._retry: IDelayedCall | None = None
        self.waits_for = ""
        """Why the address cannot be had yet, while it is tried again and again."""
        self._tries = 1
        self.is_handed_over = False
        """Whether another listener of ours has the same socket, and this one only closes."""
        self._was_handed = False
        self.is_followed = False
        """Whether another listener of ours has taken the place of this one, which is to go."""
        self._reading_on: ReadingOn | None = None
        self.is_managers = bool(listen.systemd)
        """Whether its socket is the service manager's, which others may listen on later."""

    @property
    def has_taken_over(self) -> bool:
        """Whether its socket is one that another listener had."""
        return self._was_handed and self.bound_socket is not None

    @property
    def is_tried_again(self) -> bool:
        """Whether its address cannot be had, and another try is to come."""
        return self._retry is not None

    @property
    def is_listening(self) -> bool:
        """Whether peers are let in."""
        return self.port is not None

    @property
    def bound_socket(self) -> socket.socket | None:
        """What is bound; None while the address cannot be had."""
        return self._socket if self.port is None else self.port.socket

    @property
    def to_take_over(self) -> Taken | None:
        """What another listener of ours can have of it; None while the address cannot be had."""
        sock = self.bound_socket
        return None if sock is None else Taken(sock, self._identity, self.listen.terms)

    def prepare(
        self, taken_over: Taken | None = None, beside: Sequence[socket.socket] = ()
    ) -> None:
        """Bind, or take over what another listener of ours has bound. `beside`: see `bound`.

        Raises ListenError where the address is required and cannot be had; then nothing is left.
        """
        try:
            self._bind(taken_over, beside)
        except ListenError as error:
            if self.context.world.gives_up_root and error.lacks_right and os.geteuid() != 0:
                raise ListenError(self.listen, ROOT_GIVEN_UP) from None  # never: so not at all
            if error.is_fatal(is_required=self._is_required):
                raise
            self._problem = error

    def commit(self) -> None:
        """Let peers in. Raises ListenError where descriptors have run out; nothing is left then."""
        if self._problem is None:
            try:
                self._open()
                self._report("listening", warns=False)
                return
            except ListenError as error:
                if error.is_fatal(is_required=self._is_required):
                    raise
                self._problem = error
        problem, self._problem = self._problem, None
        if self.listen.terms.optional and problem.no_such_address:
            self._report("skipped", reason=because("listen_error", detail=problem.why))
        else:
            self._try_later(problem)

    def close(self) -> Deferred[Any] | None:
        """Let go of the address, prepared or committed. A Deferred where the port closes later."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
            self.waits_for = ""
        self.hasten()
        port, self.port = self.port, None
        sock, self._socket = self._socket, None
        self._problem = None
        if port is None and sock is None:
            return None
        self.released()
        self._remove_file()
        if sock is not None:
            sock.close()
        return None if port is None else maybeDeferred(port.stopListening)

    def give(self, uid: int, gid: int) -> None:
        """Make its socket and its file this user's, who the process becomes and who removes it."""
        if (sock := self.bound_socket) is not None and not self.listen.systemd:
            # a user's sockets share a port with none of another user's, see `sharing_ports`
            os.fchown(sock.fileno(), uid, gid)
        try:
            if self._identity is not None:
                user, group = self.listen.terms.owner
                whom = uid if user is None else user, gid if group is None else group
                give(self.listen.path, self._identity, *whom)
        except OSError as error:
            self._report("skipped", reason=because("file_left", detail=error.strerror))

    def take_over(self, other: Listener) -> None:
        """The socket is this listener's, and so is its file: the other only closes."""
        self._identity, other._identity = other._identity, None
        self.is_managers = other.is_managers
        other.is_handed_over = True
        if self.listen.terms.file != other.listen.terms.file:
            self._set_file(other.listen.terms.owner)

    def inherit(self, file: Identity | None, *, is_managers: bool) -> None:
        """The socket that it was prepared with was there before this process, and so was its file,
        which is removed with it unless the service manager has made it."""
        self._identity, self.is_managers = file, is_managers
        if file is not None:
            self._set_file((None, None))

    def leave(self) -> None:
        """Have the socket file stay when the address is let go of: another has the socket."""
        self._identity = None

    @property
    def file(self) -> Identity | None:
        """Its socket file, if it was bound by a daemon."""
        return self._identity

    @property
    def path(self) -> str:
        """The socket file's, where it has one."""
        return self.listen.path

    @property
    def has_lost_file(self) -> bool:
        """Whether its socket file is gone, so that nobody finds it any more."""
        return self._identity is not None and not os.path.lexists(self.listen.path)

    def step_aside(self) -> None:
        """Leave the name of its socket file to another socket, if that can be."""
        if self._identity is not None:
            with suppress(OSError):  # who is to have the name says that it is taken
                self._aside = set_aside(self.listen.path, self._identity)

    def step_back(self) -> None:
        """Take the name again: the other does not come."""
        if self._aside:
            try:
                put_back(self._aside, self.listen.path)
                self._aside = ""
            except OSError as error:
                self._report("skipped", reason=because("file_left", detail=error.strerror))

    def drain(self) -> Deferred[Any] | None:
        """Let go of the address, after who has come to it already is let in, and answered.

        That ends when `drain` is over, whoever still waits.
        """
        self._remove_file()  # before nobody listens any more: it would be another start's to take
        if self.port is None:
            return self.close()
        self.leaves()
        if self.is_handed_over:
            self.shut()  # the other takes what waits
            return self._close_when_answered()
        may_wait = not self.is_managers and has_turned_away(self.port.socket)
        self.empty()
        least = ARRIVAL_SECONDS if self.is_followed else 0.0
        if not may_wait or (not least and self.is_empty):
            return self._leave()
        self._reading_on = ReadingOn(self.context.clock, lambda: self.is_empty)
        done = self._reading_on.wait(least, self.context.limits.drain)
        return done.addCallback(lambda _: self._leave())

    def hasten(self) -> None:
        """Wait for nobody more who is on the way into an address that is drained."""
        if self._reading_on is not None:
            self._reading_on.hasten()

    def change(self, listen: Listen) -> Callable[[], None]:
        """Get ready for other terms of the same address; returns what has them hold.

        Raises ListenError where they cannot be had; what is returned does not fail.
        """
        old, new = self.listen.terms, listen.terms
        changes = bool(listen.path) and old.file != new.file
        if changes:
            check_file(old.owner, listen, self._identity)
        return partial(self._use_terms, listen, changes)

    def use(self, context: Context[Any, Any]) -> None:
        """Have what comes from now on served with other options."""
        self.context = context

    def adopt(self, sock: socket.socket) -> Any:
        """Listen on a bound socket, which is the port's then; returns the port."""
        raise NotImplementedError

    def released(self) -> None:
        """The address is let go of."""

    def leaves(self) -> None:
        """The address is let go of; what waits there is still taken."""

    def empty(self) -> None:
        """Take at once what waits at the socket, where that is quick."""

    def shut(self) -> None:
        """Have nothing more come to the socket."""
        self.port.stopReading()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits at the socket."""
        return not has_waiting(self.port.socket)

    def when_entered(self) -> Deferred[None]:
        """Fires when everybody who has come is let in, or was closed; where the address is
        drained, when `drain` is over at the latest."""
        return succeed(None)

    def when_answered(self) -> Deferred[None]:
        """Fires when the answers that are owed now have been given, or `drain` is over."""
        return succeed(None)

    def limits_changed(self) -> None:
        """The guard has other limits now."""

    def _use_terms(self, listen: Listen, changes_file: bool) -> None:
        before, self.listen = self.listen, listen
        if changes_file:
            self._set_file(before.terms.owner)
        sock = self.bound_socket
        if sock is not None and not listen.address.is_datagram:
            sock.listen(listen.terms.backlog)

    def _leave(self) -> Deferred[Any]:
        if self.port is not None:  # else it was closed meanwhile
            self.empty()
            self.shut()
        return self._close_when_answered()

    def _close_when_answered(self) -> Deferred[Any]:
        waited = DeferredList([self.when_entered(), self.when_answered()])
        return waited.addCallback(lambda _: self.close())

    def _set_file(self, before: Owner) -> None:
        """Have the socket file as it is wanted now; it was this user's and group's."""
        why = set_file(self.listen, before, self._identity)
        if why:
            reason = because("mode_left", detail=why)
            events.warn("warning", service=self.context.name, reason=reason)

    def _bind(self, taken_over: Taken | None, beside: Sequence[socket.socket]) -> None:
        listen = self.listen
        if taken_over is not None:
            sock = take(listen, taken_over)
        else:
            is_left = (
                listen.address.binding == "udp"
                and self.context.world.state.has_left_udp_port(
                    listen.port, self.context.clock.seconds()
                )
            )
            sock, self._identity = bound_file(listen, beside, is_left=is_left)
            self._beside = beside
        self._socket = sock
        self._was_handed = taken_over is not None
        self.entrance = entrance_of(listen, sock)
        if listen.transport != "multicast" and not listen.systemd and not listen.path:
            host = self.entrance.host
            self.address = host_port(host, self.entrance.port)

    def _remove_file(self) -> None:
        """Remove the socket file, if one was bound here; while it is listened on (`remove_own`)."""
        identity, self._identity = self._identity, None
        try:
            remove_own(self._aside or self.listen.path, identity)
        except OSError as error:  # the user that was changed to may not write in the directory
            self._report("skipped", reason=because("file_left", detail=error.strerror))

    def _open(self) -> None:
        sock, self._socket = self._socket, None
        assert sock is not None, "not prepared"
        try:
            self.port = self.adopt(sock)
        except Exception as error:  # descriptors have run out, or a service's protocol has a fault
            self.released()
            self._remove_file()
            sock.close()
            if isinstance(error, ListenError):
                raise
            if isinstance(error, OSError):
                raise ListenError(self.listen, error.strerror or str(error)) from None
            raise ListenError(self.listen, f"{type(error).__name__}: {error}") from error
        finally:
            self._beside = ()

    def _try_later(self, error: ListenError) -> None:
        self.waits_for = error.why
        reason = because("listen_error", detail=error.why)
        self._report("retry", reason=reason, seconds=RETRY_SECONDS)
        self._retry = self.context.clock.callLater(RETRY_SECONDS, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._tries += 1
        try:
            self._bind(None, ())
            self._open()
        except ListenError as error:
            self._try_later(error)
        else:
            self.waits_for = ""
            self._report("retried", warns=False, tries=self._tries)
            self._tries = 1

    def _report(self, event: str, *, warns: bool = True, **fields: Any) -> None:
        level = LogLevel.warn if warns else LogLevel.info
        name, local = self.context.name, self.entrance
        events.emit(event, level=level, service=name, local=local, **fields)
