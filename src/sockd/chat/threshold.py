"""Those who are not logged in: who is let in, who is turned away, and with which words.

Whoever can prove nothing may have forged the address that it seems to come from, so what goes
there is short, and not much.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from sockd.access.reasons import Reason, because
from sockd.chat.allowances import Allowances
from sockd.chat.effects import Effect, Refused, ToPlace
from sockd.chat.ended import End, Ended
from sockd.chat.members import Moment, Place
from sockd.chat.rooms import Rooms
from sockd.chat.words import BANNED, CROWDED, FULL, HELD, PLEASE_LOG_IN, TAKEN
from sockd.formats.chat import trailer
from sockd.formats.chat.events import Code, pack
from sockd.formats.chat.names import fold, nickname_fault

MOST_ERROR = 60
"""Bytes of what a stranger is told: with its headers at most three times the shortest question."""
FORGED = because("forged")
_BANNED = because("banned")


class Threshold:
    """What stands between strangers and the rooms. `counts`: what was dropped, by reason."""

    def __init__(self, rooms: Rooms, counts: Counter[str]) -> None:
        self.rooms = rooms
        self.counts = counts
        self.allowances = Allowances(rooms.settings)
        self.ended = Ended()
        self.bans: Callable[[str, float], bool] = lambda _, __: False
        """Whether nobody comes from an address, at that time."""
        self.held: set[bytes] = set()
        """Folded nicknames that are kept for who had them before the start."""

    def name_fault(self, nickname: bytes) -> bytes | None:
        """What is wrong with a nickname."""
        fault = nickname_fault(nickname, self.rooms.settings.max_nickname)
        return fault.encode() if fault else None

    def crowded(self, place: Place) -> list[Effect]:
        """What is told where an address has as many users as it may; nothing where it has fewer."""
        if self.allowances.has_place(place.host):
            return []
        limit = self.rooms.settings.users_per_address
        return self.turn_away(place, because("users_per_address", limit=limit), CROWDED)

    def not_free(self, nickname: bytes, is_owner: bool = False) -> bytes | None:
        """Why nobody can have a nickname now."""
        folded = fold(nickname)
        if folded in self.rooms.users:
            return TAKEN
        if folded in self.held and not is_owner:
            return HELD
        return FULL if len(self.rooms.users) >= self.rooms.settings.max_users else None

    def banned(self, place: Place) -> list[Effect]:
        """Nobody comes from there."""
        return self.turn_away(place, _BANNED, BANNED)

    def forged(self, place: Place) -> list[Effect]:
        """Somebody has spoken in a session that it has not the key of."""
        self.counts["forged"] += 1
        return [Refused(place, FORGED)]

    def late(
        self,
        place: Place,
        data: bytes,
        end: End,
        signed: trailer.Signed,
        moment: Moment,
        is_on_link: bool,
    ) -> list[Effect]:
        """An event of a session that has ended lately."""
        if not trailer.is_genuine(data, end.session.key):
            return self.forged(place)
        if not end.why:
            return self.stranger(place, PLEASE_LOG_IN, moment, is_proven=is_on_link)
        return self.tell_end(place, end, moment) if place == end.user.place else []

    def tell_end(self, place: Place, end: End, moment: Moment) -> list[Effect]:
        """Who was sent away still comes: it has not heard it."""
        if not end.may_answer(moment.seconds):
            return self.drop("old")
        told = self.rooms.answer(end.user, Code.LOGOFF, end.why, moment)
        return [ToPlace(place, told.data)]

    def occupied(self, place: Place, why: bytes) -> list[Effect]:
        """A nickname is not free, or nothing is."""
        if why is not FULL:
            return [ToPlace(place, pack(Code.ERROR, why))]
        return self.turn_away(place, because("max_users", limit=self.rooms.settings.max_users), why)

    def turn_away(self, place: Place, reason: Reason, text: bytes) -> list[Effect]:
        """Somebody may not come in, which is told on both sides."""
        return [Refused(place, reason), ToPlace(place, pack(Code.ERROR, text))]

    def stranger(
        self,
        place: Place,
        text: bytes,
        moment: Moment,
        reason: Reason | None = None,
        *,
        is_proven: bool = True,
    ) -> list[Effect]:
        """An error for who is not logged in. One whose address may be forged gets few of them."""
        assert len(text) <= MOST_ERROR
        if not (is_proven or self.allowances.may_answer(place.host, moment.seconds)):
            return self.drop("stranger")
        if reason is not None:
            return self.turn_away(place, reason, text)
        return [ToPlace(place, pack(Code.ERROR, text))]

    def drop(self, why: str) -> list[Effect]:
        """Something is counted, and not answered."""
        self.counts[why] += 1
        return []
