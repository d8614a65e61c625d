"""Our client of the chat with old servers: with and without groups, and beside old clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import namespace, run, two_hosts
from tests.processes import BIN, finish, running
from tests.real.old_chat import SERVER, lo_has_groups, new, old, old_server, perl


@pytest.fixture
def host() -> Iterator[str]:
    """A host of its own with groups."""
    with namespace() as name:
        lo_has_groups(name)
        yield name


@pytest.mark.parametrize("is_", [(), ("timed",)], ids=["plain", "timed"])
def test_all_that_our_client_can_do_is_done_by_an_old_server(is_: tuple[str, ...]) -> None:
    with old_server(*is_) as (port, _), old("rufus", port) as rufus, new("anna", port) as anna:
        anna.says("hello").hears(
            "** you are in no channel: /join one, /channels lists them", "!! not sent: hello"
        )
        anna.says("/join weather").hears("-- you are in Weather (1 user)")
        rufus.says("/join weather").hears("joined Weather, 2 there")
        anna.says("hello all").hears("[Weather] anna: hello all")
        rufus.hears("[Weather] anna: hello all")
        rufus.says("hello anna").hears("[Weather] rufus: hello anna")
        anna.hears("[Weather] rufus: hello anna")
        rufus.says("/private anna psst")
        anna.hears("[private] rufus: psst")
        anna.says("/private rufus psst back").hears("[private] to rufus: psst back")
        rufus.hears("[private] anna: psst back")
        anna.says("/private nobody hi").hears("[private] to nobody: hi", "** nobody is not here")
        anna.says("/channels").hears(
            "   Pets                   0 users  of cats and dogs",
            "   Weather                2 users  of rain and sun",
        )
        anna.says("/users")
        assert [anna.line().split()[::2] for _ in range(2)] == [
            ["anna", "Weather"],
            ["rufus", "Weather"],
        ]
        anna.says("/join nowhere").hears("** there is no nowhere")
        anna.says("/join pets").hears("-- you are in Pets (1 user)")
        anna.says("/part").hears("-- you have left Pets", "-- you are in Weather (2 users)")
        rufus.says("/part").hears("left Weather, 1 there")
        anna.hears("-- rufus has left Weather")
        anna.says("/login berta").hears("-- logged in as berta", "-- you are in Weather (1 user)")
        anna.says("/quit").hears("-- logged off").ends(1)  # as something was not sent
        rufus.says("/join weather").hears("joined Weather, 1 there")


def test_a_nickname_that_an_old_server_has_given_away_is_refused(tmp_path: Path) -> None:
    with old_server() as (port, _), old("rufus", port):
        argv = [str(BIN / "sock"), "chat", "--nick", "rufus", f"127.0.0.1:{port}"]
        done = finish(argv, environment={"XDG_STATE_HOME": str(tmp_path)})
        assert (done.returncode, done.stdout) == (1, b"")
        assert done.stderr.endswith(b": somebody has that name\n")


@pytest.mark.parametrize("untold", [(), ("untold",)], ids=["told", "untold"])
def test_what_an_old_server_sends_to_groups_is_heard_by_several_clients_on_one_host(
    host: str, untold: tuple[str, ...]
) -> None:
    with (
        old_server("groups=2028", *untold, host=host) as (port, _),
        new("anna", port, host=host) as anna,
        new("bert", port, host=host) as bert,
        new("carl", port, host=host) as carl,
    ):
        anna.says("/join weather").hears("-- you are in Weather (1 user)")
        bert.says("/join weather").hears("-- you are in Weather (2 users)")
        carl.says("/join pets").hears("-- you are in Pets (1 user)")
        anna.says("rain").hears("[Weather] anna: rain")
        bert.hears("[Weather] anna: rain")
        carl.says("cats").hears("[Pets] carl: cats").says("/channels").hears(
            "   Pets                    1 user  of cats and dogs",
            "   Weather                2 users  of rain and sun",
        )
        bert.says("/part").hears("-- you have left Weather")
        anna.says("/private bert psst").hears("[private] to bert: psst")
        bert.hears("[private] anna: psst").says("/join pets").hears("-- you are in Pets (2 users)")
        anna.says("sun").hears("[Weather] anna: sun").says("/quit")
        carl.says("dogs").hears("[Pets] carl: dogs")
        bert.hears("[Pets] carl: dogs")
        anna.hears("-- logged off").ends()


def test_a_server_on_this_host_may_send_to_groups_from_another_address_of_it() -> None:
    with two_hosts() as (host, _):
        run("ip", "-n", host, "route", "add", "225.0.0.0/8", "via", "10.77.0.2")
        with (
            old_server("groups=2028", host=host) as (port, _),
            new("anna", port, host=host) as anna,
        ):
            anna.says("/join weather").hears("-- you are in Weather (1 user)")
            anna.says("rain").hears("[Weather] anna: rain")


def test_old_clients_share_groups_of_an_old_server_with_ours(host: str) -> None:
    with (
        old_server("groups=2028", host=host) as (port, _),
        old("rufus", port, "groups", "shares", host=host) as rufus,
        new("anna", port, host=host) as anna,
    ):
        rufus.says("/join weather").hears("joined Weather, 1 there")
        anna.says("/join weather").hears("-- you are in Weather (2 users)")
        rufus.hears("[Weather] anna comes").says("rain").hears("[Weather] rufus: rain")
        anna.hears("[Weather] rufus: rain").says("sun").hears("[Weather] anna: sun")
        rufus.hears("[Weather] anna: sun")
        anna.says("/quit").hears("-- logged off").ends()
        rufus.hears("[Weather] anna goes")


def test_when_an_old_server_has_started_anew_our_client_comes_back_with_its_channels() -> None:
    with old_server() as (port, server), new("anna", port) as anna:
        anna.says("/join weather").hears("-- you are in Weather (1 user)")
        anna.says("/join pets").hears("-- you are in Pets (1 user)")
        server.process.kill()
        server.wait()
        with running(perl(SERVER, str(port))) as again:
            again.wait_for(f"^at {port}$")
            anna.says("one", "two")  # one may come too soon after the log-in to tell anything
            anna.skips_to("-- logged in again as anna; what was said last may be lost")
            anna.skips_to("-- you are in Weather (1 user)")
            anna.skips_to("-- you are in Pets (1 user)")
            anna.says("three").skips_to("[Pets] anna: three")
