"""What a user wants sent, until it is known to have come, or told as not sent."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, evolve, field

from sockd.client.chat.channels import Channels
from sockd.client.chat.login import Kept, Login, Phase
from sockd.client.chat.sending import OLD_RETRIES, RETRIES, Echoes, Pending, Unconfirmed
from sockd.client.chat.told import Done, Level, Message, Notice, NotSent, Send, shown
from sockd.client.chat.wishes import CHANGES, Wish, Wishes
from sockd.formats.chat.events import MAX_TEXT, Code, pack

NO_CHANNEL = "you are in no channel: /join one, /channels lists them"
TOO_LONG = "that is too long for one event"
UNANSWERED = "the server does not answer what was asked for %s"
ASKED_AGAIN = (*CHANGES, Code.LIST_CHANNELS, Code.LIST_USERS)
"""To ask for these twice does no harm."""


@define(eq=False)
class Outbox:
    """All of it."""

    login: Login
    channels: Channels
    wishes: Wishes = field(factory=Wishes)
    unconfirmed: Unconfirmed = field(factory=Unconfirmed)
    echoes: Echoes = field(factory=Echoes)
    sent_at: float = float("-inf")
    """When a wish was sent last."""

    asks_groups: bool = False
    """Channels were joined before it was told that they have groups: once no change is on its way,
    which is about to be the current one, all are asked for again."""

    def wish(self, wish: Wish, now: float) -> list[Done]:
        """One more."""
        if self.login.phase in (Phase.LEAVING, Phase.OVER):
            return unsaid([wish])
        if len(wish.text) > MAX_TEXT:
            return [Notice(TOO_LONG, Level.ERROR), *unsaid([wish])]
        if not self.wishes.add(wish):
            return [Notice("too much waits to be sent", Level.ERROR), *unsaid([wish])]
        return self.pump(now)

    def pump(self, now: float) -> list[Done]:
        """Send what may be sent now."""
        done: list[Done] = []
        while (wish := self._take(now)) is not None:
            if wish.code == Code.SEND_PUBLIC and not self.channels.here:
                done += [Notice(NO_CHANNEL, Level.ERROR), *unsaid([wish])]
            else:
                self.sent_at = now
                done += self.send(wish, now)
        return done

    def come_in(self) -> None:
        """All channels are about to be joined again, and what waited for that needs not."""
        self.asks_groups = False
        self.wishes.answered()
        self.wishes.drop_again()
        recalled, self.login.recalled = self.login.recalled, ()
        self.wishes.add_first([Wish(Code.JOIN_REQ, title) for title in reversed(recalled)])

    @property
    def kept(self) -> Kept | None:
        """Our session, to be taken up again; None at an old server."""
        kept = self.login.kept
        here = tuple(one.title for one in self.channels.here)
        return evolve(kept, channels=here) if kept is not None else None

    def rejoins(self, *, is_again: bool) -> list[Wish]:
        """To be in the channels that we are in, the current one last."""
        here = reversed(self.channels.here)
        return [Wish(Code.JOIN_REQ, one.title, is_again=is_again) for one in here]

    def _take(self, now: float) -> Wish | None:
        if self.login.phase is not Phase.IN:
            return None
        if self.asks_groups and not self.wishes.is_changing(now):
            self.asks_groups = False
            self.wishes.add_first(self.rejoins(is_again=True))
        return None if self._is_held else self.wishes.take(now)

    @property
    def _is_held(self) -> bool:
        """A change of channels waits until what was said before is confirmed: sent again after it,
        it would be said in another channel."""
        return self.wishes.is_change_next and self.unconfirmed.has_said

    @property
    def ready_at(self) -> float | None:
        """When the next wish may go; None where there is none, or it waits for what comes."""
        return None if self._is_held else self.wishes.ready_at

    def send(self, wish: Wish, now: float) -> list[Done]:
        """Send it now."""
        here, is_new = self.channels.here, self.login.is_new
        channel = here[0].title if here else b""
        if wish.code == Code.PART_REQ and not wish.text:
            wish = evolve(wish, text=channel)  # the current one now, though it be sent again later
        data = self.login.sign(pack(wish.code, wish.text))
        done: list[Done] = [Send(data)]
        if is_new or wish.code in CHANGES:
            retries = RETRIES if is_new else OLD_RETRIES
            number = self.login.number
            self.unconfirmed.add(Pending(number, data, wish, channel, now, retries))
        elif wish.code == Code.SEND_PUBLIC:
            self.echoes.add(wish, now)
        elif wish.code == Code.SEND_PRIVATE:
            own, to = shown(self.login.nickname), shown(wish.text.partition(b" ")[0])
            done.append(Message(own, wish.shown, is_own=True, to=to))
        return done

    def give_up(self) -> list[Done]:
        """Who knew of what is not confirmed is gone: what can be asked again is."""
        self.wishes.answered()
        done = self.not_sent(self.unconfirmed.clear())
        return [*done, *unsaid(self.echoes.clear())]

    def end(self) -> list[Done]:
        """It is over: nothing more is sent, nor confirmed."""
        return [*self.give_up(), *unsaid(self.wishes.clear())]

    def not_sent(self, over: Sequence[Pending]) -> list[Done]:
        """These are not confirmed: what was said is told, the rest is wished again."""
        wishes = [one.wish for one in over if not one.wish.is_again]
        self.wishes.add_first([one for one in wishes if one.code in ASKED_AGAIN])
        return unsaid([one.wish for one in over])

    def unanswered(self, over: Sequence[Pending]) -> list[Done]:
        """These are given up, whoever is there. An old server may never answer some of them, so
        what it does not answer is not asked for ever."""
        if self.login.is_new or not over:
            return self.not_sent(over)
        self.wishes.answered()
        return [Notice(UNANSWERED % shown(one.wish.text), Level.ERROR) for one in over]

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits, for being sent or for its confirmation."""
        return not (len(self.wishes) or len(self.unconfirmed) or len(self.echoes))


def unsaid(over: Sequence[Wish]) -> list[Done]:
    """What was said of these is told as not sent."""
    return [NotSent(one.shown) for one in over if one.shown]
