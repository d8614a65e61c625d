"""A session from before the conversation is taken up again."""

from __future__ import annotations

from attrs import evolve

from sockd.client.chat.conversation import Conversation, Phase
from sockd.client.chat.login import Kept
from sockd.client.chat.told import LoggedIn, Message, NotSent, Refused
from tests.client.chat.net import Client, Network, two


def anew(network: Network, client: Client, kept: Kept | None, *joins: str) -> Client:
    """The user's process has died without a word, and is started anew with what was kept."""
    nickname = client.conversation.nickname.decode()
    place = client.place._replace(address=f"again {client.place.address}")
    client.conversation.quit(network.now)  # nothing of that is sent

    def recall(server: bytes, _: bytes) -> Kept | None:
        return kept if kept is not None and kept.server == server else None

    talk = Conversation(nickname, network.chance.randbytes, network.chance.random, recall)
    found = network.clients[nickname] = Client(talk, place)
    network.do(found, talk.start(network.now))
    for title in joins:
        network.do(found, talk.join(title, network.now))
    return found


def kept(client: Client, ahead: int = 100) -> Kept:
    """What is known of its session."""
    found = client.conversation.kept
    assert found is not None
    return evolve(found, number=found.number + ahead)


def phase(client: Client) -> Phase:
    """Where it stands now."""
    return client.phase


def test_who_has_died_is_in_again_at_once_and_misses_no_number() -> None:
    network, anna, bert = two()
    for number in range(5):
        network.say(anna, f"before {number}")
        network.run(1.0)
    again = anew(network, anna, kept(anna), "weather")
    network.run(3.0)
    network.say(again, "I am back")
    network.run(3.0)
    assert [one.is_again for one in again.of(LoggedIn)] == [False]
    assert again.texts() == ["I am back"]
    assert again.lost("") == again.lost("Weather") == 0
    assert bert.texts()[-1] == "I am back"
    assert network.members("weather") == {"anna", "bert"}


def test_who_takes_up_a_session_is_in_its_channels_and_in_the_same_one() -> None:
    network, anna, bert = two()
    for title in ("pets", "weather"):
        network.do(anna, anna.conversation.join(title, network.now))
        network.run(1.0)
    again = anew(network, anna, kept(anna))
    network.say(again, "I am back")
    network.run(5.0)
    assert [one.title for one in again.conversation.channels] == [b"Weather", b"Pets"]
    assert again.texts() == ["I am back"]
    assert bert.texts() == ["I am back"]


def test_a_new_session_is_in_no_channel() -> None:
    network, anna, _ = two()
    found = kept(anna)
    network.run(400.0)
    network.boot(keeps_secret=False)
    again = anew(network, anna, found)
    network.run(5.0)
    assert phase(again) is Phase.IN
    assert list(again.conversation.channels) == []


def test_without_the_session_the_name_is_somebody_else_s() -> None:
    network, anna, _ = two()
    again = anew(network, anna, None)
    network.run(3.0)
    assert [one.why for one in again.of(Refused)] == ["that nickname is taken"]


def test_after_a_restart_a_name_that_is_kept_is_given_to_its_owner() -> None:
    network, anna, _ = two()
    network.boot()
    assert b"anna" in network.desk.threshold.held
    stranger = anew(network, anna, None)
    network.run(3.0)
    assert [one.why for one in stranger.of(Refused)] == ["that nickname is kept for its owner"]
    owner = anew(network, stranger, kept(anna))
    network.run(3.0)
    assert phase(owner) is Phase.IN
    assert owner.of(Refused) == []


def test_a_session_of_another_server_is_not_shown_to_this_one() -> None:
    network, anna, _ = two()
    network.boot(keeps_secret=False)
    again = anew(network, anna, kept(anna))
    network.run(3.0)
    assert phase(again) is Phase.IN
    found = again.conversation.kept
    assert found is not None
    assert found.session != kept(anna).session


def test_a_session_with_a_wrong_key_is_another_one_then() -> None:
    network, anna, _ = two()
    network.do(anna, anna.conversation.quit(network.now))
    network.run(1.0)
    again = anew(network, anna, evolve(kept(anna), key=b"?" * 16), "weather")
    network.run(5.0)
    network.say(again, "hello")
    network.run(2.0)
    assert again.texts() == ["hello"]


def test_at_the_end_what_is_not_confirmed_is_told_as_not_sent() -> None:
    network, anna, _ = two()
    network.is_up = False
    network.say(anna, "never heard")
    network.do(anna, anna.conversation.quit(network.now))
    network.run(5.0)
    assert phase(anna) is Phase.OVER
    assert [one.text for one in anna.of(NotSent)] == ["never heard"]
    assert anna.of(Message) == []


def test_while_the_server_is_silent_to_quit_tells_all_that_waits() -> None:
    network, anna, _ = two()
    network.is_up = False
    network.say(anna, "one")
    network.run(30.0)
    assert phase(anna) is Phase.AWAY
    network.say(anna, "two")
    network.do(anna, anna.conversation.quit(network.now))
    assert phase(anna) is Phase.OVER
    assert anna.not_sent() == {"one", "two"}


def test_what_the_network_says_is_looked_into_and_ends_nothing() -> None:
    network, anna, _ = two()
    network.do(anna, anna.conversation.unreachable(network.now))
    network.run(3.0)
    assert phase(anna) is Phase.IN
    network.is_up = False
    network.run(5.0)
    network.do(anna, anna.conversation.unreachable(network.now))
    network.run(3.0)
    assert phase(anna) is Phase.AWAY
    network.boot()
    network.run(15.0)
    assert phase(anna) is Phase.IN
