"""What new clients hear by multicast even where nobody speaks: so they notice where it stops.

A switch that forgets a member, or a firewall, drops groups without a word.
"""

from __future__ import annotations

from sockd.chat.members import Gate, Moment
from sockd.chat.secret import Secret
from sockd.chat.settings import Settings
from sockd.formats.chat.events import Code, pack
from sockd.formats.chat.texts import Group, HeartbeatText
from sockd.formats.chat.trailer import Stamp, stamp

SECONDS = 10
"""Between two heartbeats: a client that misses three knows it within half a minute."""


def group_of(gate: Gate, settings: Settings) -> Group | None:
    """Where who comes by a gate hears them."""
    if gate.group_port is None:
        return None
    return settings.heartbeat if gate.version == 4 else settings.heartbeat6


class Heartbeat:
    """The heartbeats of one server."""

    def __init__(self, secret: Secret, epoch: int) -> None:
        self.key = secret.heartbeat_key(epoch)
        self._epoch = epoch
        self._sequence = 0

    def place(self, gate: Gate, settings: Settings) -> bytes | None:
        """The text that tells where they are heard; None where a gate has no groups."""
        group = group_of(gate, settings)
        return None if group is None else HeartbeatText(group, SECONDS).write()

    def beat(self, moment: Moment) -> bytes:
        """The next one."""
        self._sequence += 1
        facts = Stamp(self._epoch, self._sequence, moment.wall_ms)
        return stamp(pack(Code.HEARTBEAT), facts, self.key)
