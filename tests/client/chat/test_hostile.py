"""Whatever comes and whatever is typed, in any state: nothing is raised, and all is bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import count

from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from sockd.client.chat.channels import MOST_CHANNELS
from sockd.client.chat.conversation import Conversation, Phase
from sockd.client.chat.told import Done, Ended, JoinGroup, LeaveGroup, Send
from sockd.client.chat.wishes import BURST, MOST, RATE
from sockd.formats.chat.events import MAX_EVENT, Code, pack, unpack
from sockd.formats.chat.hello import Hello, Welcome
from sockd.formats.chat.session import Open, Opened
from sockd.formats.chat.texts import Group
from sockd.formats.chat.trailer import Stamp, stamp

KEY, SESSION, LABEL = b"k" * 16, b"s" * 8, 7


@define(eq=False)
class Hostile:
    """A conversation with a server that has its keys and keeps no rules, among strangers."""

    conversation: Conversation = field(
        factory=lambda: Conversation("anna", lambda size: bytes(size), lambda: 0.5)
    )
    now: float = 1000.0
    groups: Counter[Group] = field(factory=Counter)
    sent: int = 0
    nonce: bytes = b""
    sequences: count[int] = field(factory=lambda: count(1))

    def do(self, dones: Sequence[Done]) -> None:
        """Carry out, as far as it tells."""
        for done in dones:
            match done:
                case Send(data):
                    assert len(data) <= MAX_EVENT
                    self.sent += 1
                    self._note(data)
                case JoinGroup(group):
                    self.groups[group] += 1
                    assert self.groups[group] <= 2  # one that heartbeats have, too
                case LeaveGroup(group):
                    self.groups[group] -= 1
                    assert self.groups[group] >= 0
                case Ended():
                    assert self.conversation.next_at is None

    def _note(self, data: bytes) -> None:
        event = unpack(data)
        if event is not None and event.code == Code.NOTHING and (hello := Hello.read(event.text)):
            self.nonce = hello.nonce
        if event is not None and event.code == Code.OPEN and (opening := Open.read(event.text)):
            self.nonce = opening.nonce

    def come(self, data: bytes) -> None:
        """Something comes from the server."""
        self.do(self.conversation.received(data, self.now))

    def come_by_group(self, data: bytes, is_servers: bool) -> None:
        """Something comes by a group."""
        self.do(self.conversation.heard(data, self.now, is_servers=is_servers))

    def welcome(self, epoch: int) -> None:
        """The server is a new one."""
        self.come(Welcome(self.nonce, b"i" * 8, epoch, b"c" * 16, ("session",), "x").write())

    def opened(self, has_key: bool) -> None:
        """The server lets us in."""
        name = self.conversation.nickname[:64].replace(b"\n", b"") or b"-"
        self.come(Opened(name, SESSION, KEY if has_key else b"", LABEL, self.nonce).write())

    def genuine(self, event: bytes, facts: Stamp) -> None:
        """The server sends something that bears the right MAC and any numbers."""
        self.come(stamp(event, facts, KEY))

    def next(self, event: bytes, back: int | None) -> None:
        """The server sends something that is the next, in answer to what we have sent last, or so
        many before that; or to nothing."""
        number = 0 if back is None else max(0, self.conversation._login.number - back)
        welcome = self.conversation.welcome
        epoch = welcome.epoch if welcome is not None else 1
        facts = Stamp(epoch, next(self.sequences), int(self.now), LABEL, number, KEY)
        self.come(stamp(event, facts, KEY))

    def run(self, seconds: float) -> None:
        """Time passes; each tick leads on."""
        until, ticks = self.now + seconds, 0
        while (at := self.conversation.next_at) is not None and at <= until:
            self.now = max(self.now, at)
            self.do(self.conversation.tick(self.now))
            ticks += 1
            assert ticks < 100 + 50 * seconds, "it turns in a circle"
        self.now = until

    def check(self) -> None:
        """All is bounded."""
        conversation = self.conversation
        assert len(conversation.channels) <= MOST_CHANNELS
        outbox = conversation._outbox
        assert len(outbox.wishes) <= MOST + 2 * MOST_CHANNELS + len(outbox.unconfirmed)
        assert len(outbox.unconfirmed) + len(outbox.echoes) <= 100
        if conversation.phase is Phase.OVER:
            assert conversation.next_at is None


Step = Callable[[Hostile], None]
CODES = st.sampled_from(list(Code)) | st.integers(0, 0xFFFF)
TEXTS = st.binary(max_size=40) | st.sampled_from(
    [
        *(b"Weather bert hi", b"Weather anna hi", b"Weather bert", b"anna", b"bert hi", b"2028"),
        *(b"Weather 1 225.1.0.1 x", b"Pets 1 x", b"Pets 1 ff12::5 x", b"Pets 1 225.1.0.1 x"),
        *(b"225.1.0.1 1", b"225.1.0.9 9999", b"ff12::6 10", b"too fast", b"please log in"),
        *(b"say hello first", b"taken", b"\xff" * 900, b"Weather", b""),
    ]
)
NAMES = st.sampled_from(["weather", "pets", "anna", "", "a b", "\udc80", "\ud800", "x" * 960])
EVENTS = st.builds(pack, CODES, TEXTS)
UINT32 = st.integers(0, 2**32 - 1) | st.integers(0, 20)
STAMPS = st.builds(
    Stamp,
    st.integers(0, 3),
    UINT32,
    st.integers(0, 2**64 - 1),
    UINT32,
    UINT32,
    st.just(KEY),
    UINT32,
)


def typed(what: Callable[[Conversation, str, float], list[Done]], text: str) -> Step:
    """Somebody types something."""
    return lambda one: one.do(what(one.conversation, text, one.now))


def at_once(what: Callable[[Conversation, float], list[Done]]) -> Step:
    """Something without words."""
    return lambda one: one.do(what(one.conversation, one.now))


BACK = st.none() | st.integers(0, 2)
ANSWERS = st.builds(
    pack,
    st.sampled_from(
        [
            *(
                Code.JOIN_ACK,
                Code.PART_ACK,
                Code.PUBLIC_MSG,
                Code.PRIVATE_MSG,
                Code.ERROR,
                Code.ACK,
            ),
            *(Code.USER_JOINS, Code.USER_ITEM, Code.CHANNEL_ITEM, Code.SET_MCAST_PORT),
            *(Code.HEARTBEAT_AT, Code.HEARTBEAT),
        ]
    ),
    TEXTS,
)
TALK: st.SearchStrategy[Step] = st.one_of(
    st.tuples(ANSWERS, BACK).map(lambda both: lambda one: one.next(*both)),
    st.tuples(ANSWERS, BACK).map(lambda both: lambda one: one.next(*both)),
    st.tuples(ANSWERS, STAMPS).map(lambda both: lambda one: one.genuine(*both)),
    ANSWERS.map(lambda data: lambda one: one.come(data)),
    st.tuples(ANSWERS, st.booleans()).map(lambda both: lambda one: one.come_by_group(*both)),
    st.floats(0.0, 40.0).map(lambda seconds: lambda one: one.run(seconds)),
    NAMES.map(lambda text: typed(Conversation.say, text)),
    NAMES.map(lambda text: typed(Conversation.join, text)),
    NAMES.map(lambda text: typed(Conversation.part, text)),
    NAMES.map(lambda text: lambda one: one.do(one.conversation.whisper(text, text, one.now))),
)
"""What there is as long as all goes well."""
TURNS: st.SearchStrategy[Step] = st.one_of(
    st.binary(max_size=100).map(lambda data: lambda one: one.come(data)),
    EVENTS.map(lambda data: lambda one: one.come(data)),
    st.tuples(EVENTS, STAMPS).map(lambda both: lambda one: one.genuine(*both)),
    st.integers(1, 2).map(lambda epoch: lambda one: one.welcome(epoch)),
    st.booleans().map(lambda has_key: lambda one: one.opened(has_key)),
    NAMES.map(lambda text: typed(Conversation.rename, text)),
    st.sampled_from(
        [
            at_once(Conversation.list_channels),
            at_once(Conversation.list_users),
            at_once(Conversation.disconnected),
            at_once(Conversation.connected),
            at_once(Conversation.quit),
        ]
    ),
)
"""What leads elsewhere."""
STEPS = st.one_of(TALK, TALK, TALK, TALK, TURNS)
BEGINNINGS: st.SearchStrategy[list[Step]] = st.sampled_from(
    [
        [],
        [lambda one: one.welcome(1)],
        [lambda one: one.welcome(1), lambda one: one.opened(True)],
        [
            lambda one: one.welcome(1),
            lambda one: one.opened(True),
            typed(Conversation.join, "weather"),
            lambda one: one.next(pack(Code.JOIN_ACK, b"Weather 1 x"), 0),
        ],
        [
            lambda one: one.welcome(1),
            lambda one: one.opened(True),
            lambda one: one.next(pack(Code.SET_MCAST_PORT, b"2028"), None),
            lambda one: one.next(pack(Code.HEARTBEAT_AT, b"225.1.0.9 10"), None),
            typed(Conversation.join, "weather"),
            lambda one: one.next(pack(Code.JOIN_ACK, b"Weather 1 225.1.0.1 x"), 0),
        ],
        [lambda one: one.come(pack(Code.ERROR, b"please log in"))],
        [
            lambda one: one.come(pack(Code.ERROR, b"please log in")),
            lambda one: one.come(pack(Code.LOGIN_ACK, b"anna")),
        ],
    ]
)
"""Ways into a state, from which any step may follow."""


@settings(max_examples=400)
@given(BEGINNINGS, st.lists(STEPS, max_size=40))
def test_no_step_is_too_much_in_any_state(beginning: list[Step], steps: list[Step]) -> None:
    one = Hostile()
    one.do(one.conversation.start(one.now))
    for step in [*beginning, *steps]:
        step(one)
        one.check()
    one.run(100.0)
    one.do(one.conversation.quit(one.now))
    one.run(10.0)
    assert one.conversation.phase is Phase.OVER
    assert one.conversation.next_at is None


@settings(max_examples=20)
@given(BEGINNINGS, EVENTS, STAMPS)
def test_a_flood_of_one_event_makes_us_send_no_more_than_we_may(
    beginning: list[Step], event: bytes, facts: Stamp
) -> None:
    """Of what anybody may send, each event has us send one at most, and over time far fewer."""
    one = Hostile()
    one.do(one.conversation.start(one.now))
    for step in beginning:
        step(one)
    before, began = one.sent, one.now
    for _ in range(1000):
        one.come(event)
        one.come_by_group(event, True)
        one.genuine(event, facts)
        one.run(0.01)
        one.check()
    assert one.sent - before <= 4 * (BURST + RATE * (one.now - began)) + 20
