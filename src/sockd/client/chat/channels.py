"""The channels that a client is in, and those that it was in before it had to come back."""

from __future__ import annotations

from attrs import define, field

from sockd.client.chat.heard import Gaps, Hearing
from sockd.client.chat.told import Done, Joined, JoinGroup, LeaveGroup, Lost, Parted, shown
from sockd.formats.chat.names import fold
from sockd.formats.chat.texts import ChannelText, Group

MOST_CHANNELS = 128
"""That we are in: a socket each, maybe. A server lets us into 32, unless it is told otherwise."""


@define(eq=False)
class Channels:
    """All of them."""

    here: list[Hearing] = field(factory=list)
    """Those that we are in, the current one first."""
    _former: dict[bytes, Hearing] = field(factory=dict, init=False)
    """Those that we were in when we last logged in again, by folded title."""

    def find(self, title: bytes) -> Hearing | None:
        """The one with this title, in whatever case."""
        folded = fold(title)
        return next((one for one in self.here if fold(one.title) == folded), None)

    def joined(
        self, found: ChannelText, key: bytes, last: int, now: float, *, is_current: bool = True
    ) -> list[Done]:
        """We are in it. `last`: the number of what was said there last."""
        hearing = self.find(found.title)
        is_new = hearing is None
        if hearing is None:
            if len(self.here) >= MOST_CHANNELS:
                return []
            hearing = self._begin(found, key, last)
        elif hearing.key != key:
            self.here.remove(hearing)
            hearing = Hearing(found.title, key, hearing.group)
            self.here.append(hearing)
        hearing.gaps.reach(last, now)
        done = self._hear(hearing, found.group)
        if is_current:
            self.here.remove(hearing)
            self.here.insert(0, hearing)
        return [*done, Joined(shown(hearing.title), found.count, is_new)]

    def _hear(self, hearing: Hearing, group: Group | None) -> list[Done]:
        """What is said in a channel comes by this group from now on. More than one may have it."""
        before, others = hearing.group, [one.group for one in self.here if one is not hearing]
        hearing.group = group
        if before == group:
            return []
        done: list[Done] = []
        if before is not None and before not in others:
            done.append(LeaveGroup(before))
        if group is not None and group not in others:
            done.append(JoinGroup(group))
        return done

    def _begin(self, found: ChannelText, key: bytes, last: int) -> Hearing:
        """What we missed of one that we were in is to be told: its numbers go on, or have begun
        anew with the server."""
        former = self._former.pop(fold(found.title), None)
        if former is None:
            hearing = Hearing(found.title, key, gaps=Gaps.after(last))
        elif former.key == key:
            hearing = former
        else:
            hearing = Hearing(found.title, key)
        self.here.append(hearing)
        return hearing

    def parted(self, title: bytes) -> list[Done]:
        """We are in it no more; in the current one where none is named."""
        hearing = self.find(title) if title else next(iter(self.here), None)
        if hearing is None:
            return []
        done = self._hear(hearing, None)
        self.here.remove(hearing)
        return [*done, Parted(shown(hearing.title))]

    def leave_groups(self) -> list[Done]:
        """Be in all of them, and hear no group until it is told anew."""
        return [done for one in self.here for done in self._hear(one, None)]

    def leave_all(self) -> list[Done]:
        """Be in none until each is joined again."""
        groups = self.leave_groups()
        self._former |= {fold(one.title): one for one in self.here}
        while len(self._former) > MOST_CHANNELS:
            del self._former[next(iter(self._former))]
        self.here.clear()
        return groups

    def forget(self) -> None:
        """We come as somebody else: nothing was missed."""
        self._former.clear()

    def lost(self, now: float) -> list[Done]:
        """What did not come in time."""
        found = [(one, one.lost(now)) for one in self.here]
        return [Lost(shown(one.title), count) for one, count in found if count]

    @property
    def next_at(self) -> float | None:
        """When something may count as lost."""
        times = [one.next_at for one in self.here]
        return min((at for at in times if at is not None), default=None)
