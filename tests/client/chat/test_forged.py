"""What somebody else sends, who has no key."""

from __future__ import annotations

from sockd.client.chat.conversation import CALM_SECONDS, Phase
from sockd.client.chat.login import MOST_EARLY
from sockd.client.chat.pulse import NO_GROUPS
from sockd.client.chat.told import Ended, LoggedIn, Message, Notice, Refused
from sockd.formats.chat.events import Code, pack
from sockd.formats.chat.hello import Welcome
from sockd.formats.chat.trailer import Stamp, stamp
from tests.client.chat.net import Client, Network, two


def forgeries(anna: Client) -> list[bytes]:
    """What somebody sends who has no key."""
    public, logoff = pack(Code.PUBLIC_MSG, b"Weather bert hi"), pack(Code.LOGOFF, b"be gone")
    facts = Stamp(1, 1000, 1_000_000)
    return [
        public,
        logoff,
        pack(Code.PRIVATE_MSG, b"bert hi"),
        pack(Code.JOIN_ACK, b"Pets 1 about"),
        stamp(public, facts, b"k" * 16),
        stamp(logoff, facts, b"k" * 16),
        stamp(b"\0", facts, b"k" * 16),
    ]


def test_what_is_forged_or_has_no_mac_is_dropped_and_counted() -> None:
    network, anna, _ = two()
    shown = list(anna.shown)
    found = forgeries(anna)
    for data in found:
        network.hear(anna, data)
    assert anna.shown == shown
    assert anna.conversation.forged == len(found)


def test_an_event_of_a_channel_that_we_are_not_in_is_dropped_and_is_no_forgery() -> None:
    network, anna, _ = two()
    shown = list(anna.shown)
    network.hear(anna, stamp(pack(Code.PUBLIC_MSG, b"Pets bert hi"), Stamp(1, 1, 1), b"k" * 16))
    assert anna.shown == shown
    assert anna.conversation.forged == 0


def test_a_forged_error_costs_a_sign_of_life_now_and_then_and_nothing_else() -> None:
    network, anna, _ = two()
    for _ in range(50):
        network.hear(anna, pack(Code.ERROR, b"please log in"))
        network.run(0.2)
    assert network.to_server[Code.STILL_HERE] <= 1 + 10.0 / CALM_SECONDS
    assert anna.phase is Phase.IN
    assert anna.of(Notice) == []
    assert len(anna.of(LoggedIn)) == 1


def test_a_forged_error_does_not_make_an_old_client_of_who_has_met_a_new_server() -> None:
    network, anna, _ = two()
    network.do(anna, anna.conversation.rename("carl", network.now))
    network.hear(anna, pack(Code.ERROR, b"please log in"))
    network.run(2.0)
    assert network.to_server[Code.LOGIN_REQ] == 0
    assert anna.phase is Phase.IN


def test_an_error_forged_before_the_welcome_makes_no_old_client_either() -> None:
    network = Network(1)
    anna = network.join("anna", "weather")
    network.hear(anna, pack(Code.ERROR, b"please log in"))
    network.run(20.0)
    assert anna.conversation.welcome is not None
    assert b"anna" in network.desk.names


def test_a_welcome_to_another_hello_is_nothing() -> None:
    network = Network(1)
    anna = network.join("anna")
    forged = Welcome(b"n" * 8, b"s" * 8, 1, b"c" * 16, ("session",), "bad")
    network.hear(anna, forged.write())
    assert anna.phase is Phase.HELLO


def test_a_refusal_that_is_forged_before_the_answer_comes_costs_nothing() -> None:
    network = Network(1)
    anna = network.join("anna", "weather")
    while anna.phase is not Phase.OPEN:
        network.run(0.001)
    for _ in range(100):
        network.hear(anna, pack(Code.ERROR, b"that nickname is taken"))
    network.run(2.0)
    assert anna.of(Refused) == []
    assert b"anna" in network.desk.names


def test_what_overtakes_the_answer_to_a_log_in_is_checked_and_of_it_few_are_kept() -> None:
    network = Network(1)
    anna = network.join("anna")
    while anna.phase is not Phase.OPEN:
        network.run(0.001)
    for data in forgeries(anna) * 10:
        network.hear(anna, data)
    assert len(anna.conversation._login._early) == MOST_EARLY
    network.run(2.0)
    assert b"anna" in network.desk.names
    assert not anna.of(Message)
    assert not anna.of(Ended)


def test_by_a_group_comes_nothing_but_what_goes_to_groups() -> None:
    network, anna, _ = two()
    user = network.desk.rooms.at[anna.place]
    event = network.desk.rooms.answer(user, Code.LOGOFF, b"be gone", network.moment).data
    for data in (event, pack(Code.ERROR, b"please log in"), b"", b"\0"):
        assert anna.conversation.heard(data, network.now, is_servers=True) == []
    assert anna.phase is Phase.IN


def test_a_heartbeat_that_is_sent_again_is_none() -> None:
    network, anna, _ = two(group_port=2028)
    network.run(30.0)
    old = network.desk.rooms.heartbeat.beat(network.moment)
    network.do(anna, anna.conversation.heard(old, network.now, is_servers=True))
    network.groups_work = False
    for _ in range(50):
        network.run(1.0)
        network.do(anna, anna.conversation.heard(old, network.now, is_servers=False))
    assert anna.of(Notice) == [NO_GROUPS]
