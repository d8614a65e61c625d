"""All events in any order, by all doors, of old and new clients, against a model that is plain.

The model says what each client hears, to the last event: so nobody hears a channel that they are
not in, everybody hears once, lists agree, and a nickname is unique.
"""

from __future__ import annotations

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from sockd.formats.chat.events import Code, pack
from sockd.formats.chat.window import WINDOW
from tests.chat.model import LONG_PATIENCE, PATIENCE, TITLES, Model, Person
from tests.chat.world import GATES, MULTICAST, New

NUMBERS = st.integers(0, 15)
"""Of people: up to 7 of who is here, if anybody is; above that of all."""


class Machine(Model):
    """What may happen."""

    @rule(number=NUMBERS)
    def log_in(self, number: int) -> None:
        person, now = self.people[number % 8], self.world.now
        client = person.client
        other, is_held = self.named(person.folded), person.folded in self.held
        has_key = isinstance(client, New) and client.session
        if other is not None and other is not person:
            self.tell(person, Code.ERROR, b"that nickname is taken")
        elif other is None and is_held and not has_key:
            self.tell(person, Code.ERROR, b"that nickname is kept for its owner")
        else:
            if other is None:
                person.is_here, person.has_signs = True, False
                person.quiet_until = now + 60 if is_held else 0.0
                self.held.discard(person.folded)
            self.alive(person)
            self.tell_in(person)
        comes = other is None and not (is_held and not has_key)
        got = client.log_in()
        if comes and isinstance(client, New):
            person.first = client.number
        self.world.boxes.setdefault(client.place, [])
        assert [code for code, _ in got] == [code for code, _ in self.expected.pop(person)]
        del self.world.boxes[client.place]
        self.settle()

    def tell_in(self, person: Person) -> None:
        """Somebody is going to hear that it is logged in."""
        self.tell(person, Code.OPENED if person.is_new else Code.LOGIN_ACK)
        if person.client.place.gate is MULTICAST:
            self.tell(person, Code.SET_MCAST_PORT)

    @rule(number=NUMBERS)
    def log_off(self, number: int) -> None:
        person = self.someone(number)

        def then() -> None:
            self.acknowledge(person)
            self.forget(person)

        was_here = person.is_here
        self.asks(person, Code.LOGOFF, person.client.name, then)
        if was_here:
            person.sent = []
        self.settle()

    @rule(number=NUMBERS, title=st.sampled_from([*TITLES, "Nowhere"]))
    def join(self, number: int, title: str) -> None:
        person = self.someone(number)

        def then() -> bytes | None:
            if title not in TITLES:
                return b"there is no channel nowhere"
            if title in person.channels:
                person.channels.remove(title)
            elif len(person.channels) == 2:
                return b"you are in 2 channels already"
            elif self.world.now >= person.quiet_until:
                self.tell_all(title, Code.USER_JOINS, person.client.name)
            person.channels.insert(0, title)
            self.tell_channel(person, Code.JOIN_ACK, title)
            return None

        self.asks(person, Code.JOIN_REQ, title.lower().encode(), then)
        self.settle()

    @rule(number=NUMBERS, title=st.sampled_from([*TITLES, ""]))
    def part(self, number: int, title: str) -> None:
        person = self.someone(number)

        def then() -> bytes | None:
            if not title and not person.channels:
                return b"you are in no channel: join one"
            left = title or person.channels[0]
            if left not in person.channels:
                return b"you are not in " + left.encode()
            was_current = person.channels.index(left) == 0
            person.channels.remove(left)
            self.tell_all(left, Code.USER_PARTS, person.client.name)
            self.tell_channel(person, Code.PART_ACK, left)
            if was_current and person.channels:
                self.tell_channel(person, Code.JOIN_ACK, person.channels[0])
            return None

        self.asks(person, Code.PART_REQ, title.encode(), then)
        self.settle()

    @rule(number=NUMBERS, text=st.sampled_from([b"hello", b"", b"a  b", b"\xc3\xa9"]))
    def talk(self, number: int, text: bytes) -> None:
        person = self.someone(number)

        def then() -> bytes | None:
            if not person.channels:
                return b"you are in no channel: join one"
            self.tell_all(person.channels[0], Code.PUBLIC_MSG, person.client.name, text)
            return None

        self.asks(person, Code.SEND_PUBLIC, text, then)
        self.settle()

    @rule(number=NUMBERS, to=st.sampled_from([b"ADA", b"bob", b"cyd", b"dan"]))
    def whisper(self, number: int, to: bytes) -> None:
        person = self.someone(number)

        def then() -> bytes | None:
            peer = self.named(to.lower())
            if peer is None:
                return b"there is no user " + to
            self.tell(peer, Code.PRIVATE_MSG, person.client.name + b" psst")
            self.acknowledge(person)
            return None

        self.asks(person, Code.SEND_PRIVATE, to + b" psst", then)
        self.settle()

    @rule(number=NUMBERS)
    def list_channels(self, number: int) -> None:
        person = self.someone(number)
        self.asks(person, Code.LIST_CHANNELS, b"", lambda: self.acknowledge(person))
        self.world.list_on()
        if person.is_here:
            got = [event for event in person.client.heard() if event.code == Code.CHANNEL_ITEM]
            assert [int(event.text.split()[1]) for event in got[:3]] == [
                len(self.members(title)) for title in TITLES
            ]
            self.expected.pop(person, None)
        self.settle()

    @rule(number=NUMBERS)
    def list_users(self, number: int) -> None:
        person = self.someone(number)

        def then() -> bytes | None:
            if not person.channels:
                return b"you are in no channel: join one"
            self.acknowledge(person)
            return None

        self.asks(person, Code.LIST_USERS, b"", then)
        self.world.list_on()
        if person.channels:
            got = person.client.heard()
            items = [event.text.split() for event in got if event.code == Code.USER_ITEM]
            assert len(items) == len(got) - person.is_new
            assert sorted((item[0], item[2:]) for item in items) == sorted(
                (one.client.name, [title.encode() for title in one.channels])
                for one in self.members(person.channels[0])
            )
            self.expected.pop(person, None)
        self.settle()

    @rule(number=NUMBERS)
    def still_here(self, number: int) -> None:
        person = self.someone(number)

        def then() -> None:
            person.has_signs = True
            self.acknowledge(person)

        self.asks(person, Code.STILL_HERE, b"", then)
        self.settle()

    @rule(seconds=st.sampled_from([1.0, 30.0, 59.0, 100.0, 600.0]))
    def silence(self, seconds: float) -> None:
        """Time passes; who was silent for too long is gone, and those who remain hear of it."""
        self.world.pass_(seconds)
        if self.world.now >= self.began + 60:
            self.held.clear()
        for person in self.people:
            limit = PATIENCE if person.has_signs else LONG_PATIENCE
            until = min(person.heard + limit, person.suspect + 30)
            if person.is_here and self.world.now >= until:
                person.is_here, person.sent = False, []
        gone = [one for one in self.people if not one.is_here and one.channels]
        for person in gone:
            self.world.take(person.client.place)
        for person in gone:
            titles, person.channels = person.channels, []
            for title in titles:
                for member in self.members(title):
                    if member.is_here:
                        self.tell(
                            member,
                            Code.USER_PARTS,
                            b" ".join([title.encode(), person.client.name]),
                        )
        self.settle(is_ordered=False)

    @initialize(order=st.permutations(range(8)))
    def begin(self, order: list[int]) -> None:
        """Most of them are here and in a channel or two."""
        for number in order:
            self.log_in(number)
            for title in TITLES[number % 2 :]:
                self.join(number, title)

    @rule(back=st.lists(st.integers(0, 7), min_size=4, unique=True))
    def restart(self, back: list[int]) -> None:
        """The server starts anew, and some come back."""
        self.world.restart()
        self.began = self.world.now
        self.held = {one.folded for one in self.people if one.is_here and one.is_new}
        for person in self.people:
            person.is_here, person.channels, person.sent = False, [], []
            person.quiet_until = 0.0
        self.settle()
        for number in back:
            self.log_in(number)

    @rule(number=NUMBERS, back=st.integers(1, 5))
    def double(self, number: int, back: int) -> None:
        """The network repeats one of the last datagrams: only its sender hears of it."""
        person = self.someone(number)
        if person.is_here and len(person.sent) >= back:
            data, told = person.sent[-back]
            self.world.send(person.client.place, data)
            self.alive(person)
            self.expected[person] = list(told)
        self.settle()

    @rule(number=NUMBERS)
    def delay(self, number: int) -> None:
        """What a new client says is on its way for long, or for ever."""
        person = self.someone(number)
        if isinstance(client := person.client, New) and client.session:
            person.late.append((client.number + 1, client.signed(pack(Code.SEND_PUBLIC, b"late"))))

    @rule(number=NUMBERS, which=st.integers(0, 3))
    def arrive_late(self, number: int, which: int) -> None:
        """It comes after what was said later, or after a log-off, a move or a start."""
        person = self.someone(number)
        if which >= len(person.late):
            return
        at, data = person.late.pop(which)
        client = person.client
        assert isinstance(client, New)
        if client.number - at > WINDOW // 2:
            return
        if not person.is_here:
            self.tell(person, Code.ERROR, b"please log in")
        elif at > person.first:
            self.alive(person)
            if person.channels:
                self.tell_all(person.channels[0], Code.PUBLIC_MSG, client.name, b"late")
            else:
                self.tell(person, Code.ERROR, b"you are in no channel: join one")
        self.world.send(client.place, data)
        self.settle()

    @rule(number=NUMBERS, code=st.sampled_from([Code.LOGOFF, Code.SEND_PUBLIC]))
    def forge(self, number: int, code: int) -> None:
        """Somebody without the key speaks for a new client, from its address: nobody hears it."""
        person = self.someone(number)
        if person.is_here and person.is_new:
            self.world.send(person.client.place, pack(code, person.client.name))
        self.settle()

    @rule(number=NUMBERS)
    def suspect(self, number: int) -> None:
        """The network says that nobody is there."""
        person = self.someone(number)
        self.world.rooms.suspect(person.client.place, self.world.now)
        person.suspect = min(person.suspect, self.world.now)
        self.settle()

    @rule(number=NUMBERS, gate=st.sampled_from(GATES))
    def move(self, number: int, gate: object) -> None:
        """A new client goes on from another address, maybe by another door: nobody notices."""
        person = self.someone(number)
        if person.is_here and person.is_new:
            person.client.place = self.world.place(gate)  # type: ignore[arg-type]
            self.log_in(self.people.index(person))

    # what holds always

    @invariant()
    def a_nickname_is_unique(self) -> None:
        here = [one.folded for one in self.people if one.is_here]
        assert len(here) == len(set(here))
        assert self.world.rooms.users.keys() == set(here)
        assert len(self.world.rooms.at) == len(here)

    @invariant()
    def lists_agree(self) -> None:
        rooms = self.world.rooms
        for title in TITLES:
            channel = self.world.channel(title)
            wanted = {one.client.place for one in self.members(title)}
            assert {user.place for user in channel.members} == wanted
            assert set(self.world.audience.get(channel, {}).values()) == wanted
        for person in self.people:
            if person.is_here:
                user = rooms.at[person.client.place]
                assert [one.settings.title for one in user.channels] == person.channels
                assert rooms.users[person.folded] is user


TestMachine = Machine.TestCase
TestMachine.settings = hypothesis_settings(max_examples=100, stateful_step_count=50)
