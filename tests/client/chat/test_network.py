"""What a conversation promises on a network that loses 5 %, doubles 2 % and reorders 10 %."""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sockd.client.chat.conversation import Phase
from sockd.client.chat.signs import ALIVE_SECONDS
from sockd.client.chat.told import Ended, LoggedIn
from tests.client.chat.net import BAD, Client, Network, Wire
from tests.client.chat.old import OldServer

SEEDS = st.integers(0, 2**32)
NAMES = ("anna", "bert", "carl")
FEW = settings(max_examples=40)


def logged_in(seed: int, group_port: int | None = None) -> tuple[Network, list[Client]]:
    """Three who are in a channel."""
    network = Network(seed, BAD, group_port)
    clients = [network.join(name, "pets", "weather") for name in NAMES]
    network.run(60.0)  # a hello may be lost, and the next one, too
    assume(not any(client.of(Ended) for client in clients))  # five in a row were lost
    assert network.members("weather") == network.members("pets") == set(NAMES)
    return network, clients


def talk(network: Network, clients: list[Client], prefix: str, count: int = 30) -> list[str]:
    """They talk, each about as fast as the server takes it. Returns what they have said."""
    said = []
    for number in range(count):
        said.append(f"{prefix}{number}")
        network.say(network.chance.choice(clients), said[-1])
        network.run(network.chance.random() * 0.4)
    return said


def settle(network: Network, clients: list[Client]) -> None:
    """All that is on its way arrives, and then something that shows what does not."""
    network.run(30.0)
    network.wire = Wire()
    for client in clients:
        network.say(client, f"the last of {client.conversation.nickname.decode()}")
    network.run(10.0)


def check(network: Network, clients: list[Client], said: list[str]) -> None:
    """Nothing twice, and what is missing is told."""
    handed_on = [text for _, _, text in network.spoken]
    assert {title for _, title, _ in network.spoken} == {"Weather"}
    assert len(handed_on) == len(set(handed_on))
    for client in clients:
        texts = client.texts()
        assert len(texts) == len(set(texts)), "shown twice"
        assert client.conversation.forged == 0
        since = network.spoken[client.begins["Weather"] :]
        now = [text for epoch, _, text in since if epoch == network.epoch]
        missing = set(now) - set(texts)
        assert len(missing) <= client.lost("Weather"), missing
    told = set().union(*(client.not_sent() for client in clients))
    assert set(said) - set(handed_on) <= told


@FEW
@given(SEEDS)
def test_nothing_is_shown_twice_and_what_is_missing_is_told(seed: int) -> None:
    network, clients = logged_in(seed)
    said = talk(network, clients, "m")
    settle(network, clients)
    check(network, clients, said)
    assert network.gone == []


@FEW
@given(SEEDS, st.booleans(), st.sampled_from([None, 2028]))
def test_after_a_restart_all_are_back_within_two_signs_of_life(
    seed: int, keeps_secret: bool, group_port: int | None
) -> None:
    network, clients = logged_in(seed, group_port)
    said = talk(network, clients, "before ")
    network.boot(keeps_secret=keeps_secret)
    said += talk(network, clients, "after ", 5)
    network.run(2 * ALIVE_SECONDS)
    assert {client.phase for client in clients} == {Phase.IN}
    assert network.members("weather") == network.members("pets") == set(NAMES)
    settle(network, clients)
    check(network, clients, said)
    for client in clients:
        logins = client.of(LoggedIn)
        assert [one.is_again for one in logins[:2]] == [False, True]
        assert sum(one.has_missed for one in logins) == 1
        assert client.conversation.channels[0].title == b"Weather"


@FEW
@given(SEEDS, st.floats(1.0, 200.0))
def test_a_server_that_was_down_for_a_while_is_entered_again(seed: int, seconds: float) -> None:
    network, clients = logged_in(seed)
    network.is_up = False
    said = talk(network, clients, "down ", 3)
    network.run(seconds)
    network.boot()
    network.run(2 * ALIVE_SECONDS)
    assert network.members("weather") == set(NAMES)
    settle(network, clients)
    check(network, clients, said)


@FEW
@given(SEEDS, st.floats(1.0, 60.0))
def test_a_network_that_was_cut_for_a_while_costs_nobody_a_place(seed: int, seconds: float) -> None:
    network, clients = logged_in(seed)
    said = talk(network, clients, "before ")
    network.wire = Wire(loss=1.0)
    said += talk(network, clients, "cut ", 3)
    network.run(seconds)
    network.wire = BAD
    network.run(2 * ALIVE_SECONDS)
    settle(network, clients)
    check(network, clients, said)
    assert network.gone == []
    assert {client.phase for client in clients} == {Phase.IN}


