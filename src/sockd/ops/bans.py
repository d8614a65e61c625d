"""The bans of a running daemon: the table that guards ask, and the file that keeps it."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from sockd import events
from sockd.access.bans import EVERYWHERE, Ban, Bans
from sockd.access.prefixes import Prefix, parse_prefix
from sockd.access.reasons import because
from sockd.listen.runtime import give_runtime_directory, make_runtime_directory
from sockd.ops import ban_file
from sockd.ops.ban_file import BanFileError, BrokenError, KeptBan

RETRY_SECONDS = 30.0
"""Until what could not be written is tried again: a disk that was full may have room."""

Key = tuple[str, Prefix]


class BanKeeper:
    """Has the file say what the table says. What could not be written is tried again."""

    def __init__(self, bans: Bans, path: str, reactor: Any, wall: Callable[[], float]) -> None:
        """`path`: nothing where bans are not kept."""
        self.bans = bans
        self.path = path
        self._reactor = reactor
        self._wall = wall
        self._changed: set[Key] = set()
        self._waiting: list[Deferred[str]] = []
        self._is_writing = self._is_stopped = self._was_broken = False
        self._why = ""
        self._retry: IDelayedCall | None = None

    def load(self) -> None:
        """Have what the file has; before anybody is served. What is wrong with it is told."""
        if not self.path:
            return
        try:
            rows = ban_file.read(Path(self.path))
        except BrokenError as error:
            self._tell("bans_broken", str(error))
        except BanFileError as error:
            self._tell("bans_unread", str(error))
        else:
            now, wall = self._reactor.seconds(), self._wall()
            self.bans.add(now, *(_remembered(row, now, wall) for row in rows))

    def ban(self, bans: Iterable[Ban]) -> Deferred[str]:
        """Have these hold, and fire when the file has them: with nothing, or with why it has not.

        Raises ValueError where there are too many.
        """
        made = list(bans)
        self.bans.add(self._reactor.seconds(), *made)
        for ban in made:
            term = events.Term(ban.until - ban.since)
            name, prefix = ban.scope or "sockd", str(ban.prefix)
            events.emit("banned", service=name, prefix=prefix, term=term, note=ban.note)
        return self._keep((ban.scope, ban.prefix) for ban in made)

    def unban(self, prefixes: Iterable[Prefix], scope: str = EVERYWHERE) -> Deferred[str]:
        """Have these hold no more; see `ban`. Raises NotBanned, and then all hold that did."""
        now, taken = self._reactor.seconds(), []
        self.bans.now(now)  # what is over is not there to be taken back
        try:
            for prefix in prefixes:
                taken.append(self.bans.remove(prefix, scope))
        except ValueError:
            self.bans.add(now, *taken)
            raise
        for ban in taken:
            events.emit("unbanned", service=scope or "sockd", prefix=str(ban.prefix))
        return self._keep((ban.scope, ban.prefix) for ban in taken)

    def give(self, uid: int, gid: int, state: str) -> None:
        """Make the file, and the state directory, this user's, who is to write there; what is not
        root's is left as it is."""
        path = Path(self.path)
        try:
            if self.path and str(path.parent) == state and not path.parent.exists():
                make_runtime_directory(state)
            if not self.path or path.parent.lstat().st_uid:
                return
            if os.path.lexists(path) and path.lstat().st_uid == 0:
                os.chown(path, uid, gid, follow_symlinks=False)
            if str(path.parent) == state:
                give_runtime_directory(state, 0, uid, gid)
        except OSError as error:
            self._tell("bans_unkept", f"{self.path}: {error.strerror}")

    def stop(self) -> Deferred[Any]:
        """Fires when all that can be written is."""
        self._is_stopped = True
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        done: Deferred[str] = Deferred()
        self._waiting.append(done)
        if not self._is_writing:
            self._write()
        return done

    def _keep(self, keys: Iterable[Key]) -> Deferred[str]:
        if not self.path:
            return succeed('bans are not kept: `bans` is "off"')
        self._changed.update(keys)
        done: Deferred[str] = Deferred()
        self._waiting.append(done)
        if not self._is_writing:
            self._write()
        return done

    def _write(self) -> None:
        changed, self._changed = self._changed, set()
        waiting, self._waiting = self._waiting, []
        if not changed:
            _fire(waiting, "")
            return
        self._is_writing = True
        now, wall = self._reactor.seconds(), self._wall()
        every = self.bans.every
        kept = [_kept(every[key], now, wall) for key in changed if key in every]
        gone = [(scope, str(prefix)) for scope, prefix in changed - every.keys()]
        path, pool = Path(self.path), self._reactor.getThreadPool()
        written = deferToThreadPool(self._reactor, pool, ban_file.write, path, wall, kept, gone)
        written.addBoth(self._written, changed, waiting)

    def _written(self, result: Any, changed: set[Key], waiting: list[Deferred[str]]) -> None:
        self._is_writing = False
        why = result.getErrorMessage() if isinstance(result, Failure) else ""
        is_broken = isinstance(result, Failure) and result.check(BrokenError) is not None
        if is_broken and not self._was_broken:
            self._was_broken = True
            self._tell("bans_broken", why)
            self._changed |= changed | self.bans.every.keys()  # all of it, into a new one
            self._waiting = [*waiting, *self._waiting]
            self._write()
            return
        self._was_broken = False
        if why:
            self._changed |= changed
            if why != self._why:
                self._tell("bans_unkept", why)
        self._why = why
        _fire(waiting, why)
        if self._waiting and not self._is_writing:
            self._write()
        elif why and self._retry is None and not self._is_stopped:
            self._retry = self._reactor.callLater(RETRY_SECONDS, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        if not self._is_writing:
            self._write()

    def _tell(self, reason: str, detail: str) -> None:
        events.warn("warning", service="sockd", reason=because(reason, detail=detail))


def _fire(waiting: Iterable[Deferred[str]], why: str) -> None:
    for done in waiting:
        done.callback(why)


def _remembered(row: KeptBan, now: float, wall: float) -> Ban:
    """A row, in seconds of the daemon's clock. A time of day that was set back makes no ban last
    longer than it was to."""
    left = min(row.until - wall, row.until - row.since)
    since = now - max(0.0, wall - row.since)
    return Ban(parse_prefix(row.prefix), since, now + left, row.scope, row.note)


def _kept(ban: Ban, now: float, wall: float) -> KeptBan:
    """A ban as a row."""
    until = ban.until if ban.until == math.inf else wall + ban.until - now
    return KeptBan(ban.scope, str(ban.prefix), wall + ban.since - now, until, ban.note)
