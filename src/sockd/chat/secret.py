"""What the server knows and nobody else: whatever it hands out can be told from it again.

So nothing is remembered of who only says hello, and a session's key is known again after a start.
"""

from __future__ import annotations

from hashlib import blake2b
from hmac import compare_digest

from attrs import field, frozen

from sockd.formats.chat.hello import COOKIE_BYTES
from sockd.formats.chat.names import fold
from sockd.formats.chat.trailer import KEY_BYTES, SESSION_BYTES

SECRET_BYTES = 32
SLOT_SECONDS = 30.0
"""A cookie is good in the slot that it was made in, and in the next."""
STRICT_NUMBERS = 1_000_000
"""How many numbers an old client's log-in may have to bear."""
_SERVER_ID_BYTES = 8


def _length(value: bytes) -> bytes:
    """A part that no other part runs into."""
    return len(value).to_bytes(2, "big") + value


@frozen
class Secret:
    """The server's secret: 32 bytes of chance, kept from one start to the next."""

    value: bytes = field(repr=False)

    def _derive(self, purpose: bytes, size: int, *parts: bytes) -> bytes:
        data = b"".join(map(_length, parts))
        return blake2b(data, digest_size=size, key=self.value, person=purpose).digest()

    @property
    def server(self) -> bytes:
        """Tells this server from others."""
        return self._derive(b"server", _SERVER_ID_BYTES)

    def cookie(self, place: str, nonce: bytes, epoch: int, now: float) -> bytes:
        """What proves that who is at a place has had it, for a while, since this start: what came
        before is forgotten, so it could be had to come again."""
        return self._cookie(place, nonce, epoch, int(now // SLOT_SECONDS))

    def is_cookie(self, cookie: bytes, place: str, nonce: bytes, epoch: int, now: float) -> bool:
        """Whether it is one that this place has been given lately."""
        slot = int(now // SLOT_SECONDS)
        good = [self._cookie(place, nonce, epoch, number) for number in (slot, slot - 1)]
        return any([compare_digest(cookie, one) for one in good])  # noqa: C419 - always both

    def _cookie(self, place: str, nonce: bytes, epoch: int, slot: int) -> bytes:
        since = epoch.to_bytes(4, "big"), slot.to_bytes(8, "big", signed=True)
        return self._derive(b"cookie", COOKIE_BYTES, place.encode(), nonce, *since)

    def session(self, place: str, cookie: bytes, nickname: bytes) -> bytes:
        """The session of a log-in: whoever asks for the same again is given the same."""
        parts = place.encode(), cookie, fold(nickname)
        return self._derive(b"id", SESSION_BYTES, *parts)

    def session_key(self, session: bytes, nickname: bytes) -> bytes:
        """The key of a session, which is its nickname's."""
        return self._derive(b"session", KEY_BYTES, session, fold(nickname))

    def label(self, session: bytes) -> int:
        """Stands for a session in trailers; never 0."""
        return int.from_bytes(self._derive(b"label", 4, session), "big") or 1

    def channel_key(self, title: bytes, epoch: int) -> bytes:
        """The key of a channel since this start."""
        return self._derive(b"channel", KEY_BYTES, fold(title), epoch.to_bytes(4, "big"))

    def heartbeat_key(self, epoch: int) -> bytes:
        """The key of heartbeats since this start."""
        return self._derive(b"heartbeat", KEY_BYTES, epoch.to_bytes(4, "big"))

    def number(self, place: str, nickname: bytes) -> int:
        """What an old client at a place has to put behind its name, where that is asked."""
        found = self._derive(b"number", 8, place.encode(), fold(nickname))
        return int.from_bytes(found, "big") % STRICT_NUMBERS
