"""A conversation, whatever comes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sockd.client.chat.conversation import Phase
from sockd.client.chat.told import Ended
from sockd.formats.chat.events import Code, pack
from sockd.formats.chat.trailer import Stamp, stamp
from tests.client.chat.net import Network, two
from tests.client.chat.old import OldServer, Talk

CODES = st.sampled_from(list(Code))
TEXTS = st.one_of(
    st.binary(max_size=80),
    st.sampled_from([b"Weather bert hi", b"Weather 1 225.1.0.1 x", b"anna", b"2028", b"Pets 1 x"]),
)
EVENTS = st.one_of(st.binary(max_size=80), st.builds(pack, CODES, TEXTS))
WORDS = st.text(max_size=20)


@given(st.lists(EVENTS, max_size=30), st.booleans())
def test_no_event_of_an_old_server_is_too_much(events: list[bytes], is_in: bool) -> None:
    server = OldServer()
    server.is_deaf = not is_in
    talk = Talk(server)
    for data in events:
        talk.hear(data)
        talk.run(0.1)
    if talk.conversation.phase is not Phase.OVER:
        talk.do(talk.conversation.quit(talk.now))
        talk.run(10.0)
    assert [one for one in talk.shown if isinstance(one, Ended)]


@settings(max_examples=50)
@given(
    st.lists(
        st.builds(
            lambda event, *numbers: stamp(event, Stamp(1, *numbers), b""),
            EVENTS,
            st.integers(0, 2**32 - 1),
            st.integers(0, 2**64 - 1),
            st.integers(0, 2**32 - 1),
            st.integers(0, 2**32 - 1),
        )
        | EVENTS.map(lambda data: data[:2].replace(b"\0\x0a", b"\0\0") + data[2:]),
        max_size=30,
    )
)
def test_nothing_without_the_key_changes_anything_at_a_new_server(events: list[bytes]) -> None:
    network = Network(1)
    anna = network.join("anna", "weather")
    network.run(2.0)
    shown = list(anna.shown)
    for data in events:
        network.hear(anna, data)
    assert anna.shown == shown
    assert anna.phase is Phase.IN


@given(WORDS, WORDS, WORDS)
def test_whatever_is_typed_can_be_sent(nickname: str, title: str, text: str) -> None:
    talk = Talk(OldServer(), nickname)
    conversation = talk.conversation
    for done in (
        conversation.join(title, talk.now),
        conversation.say(text + "\udc80\ud800", talk.now),
        conversation.whisper(title, text, talk.now),
        conversation.rename(text, talk.now),
    ):
        talk.do(done)
    talk.run(100.0)


def test_before_the_log_in_nothing_is_heard() -> None:
    server = OldServer()
    server.is_deaf = True
    talk = Talk(server)
    talk.hear(pack(Code.PRIVATE_MSG, b"bert hi"))
    talk.hear(pack(Code.LOGIN_ACK, b"anna"))
    talk.hear(pack(Code.OPENED, b"anna " + b"0" * 16 + b" " + b"0" * 32 + b" 00000001"))
    assert talk.shown == []
    assert talk.conversation.phase is Phase.HELLO


def test_where_a_group_cannot_be_heard_the_server_is_asked_once_for_our_own() -> None:
    network, anna, bert = two(group_port=2028)
    for _ in range(2):
        network.do(anna, anna.conversation.deaf("no such device", network.now))
    network.say(bert, "hi")
    network.run(2.0)
    assert network.to_server[Code.UNICAST] == 1
    assert [user.by_unicast for user in network.desk.rooms.users.values()] == [True, False]
    assert anna.texts() == ["hi"]
