"""A connection that has ended is dialled again."""

from __future__ import annotations

from typing import cast

from attrs import define, field
from twisted.internet.defer import Deferred

from sockd.client.chat.driver import Chat
from sockd.client.chat.links import Link
from sockd.client.chat.redial import WAITS, Redial
from sockd.client.chat.told import Level, LoggedIn, Notice
from sockd.client.errors import ClientError, Unreachable
from tests.client.chat.test_driver import Link as MemoryLink
from tests.client.chat.test_driver import Running


@define(eq=False)
class Dialling:
    """A chat whose link ends, and what each try comes to."""

    running: Running = field(factory=Running)
    tries: list[float] = field(factory=list)
    fails: list[ClientError] = field(factory=list)
    links: list[MemoryLink] = field(factory=list)
    hangs: Deferred[None] | None = None
    redial: Redial = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.redial = Redial(self.running.chat, self.dial, lambda: 0.5)
        self.running.screen.take()

    async def dial(self) -> Link:
        self.tries.append(self.running.clock.seconds())
        if self.hangs is not None:
            await self.hangs
        if self.fails:
            raise self.fails.pop(0)
        server = self.running.server
        server.forget()
        self.links.append(MemoryLink(server, self.running.clock, self.running.chat))
        return cast(Link, self.links[-1])

    def wait(self, seconds: float) -> None:
        """Time passes in small steps."""
        self.running.clock.pump([0.25] * round(seconds * 4))


def test_the_user_has_a_line_when_it_ends_and_one_when_it_is_back() -> None:
    dialling = Dialling()
    dialling.running.type("/join weather")
    dialling.redial.lost("the server has closed the connection")
    dialling.wait(5.0)
    assert [one for one, _ in dialling.running.screen.take()][:2] == [
        Notice("the connection has ended; trying again", Level.WARNING),
        LoggedIn("anna", "", is_again=True, has_missed=True),
    ]
    assert dialling.running.server.channels == ["Weather"]


def test_tries_come_ever_later_and_spread_by_chance() -> None:
    dialling = Dialling()
    dialling.fails = [Unreachable("refused")] * 20
    dialling.redial.lost("gone")
    dialling.wait(200.0)
    waits = [
        after - before for before, after in zip(dialling.tries, dialling.tries[1:], strict=False)
    ]
    assert dialling.tries[0] == WAITS[0] * 1.5
    assert waits[:6] == [one * 1.5 for one in WAITS[1:]]
    assert set(waits[6:]) == {WAITS[-1] * 1.5}
    dialling.redial.stop()


def test_why_it_does_not_succeed_is_told_when_it_is_something_else() -> None:
    dialling = Dialling()
    dialling.fails = [Unreachable(why) for why in ("refused", "refused", "no route", "refused")]
    dialling.redial.lost("gone")
    dialling.wait(60.0)
    told = [one.text for one, _ in dialling.running.screen.take() if isinstance(one, Notice)]
    assert told == ["the connection has ended; trying again", "refused", "no route", "refused"]


def test_a_connection_that_ends_again_is_dialled_again() -> None:
    dialling = Dialling()
    for count in range(1, 4):
        dialling.redial.lost("gone")
        dialling.wait(10.0)
        assert len(dialling.links) == count


def test_it_is_not_dialled_when_the_chat_is_over() -> None:
    dialling = Dialling()
    dialling.redial.lost("gone")
    dialling.running.chat.quit()
    dialling.redial.stop()
    dialling.wait(60.0)
    assert dialling.tries == []
    assert dialling.running.clock.getDelayedCalls() == []


def test_one_that_succeeds_when_the_chat_is_over_is_closed() -> None:
    dialling = Dialling()
    dialling.hangs = Deferred()
    dialling.redial.lost("gone")
    dialling.wait(5.0)
    dialling.running.chat.quit()
    dialling.hangs.callback(None)
    assert [link.is_closed for link in dialling.links] == [True]


def test_who_has_never_been_in_is_told_and_it_ends() -> None:
    running = Running()
    running.chat = Chat(
        running.clock, running.chat.conversation, running.screen, running.chat.groups
    )
    redial = Redial(running.chat, Dialling().dial, lambda: 0.5)
    redial.lost("the server has closed the connection")
    assert running.chat.ended.called
    assert isinstance(running.chat.failure, Unreachable)
    assert "has closed" in str(running.chat.failure)
