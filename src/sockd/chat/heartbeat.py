"""What new clients hear by multicast even where nobody speaks: so they notice where it stops.

A switch that forgets a member, or a firewall, drops groups without a word.
"""

from __future__ import annotations

from sockd.chat.members import Gate, Moment
from sockd.chat.secret import Secret
from sockd.formats.chat.events import Code, pack
from sockd.formats.chat.texts import HeartbeatText
from sockd.formats.chat.trailer import Stamp, stamp

SECONDS = 10
"""Between two heartbeats: a client that misses three knows it within half a minute."""


class Heartbeat:
    """The heartbeats of one server."""

    def __init__(self, secret: Secret, epoch: int) -> None:
        self.key = secret.heartbeat_key(epoch)
        self._epoch = epoch
        self._sequence = 0

    def place(self, gate: Gate) -> bytes | None:
        """The text that tells where they are heard; None where a gate has no groups."""
        if gate.group_port is None or gate.heartbeat is None:
            return None
        return HeartbeatText(gate.heartbeat, SECONDS).write()

    def beat(self, moment: Moment) -> bytes:
        """The next one."""
        self._sequence += 1
        facts = Stamp(self._epoch, self._sequence, moment.wall_ms)
        return stamp(pack(Code.HEARTBEAT), facts, self.key)