@settings(max_examples=5)
@given(SEEDS)
def test_nobody_who_is_silent_is_logged_off(seed: int) -> None:
    network, clients = logged_in(seed)
    network.run(1800.0)
    assert network.gone == []
    assert network.members("weather") == set(NAMES)
    for client in clients:
        assert not client.has_missed


@FEW
@given(SEEDS, st.booleans(), st.sampled_from([None, 2028]))
def test_what_is_said_is_said_in_the_channel_that_was_joined_before(
    seed: int, is_restarted: bool, group_port: int | None
) -> None:
    network, clients = logged_in(seed, group_port)
    titles = {client.conversation.nickname: "Weather" for client in clients}
    for number in range(40):
        client = network.chance.choice(clients)
        talk = client.conversation
        if network.chance.random() < 0.3:
            titles[talk.nickname] = network.chance.choice(["Weather", "Pets", "Gardening"])
            network.do(client, talk.join(titles[talk.nickname].upper(), network.now))
        network.say(client, f"{titles[talk.nickname]} {number}")
        network.run(network.chance.random() * 0.4)
        if is_restarted and number == 20:
            network.boot()
    network.run(2 * ALIVE_SECONDS)
    assert all(text.startswith(f"{title} ") for _, title, text in network.spoken)
    told = set().union(*(client.not_sent() for client in clients))
    assert len({text for _, _, text in network.spoken} | told) == 40
    for client in clients:
        assert (
            client.conversation.channels[0].title.decode() == titles[client.conversation.nickname]
        )


def test_many_who_talk_come_back_after_a_restart_within_two_signs_of_life_and_not_at_once() -> None:
    network = Network(1, BAD)
    clients = [network.join(f"user{number}", "pets", "weather") for number in range(100)]
    network.run(60.0)
    network.boot()
    del network.opened[:]
    for client in clients[:50]:  # the others notice when it is time for their sign of life
        network.say(client, "hi")
    network.run(2 * ALIVE_SECONDS)
    assert len(network.members("weather")) == len(network.members("pets")) == 100
    assert {client.phase for client in clients} == {Phase.IN}
    most = max(sum(at <= one < at + 0.2 for one in network.opened) for at in network.opened)
    assert most <= 20, "too many within a fifth of a second"


def at_old(seed: int, wire: Wire = BAD) -> tuple[Network, list[Client]]:
    """Three who are in a channel of a server as the tutorial has it."""
    network = Network(seed, wire, old=OldServer())
    clients = [network.join(name, "pets", "weather") for name in NAMES]
    network.run(60.0)
    assume({len(client.conversation.channels) for client in clients} == {2})  # or it was told
    assert network.members("weather") == network.members("pets") == set(NAMES)
    return network, clients


def check_old(network: Network, clients: list[Client], said: list[str]) -> None:
    """An old server numbers nothing: what others have said and what does not come nobody can know.
    What we have said, we do."""
    handed_on = {text for _, _, text in network.spoken}
    for client in clients:
        texts = client.texts()
        assert len(texts) == len(set(texts)), "shown twice"
    told = set().union(*(client.not_sent() for client in clients))
    assert set(said) - handed_on <= told


@FEW
@given(SEEDS)
def test_at_an_old_server_nothing_is_shown_twice_and_what_is_not_sent_is_told(seed: int) -> None:
    network, clients = at_old(seed)
    said = talk(network, clients, "m")
    settle(network, clients)
    check_old(network, clients, said)
    assert network.gone == []
    assert network.members("weather") == set(NAMES)


@FEW
@given(SEEDS)
def test_after_a_restart_of_an_old_server_all_are_back_within_two_signs_of_life(seed: int) -> None:
    network, clients = at_old(seed)
    network.wire = Wire(doubles=BAD.doubles, late=BAD.late)  # what is lost it does not confirm
    said = talk(network, clients, "before ", 5)
    network.boot()
    said += talk(network, clients, "after ", 5)
    network.run(2 * ALIVE_SECONDS)
    assert network.members("weather") == network.members("pets") == set(NAMES)
    settle(network, clients)
    check_old(network, clients, said)
    for client in clients:
        assert [one.is_again for one in client.of(LoggedIn)] == [False, True]
        assert len(client.conversation.channels) == 2


@settings(max_examples=5)
@given(SEEDS)
def test_nobody_who_is_silent_is_logged_off_by_an_old_server(seed: int) -> None:
    network, clients = at_old(seed)
    for _ in range(60):
        two_lost = network.chance.random() < 0.3  # of three signs of life in a row
        network.wire = Wire(loss=1.0) if two_lost else Wire()
        network.run(2 * ALIVE_SECONDS if two_lost else ALIVE_SECONDS)
        network.wire = Wire()
        network.run(ALIVE_SECONDS)
    assert network.gone == []
    assert {client.phase for client in clients} == {Phase.IN}
