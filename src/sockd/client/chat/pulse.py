"""Whether there are groups and whether they reach us: a new server sends heartbeats to one of their
own."""

from __future__ import annotations

from attrs import define, field

from sockd.client.chat.told import Done, JoinGroup, LeaveGroup, Level, Notice
from sockd.formats.chat.texts import Group, HeartbeatText
from sockd.formats.chat.window import distance

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

    family: int | None = None
    """4 or 6, of groups that can be heard by the way to the server; None for any."""
    has_groups: bool = False
    """Whether a channel has one."""
    has_port: bool = False
    """Whether the server has told where they are heard."""
    key: bytes = field(default=b"", repr=False)
    _group: Group | None = None
    _seconds: int = 0
    _last: int = 0
    """The number of the last one."""
    _until: float | None = None
    """When groups count as lost."""
    heard: int = 0
    """How many there were."""
    is_deaf: bool = False
    """Whether they did, though the server lives: one that has begun anew is told at once."""
    has_told: bool = False

    @property
    def is_untold(self) -> bool:
        """Whether there are groups, and where they are heard has not come, or where heartbeats."""
        return self.has_groups and not (self.has_port and self._group is not None)

    def is_heard(self, group: Group) -> bool:
        """Whether a group can be one of the server's: others we do not join for it."""
        return self.family in (None, group.version)

    def change_door(self, family: int | None) -> list[Done]:
        """The server will tell anew where groups are heard, if it has any."""
        self.family, self.has_groups, self.has_port = family, False, False
        return self.end()

    def begin(self, told: HeartbeatText, key: bytes, now: float) -> list[Done]:
        """Where they are heard."""
        done = self.end() if told.group != self._group else []
        is_new = self._group is None
        if key != self.key:
            self.key, self._last = key, 0
        self._group, self._seconds = told.group, told.seconds
        self._await(now)
        return [*done, JoinGroup(told.group)] if is_new else done

    def beat(self, number: int, now: float) -> None:
        """There was one. An old one that is sent again is none."""
        if distance(self._last, number) > 0:
            self._last, self.is_deaf = number, False
            self.heard += 1
            self._await(now)

    def told(self) -> list[Done]:
        """The server sends us our own from now on; said once."""
        has_told, self.is_deaf, self.has_told = self.has_told, True, True
        return [] if has_told else [NO_GROUPS]

    def deaf(self) -> bool:
        """None can be heard here, and whoever asks tells; whether that is new."""
        was_deaf, self.is_deaf, self.has_told = self.is_deaf, True, True
        return not was_deaf

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

    def _await(self, now: float) -> None:
        self._until = now + MISSED * self._seconds

    @property
    def next_at(self) -> float | None:
        """When they may count as lost."""
        return self._until
