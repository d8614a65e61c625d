"""A chat as a user has it: what is typed, and what of it all is shown."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from sockd.client.chat.driver import MOST_SPEAKERS, RECENT, Chat, conversation
from sockd.client.chat.told import (
    Ended,
    Level,
    LoggedIn,
    Message,
    Notice,
    Presence,
    Refused,
    Shown,
)
from sockd.client.errors import ClientError, TimedOut, Unreachable
from sockd.formats.chat.events import Code, pack
from sockd.formats.chat.texts import Group
from tests.client.chat.old import OldServer


@define(eq=False)
class Screen:
    """Keeps what is shown."""

    shown: list[tuple[Shown, bool]] = field(factory=list)
    asked: list[Deferred[str]] = field(factory=list)

    def show(self, event: Shown, is_marked: bool) -> None:
        self.shown.append((event, is_marked))

    def name(self) -> Deferred[str]:
        self.asked.append(Deferred())
        return self.asked[-1]

    def take(self) -> list[tuple[Shown, bool]]:
        """What was shown since the last time."""
        shown, self.shown = self.shown, []
        return shown


@define(eq=False)
class Groups:
    """Knows which groups are heard."""

    port: int | None = None
    joined: list[str] = field(factory=list)
    fails: bool = False

    def listen(self, port: int) -> None:
        self.port = port

    def join(self, group: Group) -> None:
        if self.fails:
            raise ClientError("no such device")
        self.joined.append(str(group))

    def leave(self, group: Group) -> None:
        self.joined.remove(str(group))

    def close(self) -> None:
        self.port = None
        self.joined.clear()


@define(eq=False)
class Link:
    """A way to a server in memory, which answers at once."""

    server: OldServer
    clock: Clock
    chat: Chat | None = None
    is_closed: bool = False
    host: str = "192.0.2.1"

    def send(self, data: bytes) -> None:
        for answer in self.server.answers(data):
            assert self.chat is not None
            self.clock.callLater(0, self.chat.heard, answer)

    def close(self) -> None:
        self.is_closed = True


@define(eq=False)
class Running:
    """A chat and all around it."""

    server: OldServer = field(factory=OldServer)
    clock: Clock = field(factory=Clock)
    screen: Screen = field(factory=Screen)
    groups: Groups = field(factory=Groups)
    chat: Chat = field(init=False)
    link: Link = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.chat = Chat(
            self.clock,
            conversation("anna"),
            self.screen,
            self.groups,  # type: ignore[arg-type]
        )
        self.link = Link(self.server, self.clock, self.chat)
        self.chat.start(self.link)
        self.wait()

    def type(self, *texts: str) -> list[tuple[Shown, bool]]:
        """What is shown after these lines."""
        for text in texts:
            self.chat.line(text)
            self.wait()
        return self.screen.take()

    def hear(self, code: Code, text: str) -> list[tuple[Shown, bool]]:
        """What is shown of an event."""
        self.chat.heard(pack(code, text.encode()))
        return self.screen.take()

    def wait(self) -> None:
        """All that is on its way comes."""
        self.clock.pump([0.0] * 5)


@pytest.fixture
def running() -> Running:
    """One that is in a channel."""
    found = Running()
    found.type("/join weather")
    return found


def test_lines_are_said_and_commands_are_done(running: Running) -> None:
    running.type("hello", "/msg bert psst", "/channels", "/users", "/part weather")
    running.clock.pump([1.0] * 3)
    assert [code for code, _ in running.server.had][2:] == [
        Code.JOIN_REQ,
        Code.SEND_PUBLIC,
        Code.SEND_PRIVATE,
        Code.LIST_CHANNELS,
        Code.LIST_USERS,
        Code.PART_REQ,
    ]


def test_what_is_wrong_is_shown_and_not_said(running: Running) -> None:
    [(event, _)] = running.type("/dance")
    assert isinstance(event, Notice)
    assert len(running.type("/help")) > 5
    assert running.type("", "  ") == []


@pytest.mark.parametrize(
    ("text", "is_marked"),
    [
        ("anna: hi", True),
        ("hi ANNA!", True),
        ("(anna)", True),
        ("joanna is here", False),
        ("annabel", False),
        ("anna-marie", False),
        ("anna_2", False),
        ("nothing", False),
    ],
)
def test_our_name_is_marked_as_a_whole_word(running: Running, text: str, is_marked: bool) -> None:
    assert running.hear(Code.PUBLIC_MSG, f"Weather bert {text}") == [
        (Message("bert", text, "Weather"), is_marked)
    ]


def test_what_is_for_us_alone_is_marked_and_what_we_say_is_not(running: Running) -> None:
    assert running.hear(Code.PRIVATE_MSG, "bert hi")[0][1]
    assert [marked for _, marked in running.type("I am anna")] == [False]


def test_who_is_ignored_is_not_shown_until_it_is_not_any_more(running: Running) -> None:
    running.type("/notices", "/ignore BERT")
    assert running.hear(Code.PUBLIC_MSG, "Weather Bert hi") == []
    assert running.hear(Code.PRIVATE_MSG, "bert hi") == []
    assert running.hear(Code.USER_PARTS, "Weather bert") == []
    assert running.type("/ignore") == [(Notice("ignored: bert"), False)]
    running.type("/ignore bert")
    assert len(running.hear(Code.PUBLIC_MSG, "Weather bert hi")) == 1


def test_we_cannot_be_ignored_by_ourselves(running: Running) -> None:
    running.type("/ignore anna")
    assert len(running.type("hi")) == 1


def test_who_is_noticed_is_marked_when_it_comes_and_when_it_speaks(running: Running) -> None:
    running.type("/notify Bert")
    for code, text in ((Code.USER_JOINS, "Weather bert"), (Code.PUBLIC_MSG, "Weather BERT hi")):
        [(_, is_marked)] = running.hear(code, text)
        assert is_marked
    running.type("/notify bert")
    assert running.type("/notify") == [(Notice("noticed: nobody"), False)]


def test_coming_and_going_is_told_of_recent_speakers_or_of_all(running: Running) -> None:
    assert running.hear(Code.USER_JOINS, "Weather bert") == []
    running.hear(Code.PUBLIC_MSG, "Weather bert hi")
    gone = [(Presence("WEATHER", "Bert", False), False)]
    assert running.hear(Code.USER_PARTS, "WEATHER Bert") == gone
    running.clock.advance(RECENT)
    assert running.hear(Code.USER_PARTS, "WEATHER Bert") == []
    running.type("/notices")
    running.clock.advance(1.0)
    assert running.hear(Code.USER_PARTS, "WEATHER Bert") == gone
    running.type("/notices")
    assert running.hear(Code.USER_PARTS, "WEATHER Bert") == []


def test_that_we_come_or_go_ourselves_is_no_news_though_a_group_brings_it(running: Running) -> None:
    running.type("/notices")
    running.hear(Code.PUBLIC_MSG, "Weather anna hi")
    for code in (Code.USER_JOINS, Code.USER_PARTS):
        assert running.hear(code, "Weather Anna") == []


def test_only_so_many_speakers_are_remembered(running: Running) -> None:
    for number in range(MOST_SPEAKERS + 1):
        running.hear(Code.PUBLIC_MSG, f"Weather user{number} hi")
    assert running.hear(Code.USER_PARTS, "Weather user0") == []
    assert len(running.hear(Code.USER_PARTS, "Weather user1")) == 1


def test_a_name_that_is_refused_is_asked_for_again() -> None:
    server = OldServer()
    server.taken = {b"anna"}
    running = Running(server)
    running.wait()
    assert running.screen.take() == [(Refused("nickname already in use"), False)]
    running.screen.asked[0].callback("bert")
    running.wait()
    assert running.screen.take() == [(LoggedIn("bert", "", is_again=False), False)]


@pytest.mark.parametrize("answer", ["", EOFError()])
def test_without_another_name_it_ends(answer: str | EOFError) -> None:
    server = OldServer()
    server.taken = {b"anna"}
    running = Running(server)
    asked = running.screen.asked[0]
    if isinstance(answer, str):
        asked.callback(answer)
    else:
        asked.errback(answer)
    assert running.chat.ended.called
    assert running.clock.getDelayedCalls() == []


def test_to_quit_ends_it_and_closes_all(running: Running) -> None:
    assert running.type("/quit") == [(Ended(), False)]
    assert running.chat.ended.result == ""
    assert running.link.is_closed
    assert running.clock.getDelayedCalls() == []
    running.chat.quit()
    assert running.screen.take() == []


def test_it_goes_on_by_another_link(running: Running) -> None:
    running.chat.disconnected()
    running.type("hello")
    running.server.forget()
    link = Link(running.server, running.clock, running.chat)
    running.chat.connected(link)
    running.wait()
    assert running.server.channels == ["Weather"]
    assert running.server.had[-1] == (Code.SEND_PUBLIC, b"hello")


def test_a_sign_of_life_goes_out_by_the_clock(running: Running) -> None:
    running.clock.advance(30.0)
    assert running.server.had[-1] == (Code.STILL_HERE, b"")


def test_groups_are_heard_and_one_that_cannot_be_is_told() -> None:
    running = Running(OldServer(group="225.1.0.2"))
    running.type("/join weather")
    assert (running.groups.port, running.groups.joined) == (2028, ["225.1.0.2"])
    running.type("/part")
    assert running.groups.joined == []
    running.groups.fails = True
    assert "no such device" in [
        one.text for one, _ in running.type("/join pets") if isinstance(one, Notice)
    ]


def test_an_old_server_that_never_answers_is_an_error_and_no_line() -> None:
    server = OldServer()
    server.is_deaf = True
    running = Running(server)
    running.clock.pump([0.5] * 100)
    assert running.screen.take() == []
    assert isinstance(running.chat.failure, TimedOut)
    assert running.chat.ended.called


def test_nobody_there_ends_it_for_who_was_never_in() -> None:
    server = OldServer()
    server.is_deaf = True
    running = Running(server)
    running.chat.unreachable("port unreachable")
    assert isinstance(running.chat.failure, Unreachable)
    assert running.chat.ended.called
    assert running.clock.getDelayedCalls() == []


def test_nobody_there_is_told_once_until_something_comes_again(running: Running) -> None:
    told = [(Notice("the server: port unreachable", Level.WARNING), False)]
    for _ in range(3):
        running.chat.unreachable("port unreachable")
    assert running.screen.take() == told
    running.hear(Code.PUBLIC_MSG, "Weather bert hi")
    running.chat.unreachable("port unreachable")
    assert running.screen.take() == told
    assert not running.chat.ended.called


def test_what_is_not_sent_is_counted(running: Running) -> None:
    running.server.loses = {Code.PUBLIC_MSG}
    running.type("one", "two")
    running.clock.pump([0.5] * 20)
    assert running.chat.unsent == 2


def test_who_waits_is_woken_when_it_is_so_or_all_is_over(running: Running) -> None:
    said: list[str] = []

    async def waits(name: str, condition: Callable[[], bool]) -> None:
        await running.chat.until(condition)
        said.append(name)

    for name, condition in (("so", lambda: running.chat.tells_all), ("over", lambda: False)):
        Deferred.fromCoroutine(waits(name, condition))
    running.type("hello")
    assert said == []
    running.type("/notices")
    assert said == ["so"]
    running.type("/quit")
    assert said == ["so", "over"]


def test_to_abandon_it_logs_off_and_waits_for_nothing(running: Running) -> None:
    running.chat.abandon()
    assert running.chat.ended.called
    assert running.link.is_closed
    assert running.server.had[-1] == (Code.LOGOFF, b"anna")
    assert running.clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("server", "host", "is_heard"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("127.0.0.1", "192.0.2.2", True),
        ("fe80::1%eth0", "fe80::1%2", True),
        ("", "192.0.2.2", False),
    ],
)
def test_by_a_group_an_old_server_is_heard_and_nobody_else(
    running: Running, server: str, host: str, is_heard: bool
) -> None:
    running.link.host = server
    running.chat.heard_in_group(pack(Code.PUBLIC_MSG, b"Weather bert hi"), host)
    assert bool(running.screen.take()) is is_heard


def test_of_an_old_server_groups_are_joined_that_the_way_to_it_can_bring() -> None:
    running = Running(OldServer(group="ff12::5"))
    running.type("/join weather")
    assert running.groups.joined == []
