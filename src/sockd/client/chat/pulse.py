"""Whether groups reach us: a new server sends heartbeats to a group of their own."""

from __future__ import annotations

from attrs import define, field

from sockd.client.chat.told import Done, JoinGroup, LeaveGroup, Level, Notice
from sockd.formats.chat.texts import Group, HeartbeatText

MISSED = 3.5
"""Heartbeats that do not come, until groups count as lost: two may be."""
NO_GROUPS = Notice(
    "what the server sends to groups does not come: a switch or a firewall drops it; from now on "
    "it is sent to us alone",
    Level.WARNING,
)


@define(eq=False)
class Pulse:
    """The heartbeats of one server."""

    key: bytes = field(default=b"", repr=False)
    _group: Group | None = None
    _seconds: int = 0
    _until: float | None = None
    """When groups count as lost."""
    heard: int = 0
    """How many there were."""

    def begin(self, told: HeartbeatText, key: bytes, now: float) -> list[Done]:
        """Where they are heard."""
        done = self.end() if told.group != self._group else []
        is_new = self._group is None
        self.key, self._group, self._seconds = key, told.group, told.seconds
        self._await(now)
        return [*done, JoinGroup(told.group)] if is_new else done

    def beat(self, now: float) -> None:
        """There was one."""
        self.heard += 1
        self._await(now)

    def _await(self, now: float) -> None:
        self._until = now + MISSED * self._seconds

    def end(self) -> list[Done]:
        """None will come any more, and need not."""
        group, self._group, self._until, self.key = self._group, None, None, b""
        return [LeaveGroup(group)] if group is not None else []

    def is_lost(self, now: float) -> bool:
        """Whether they have stopped; said once."""
        if self._until is None or now < self._until:
            return False
        self._until = None
        return True

    @property
    def next_at(self) -> float | None:
        """When they may count as lost."""
        return self._until
