"""Old clients of the chat with our server: by both of its doors, beside our clients."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Daemon, namespace
from tests.real.old_chat import CLIENT, Person, lo_has_groups, new, old, perl

CONFIG = """
[service.chat]
listen = ["udp:0:interface=localhost"]
listen_multicast = ["udp:0:interface=127.0.0.1"]
event_burst = 100
[service.strict]
kind = "chat"
listen = ["udp:0:interface=localhost"]
strict = true
state = "${RUNTIME}/strict.state"
"""
GROUPS = """
[service.chat]
listen = ["udp:2027:interface=127.0.0.1"]
listen_multicast = ["udp:2029:interface=127.0.0.1"]
event_burst = 100
"""
UNICAST, CONTROL = 2027, 2029


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("chat"), CONFIG) as made:
        yield made


@pytest.fixture
def host(tmp_path: Path) -> Iterator[str]:
    """A host of its own with the server, and with groups."""
    with namespace() as name:
        lo_has_groups(name)
        with Daemon(tmp_path, GROUPS, namespace=name):
            yield name


def port(daemon: Daemon, service: str = "chat") -> int:
    return daemon.address(service, "udp")[1]


def test_all_that_an_old_client_can_do_is_done_and_no_trailer_is_shown(daemon: Daemon) -> None:
    with old("rufus", port(daemon)) as rufus, new("anna", port(daemon)) as anna:
        rufus.says("hello").hears("error: you are in no channel: join one")
        rufus.says("/join weather").hears("joined Weather, 1 there")
        anna.says("/join Weather").hears("-- you are in Weather (2 users)")
        rufus.hears("[Weather] anna comes")
        anna.says("hello all").hears("[Weather] anna: hello all")
        rufus.hears("[Weather] anna: hello all")
        rufus.says("hello anna").hears("[Weather] rufus: hello anna")
        anna.hears("[Weather] rufus: hello anna")
        rufus.says("/private anna psst")
        anna.hears("[private] rufus: psst").says("/private Rufus psst back")
        rufus.hears("[private] anna: psst back")
        rufus.says("/channels").hears(
            "channel CurrentEvents, 0 there: In the news",
            "channel Weather, 2 there: Rain and sun",
            "channel Gardening, 0 there: All that grows",
            "channel Hobbies, 0 there: Spare time",
            "channel Pets, 0 there: Animals at home",
        )
        rufus.says("/users").hears("user rufus in Weather", "user anna in Weather")
        rufus.says("/join nowhere").hears("error: there is no channel nowhere")
        rufus.says("/private nobody hi").hears("error: there is no user nobody")
        rufus.says("/join pets").hears("joined Pets, 1 there")
        rufus.says("/users").hears("user rufus in Pets Weather")
        rufus.says("/join WEATHER").hears("joined Weather, 2 there")
        rufus.says("/part").hears("left Weather, 1 there", "joined Pets, 1 there")
        rufus.says("/part weather").hears("error: you are not in Weather")
        rufus.says("/part pets").hears("left Pets, 0 there")
        rufus.says("/part").hears("error: you are in no channel: join one")
        rufus.says("/quit").ends()


def test_a_nickname_that_is_taken_or_not_allowed_has_an_old_client_ask_for_another(
    daemon: Daemon,
) -> None:
    with (
        old("berta", port(daemon)),
        Person(*perl(CLIENT, "127.0.0.1", str(port(daemon)))) as other,
    ):
        other.hears("name?").says("Berta").hears("try 1", "error: that nickname is taken")
        other.hears("name?").says("ber/ta").hears("try 2")
        assert other.line().startswith("error: ")
        other.hears("name?").says("carla").hears("try 3", "in as carla")


def test_to_log_in_by_another_name_is_to_leave_all_channels_and_gives_the_name_back(
    daemon: Daemon,
) -> None:
    with old("dora", port(daemon)) as dora, old("emil", port(daemon)) as emil:
        dora.says("/join hobbies").hears("joined Hobbies, 1 there")
        emil.says("/join hobbies").hears("joined Hobbies, 2 there")
        dora.hears("[Hobbies] emil comes")
        emil.says("/login").hears("name?").says("fred").hears("try 1", "in as fred")
        dora.hears("[Hobbies] emil goes")
        emil.says("/users").hears("error: you are in no channel: join one")
        with old("emil", port(daemon)):
            emil.says("/join hobbies").hears("joined Hobbies, 2 there")
            dora.hears("[Hobbies] fred comes")
        emil.says("/quit").ends()
        dora.hears("[Hobbies] fred goes")


def test_where_it_is_strict_a_number_is_asked_for_and_to_log_off_by_it_frees_the_name(
    daemon: Daemon,
) -> None:
    numbers = set()
    for _ in range(2):
        with Person(*perl(CLIENT, "127.0.0.1", str(port(daemon, "strict")))) as rufus:
            rufus.hears("name?").says("rufus").hears("try 1")
            asked = re.fullmatch(r"error: log in as (rufus/\d{6})", rufus.line())
            assert asked
            rufus.hears("name?").says(asked[1]).hears("try 2", f"in as {asked[1]}")
            rufus.says("/join pets").hears("joined Pets, 1 there")
            rufus.says("hi").hears("[Pets] rufus: hi").says("/quit").ends()
            numbers.add(asked[1])
    with old_unlucky(daemon, numbers.pop()) as other:
        assert other.line().startswith("error: log in as rufus/")


def old_unlucky(daemon: Daemon, name: str) -> Person:
    """Somebody at another address who has heard a number."""
    other = Person(*perl(CLIENT, "127.0.0.1", str(port(daemon, "strict"))))
    other.hears("name?").says(name).hears("try 1")
    return other


def test_signs_of_life_of_an_old_client_are_not_answered(daemon: Daemon) -> None:
    with old("gina", port(daemon), "signs=1") as gina:
        gina.says("/join gardening").hears("joined Gardening, 1 there")
        for text in ("one", "two", "three"):
            gina.says(text).hears(f"[Gardening] gina: {text}")
        gina.says("/quit").ends()


def test_an_old_client_without_groups_can_ask_by_the_multicast_door(daemon: Daemon) -> None:
    control = daemon.address("chat", "udp", 2)[1]
    with Person(*perl(CLIENT, "127.0.0.1", str(control))) as hugo:
        hugo.hears("name?").says("hugo").hears("try 1", "in as hugo", "unknown: 210")
        hugo.says("/join pets").hears("joined Pets, 1 there").says("/quit").ends()


def test_it_dies_when_the_port_is_closed(tmp_path: Path) -> None:
    with Daemon(tmp_path, CONFIG) as daemon, old("rufus", port(daemon)) as rufus:
        daemon.stop()
        rufus.says("hello").hears("gone: Connection refused")
        rufus.ends(1)


def test_by_groups_old_and_new_clients_and_those_of_the_other_door_are_in_one_room(
    host: str,
) -> None:
    with (
        old("rufus", CONTROL, "groups", "shares", host=host) as rufus,
        new("anna", CONTROL, host=host) as anna,
        old("otto", UNICAST, host=host) as otto,
        new("nora", UNICAST, host=host) as nora,
    ):
        everybody = {"rufus": rufus, "anna": anna, "otto": otto, "nora": nora}
        rufus.says("/join weather").hears("joined Weather, 1 there")
        anna.says("/join weather").hears("-- you are in Weather (2 users)")
        rufus.hears("[Weather] anna comes")
        otto.says("/join weather").hears("joined Weather, 3 there")
        rufus.hears("[Weather] otto comes")
        nora.says("/join weather").hears("-- you are in Weather (4 users)")
        rufus.hears("[Weather] nora comes")
        otto.hears("[Weather] nora comes")
        for name, person in everybody.items():
            person.says(f"I am {name}")
            for one in everybody.values():
                one.hears(f"[Weather] {name}: I am {name}")
        rufus.says("/channels").hears(
            "channel CurrentEvents, 0 there: 225.1.0.1 In the news",
            "channel Weather, 4 there: 225.1.0.2 Rain and sun",
            "channel Gardening, 0 there: 225.1.0.3 All that grows",
            "channel Hobbies, 0 there: 225.1.0.4 Spare time",
            "channel Pets, 0 there: 225.1.0.5 Animals at home",
        )
        rufus.says("/private anna psst")
        anna.hears("[private] rufus: psst")
        rufus.says("/part")  # it still hears the group when it is told there that it goes
        rufus.hears_in_any_order("left Weather, 3 there", "[Weather] rufus goes")
        otto.hears("[Weather] rufus goes")
        nora.hears("-- rufus has left Weather")
        anna.hears("-- rufus has left Weather").says("bye").hears("[Weather] anna: bye")
        # Linux gives an old client what others of its host have joined, and it looks at no title
        rufus.hears("[Weather] anna: bye")
        rufus.says("/join pets").hears("joined Pets, 1 there")
        rufus.says("/quit").ends()


def test_several_clients_of_groups_on_one_host_hear_their_own_channels_only(host: str) -> None:
    with (
        new("anna", CONTROL, host=host) as anna,
        new("bert", CONTROL, host=host) as bert,
        new("carl", CONTROL, host=host) as carl,
    ):
        anna.says("/join weather").hears("-- you are in Weather (1 user)")
        bert.says("/join weather").hears("-- you are in Weather (2 users)")
        carl.says("/join pets").hears("-- you are in Pets (1 user)")
        bert.says("/join pets").hears("-- you are in Pets (2 users)")
        for number in range(3):
            anna.says(f"rain {number}").hears(f"[Weather] anna: rain {number}")
            bert.hears(f"[Weather] anna: rain {number}")
            carl.says(f"cats {number}").hears(f"[Pets] carl: cats {number}")
            bert.hears(f"[Pets] carl: cats {number}")
        for name, one, was in (("anna", anna, "Weather"), ("carl", carl, "Pets")):
            one.says("/quit").hears("-- logged off").ends()
            bert.hears(f"-- {name} has left {was}")
        bert.says("/quit").hears("-- logged off").ends()


def test_beside_an_old_client_that_has_the_port_of_groups_for_itself_ours_is_sent_its_own(
    host: str,
) -> None:
    with old("rufus", CONTROL, "groups", host=host) as rufus:
        rufus.says("/join weather").hears("joined Weather, 1 there")
        with new("anna", CONTROL, host=host) as anna:
            assert anna.line() == "** cannot listen for 225.1.0.6:2028: address already in use"
            anna.says("/join weather").hears("-- you are in Weather (2 users)")
            rufus.hears("[Weather] anna comes").says("rain").hears("[Weather] rufus: rain")
            anna.hears("[Weather] rufus: rain").says("sun").hears("[Weather] anna: sun")
            rufus.hears("[Weather] anna: sun")
