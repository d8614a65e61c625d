"""The options that every command shares, and what they say together."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from sockd.client.arguments import asks
from sockd.client.asking import Asking
from sockd.client.targets import Transport

heard: list[Asking] = []


@click.command()
@click.argument("words", nargs=-1)
@asks(
    Transport.TCP,
    Transport.UDP,
    Transport.TLS,
    Transport.UNIX,
    Transport.UNIXGRAM,
    has_size=True,
)
def command(asking: Asking, words: tuple[str, ...]) -> None:
    """Listen to the options."""
    heard.append(asking)
    click.echo(" ".join(words))


@click.command()
@asks(Transport.UNIXGRAM, Transport.UDP)
def local(asking: Asking) -> None:
    """Datagrams only."""
    heard.append(asking)


@click.command()
@click.option("--unix", "path", default="")
@asks(has_tls=True)
def by_url(asking: Asking) -> None:
    """No transport of its own, as `http`."""
    heard.append(asking)


def say(*arguments: str, to: click.Command = command) -> Asking:
    done = CliRunner().invoke(to, arguments)
    assert done.exit_code == 0, done.output
    return heard.pop()


def mistake(*arguments: str) -> str:
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 2, done.output
    return done.output


def test_the_letters_are_those_of_ping() -> None:
    asking = say("-c3", "-i", "0.2", "-W", "500ms", "-w", "1m", "-s", "64", "-I", "eth0", "-nqJ4")
    assert (asking.count, asking.interval, asking.wait, asking.deadline) == (3, 0.2, 0.5, 60.0)
    assert (asking.size, asking.interface, asking.family) == (64, "eth0", 4)
    assert (asking.is_numeric, asking.is_quiet, asking.as_json) == (True, True, True)


def test_without_options_the_first_transport_is_used() -> None:
    assert say().transport == Transport.TCP
    assert say(to=local).transport == Transport.UNIXGRAM


def test_a_flag_chooses_the_transport() -> None:
    assert say("--udp").transport == Transport.UDP
    assert say("--tls").transport == Transport.TLS
    assert say("--unix", "/run/a").transport == Transport.UNIX
    assert say("--unix", "/run/a").path == "/run/a"
    assert say("--unix", "/run/a", to=by_url).transport == Transport.UNIX


def test_a_socket_file_of_datagrams_is_unix_and_udp_together() -> None:
    assert say("--unix", "/run/a", "--udp").transport == Transport.UNIXGRAM
    assert say("--unix", "/run/a", to=local).transport == Transport.UNIXGRAM


def test_help_tells_what_the_wait_is_for_and_how_often_there_is_one() -> None:
    told = " ".join(CliRunner().invoke(command, ["--help"]).output.split())
    assert "Wait so long to get there, then for an answer (4 s)." in told
    assert "Ask again where no answer came; each try has its own -W." in told
    assert "Time between two questions; without -c they go on until ^C or -w." in told


def test_what_stands_behind_two_dashes_is_data() -> None:
    done = CliRunner().invoke(command, ["-4", "--", "-6", "--udp"])
    assert done.output == "-6 --udp\n"
    assert heard.pop().family == 4


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--udp --tls", "--udp and --tls exclude each other"),
        ("--unix /x --tls", "--unix and --tls exclude each other"),
        ("-4 -6", "-4 and -6 exclude each other"),
        ("-W 0", "-W 0 leaves no time"),
        ("--json --check", "--json and --check both want standard output"),
        ("--json --prometheus -", "--json and --prometheus - both want standard output"),
        ("--warn rtt_avg=1", "--warn and --crit are for --check"),
        ("--ca x", "are for --tls"),
        ("--insecure --ca x --tls", "--insecure takes any certificate"),
        ("-c 0", "-c"),
        ("-i often", "expected a duration"),
        ("-s many", "-s"),
        ("--port 0", "--port"),
        ("-W 0", "-W 0 leaves no time for an answer"),
        ("-w 0", "-w 0 leaves no time for an answer"),
        ("--unix /x --port 7", "--unix is on this host: --port does nothing there"),
        ("--unix /x -I lo", "--unix is on this host: -I does nothing there"),
        ("--unix /x -6", "--unix is on this host: -6 does nothing there"),
        ("--unix /x --all-addresses", "--unix is on this host: --all-addresses does nothing"),
    ],
)
def test_what_cannot_be_meant_is_a_mistake(arguments: str, told: str) -> None:
    assert told in mistake(*arguments.split())
