"""A chat in a pipe: what is read is said in order, and nothing of it is lost without a word."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from sockd.client.chat.plain import (
    LAST_SECONDS,
    MOST_LINE,
    ROWS_SECONDS,
    PlainScreen,
    feed,
    json_line,
)
from sockd.client.chat.told import (
    ChannelRow,
    Ended,
    Message,
    Notice,
    NotSent,
    Refused,
    Shown,
    UserRow,
)
from sockd.client.chat.wishes import MOST
from sockd.formats.chat.events import Code
from tests.client.chat.old import OldServer
from tests.client.chat.test_driver import Running


@define(eq=False)
class Pieces:
    """A source whose pieces are there already, and then its end."""

    pieces: list[bytes]
    is_closed: bool = False

    async def read(self) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    def close(self) -> None:
        self.is_closed = True


@define(eq=False)
class Feeding:
    """A chat that is fed."""

    pieces: Sequence[bytes]
    server: OldServer = field(factory=OldServer)
    is_linked: bool = True
    running: Running = field(init=False)
    screen: PlainScreen = field(init=False)
    out: io.StringIO = field(factory=io.StringIO, init=False)
    done: Deferred[None] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.running = Running(self.server)
        self.screen = PlainScreen(self.running.clock, out=self.out)
        self.running.chat.screen = self.screen
        if not self.is_linked:
            self.running.chat.disconnected()
        self.done = Deferred.fromCoroutine(
            feed(self.running.chat, self.screen, Pieces(list(self.pieces)))
        )
        self.done.addErrback(lambda _: None)

    def wait(self, seconds: float) -> None:
        """Time passes in small steps."""
        self.running.clock.pump([0.05] * round(seconds * 20))

    def is_over(self) -> bool:
        """Whether the chat has ended."""
        return bool(self.running.chat.ended.called)

    def said(self) -> list[bytes]:
        """What the server was told."""
        return [text for code, text in self.server.had if code == Code.SEND_PUBLIC]

    def lines(self) -> list[str]:
        """What was printed."""
        return self.out.getvalue().splitlines()


LINES = st.text("ab \u00fc", min_size=1, max_size=9).filter(str.strip)


@given(st.lists(LINES, max_size=20), st.data())
@settings(max_examples=30)
def test_lines_are_said_however_they_come(texts: list[str], data: st.DataObject) -> None:
    whole = "".join(f"{one}\n" for one in ["/join pets", *texts]).encode()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)))))
    pieces = [whole[at:to] for at, to in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    feeding = Feeding([piece for piece in pieces if piece])
    feeding.wait(60.0)
    assert feeding.said() == [one.encode() for one in texts]
    assert feeding.lines()[-1] == "-- logged off"
    assert feeding.running.chat.unsent == 0


def test_more_than_can_wait_is_said_too() -> None:
    texts = [b"%d" % number for number in range(3 * MOST)]
    feeding = Feeding([b"/join pets\n" + b"".join(b"%s\n" % one for one in texts)])
    feeding.wait(len(texts))
    assert feeding.said() == texts
    assert feeding.running.chat.unsent == 0


def test_the_last_line_needs_no_end() -> None:
    feeding = Feeding([b"/join pets\nlast"])
    feeding.wait(5.0)
    assert feeding.said() == [b"last"]


def test_what_was_read_before_the_end_or_another_name_is_said_first() -> None:
    feeding = Feeding([b"/join weather\nhello\n/nick carl\nagain\n/quit\nnever\n"])
    feeding.wait(20.0)
    assert feeding.done.called
    had = [(code, text) for code, text in feeding.server.had if code != Code.STILL_HERE]
    said = had.index((Code.SEND_PUBLIC, b"hello"))
    renamed = had.index((Code.LOGIN_REQ, b"carl"))
    assert said < renamed < had.index((Code.SEND_PUBLIC, b"again"))
    assert (Code.SEND_PUBLIC, b"never") not in had
    assert "not sent" not in feeding.out.getvalue()


def test_a_line_without_an_end_is_refused_once_and_takes_no_memory() -> None:
    feeding = Feeding([b"/join pets\n", *[b"x" * MOST_LINE] * 5, b"x\nnext\n"])
    feeding.wait(5.0)
    assert feeding.said() == [b"next"]
    assert feeding.running.chat.unsent == 1


def test_what_is_not_confirmed_in_time_is_told_and_it_ends() -> None:
    feeding = Feeding([b"/join pets\nhello\nagain\n"])
    feeding.server.loses = {Code.PUBLIC_MSG}
    feeding.wait(LAST_SECONDS + 1)
    assert feeding.lines()[-1] == "-- logged off"
    assert [line for line in feeding.lines() if line.startswith("!! not sent")] == [
        "!! not sent: hello",
        "!! not sent: again",
    ]
    assert feeding.running.chat.unsent == 2


def test_a_server_that_has_gone_is_not_waited_for_without_end() -> None:
    feeding = Feeding([b"hello\n"], is_linked=False)
    feeding.wait(LAST_SECONDS - 2)
    assert not feeding.is_over()
    feeding.wait(3.0)
    assert feeding.is_over()
    assert "!! not sent: hello" in feeding.lines()


def test_a_list_is_waited_for_as_long_as_rows_come() -> None:
    feeding = Feeding([b"/channels\n"])
    for _ in range(5):
        feeding.wait(ROWS_SECONDS - 0.1)
        assert not feeding.is_over()
        feeding.screen.show(ChannelRow("Pets", 1, "all"), False)
    feeding.wait(2 * ROWS_SECONDS + 0.2)
    assert feeding.is_over()


def test_nobody_waits_who_has_nothing_to_wait_for() -> None:
    feeding = Feeding([])
    feeding.wait(ROWS_SECONDS + 0.1)  # for what an old server may answer
    assert feeding.is_over()


# what is written


class Closed(io.StringIO):
    """A pipe that nobody reads any more."""

    def flush(self) -> None:
        raise BrokenPipeError


def test_where_nobody_reads_it_logs_off_and_says_so_to_nobody() -> None:
    running = Running()
    screen = PlainScreen(running.clock, out=Closed())
    running.chat.screen = screen
    never: Deferred[bytes] = Deferred()

    class Waits(Pieces):
        async def read(self) -> bytes:
            return await never

    screen._chat = running.chat
    running.chat.line("/join pets")
    running.wait()
    assert running.chat.ended.called
    assert isinstance(screen.failure, BrokenPipeError)
    assert running.server.had[-1] == (Code.LOGOFF, b"anna")


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            Message("bert", "h\u00fc\x1b\x7f", "Pets", 5),
            '{"type":"message","user":"bert","text":"h\\u00fc\\u001b\\u007f","channel":"Pets",'
            '"time_ms":5,"is_own":false,"to":"","is_marked":false}',
        ),
        (Notice("so"), '{"type":"notice","text":"so","level":"info","is_marked":false}'),
        (
            UserRow("bert", 5, ["Pets", "Weather"]),
            '{"type":"user_row","user":"bert","seconds":5,"channels":["Pets","Weather"],'
            '"is_marked":false}',
        ),
        (NotSent("\udcff"), '{"type":"not_sent","text":"\\\\xff","is_marked":false}'),
        (Refused("taken"), '{"type":"refused","why":"taken","is_marked":false}'),
        (Ended(), '{"type":"ended","why":"","is_marked":false}'),
    ],
)
def test_an_event_as_json(event: Shown, expected: str) -> None:
    assert json_line(event, False) == expected


@given(st.text(), st.booleans())
def test_json_is_one_line_of_ascii(text: str, is_marked: bool) -> None:
    line = json_line(Message(text, text, text), is_marked)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["is_marked"] is is_marked
