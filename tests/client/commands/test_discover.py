"""`sock discover`: its options, and names that come late or never."""

from __future__ import annotations

import threading

import pytest
import pytest_twisted

from sockd.client.asking import Asking
from sockd.client.commands.discover import MOST_LOOKUPS, Names, make_token
from sockd.client.lan.discovery import Host
from sockd.client.process import Run
from sockd.testing.running import running_reactor
from tests.client.running import sock
from tests.processes import PATIENCE


def names(look: object) -> Names:
    run = Run(running_reactor(), Asking(), lambda _: None)
    return Names(run, look)  # type: ignore[arg-type]  # as each test has it


@pytest_twisted.ensureDeferred
async def test_a_host_has_the_name_that_is_told() -> None:
    told = {"10.0.0.1": "alpha.example.", "10.0.0.2": "evil\n10.9.9.9  echo"}
    made = names(lambda address: told[address])
    hosts = [Host(address) for address in told]
    for host in hosts:
        made.look_up(host)
    await made.done()
    assert [host.name for host in hosts] == ["alpha.example", ""]


@pytest_twisted.ensureDeferred
async def test_an_address_that_nobody_knows_has_no_name() -> None:
    def fails(_: str) -> str:
        raise OSError("nobody knows")

    made = names(fails)
    host = Host("10.0.0.1")
    made.look_up(host)
    await made.done()
    assert host.name == ""


@pytest_twisted.ensureDeferred
async def test_names_that_hang_are_not_waited_for_and_take_few_threads() -> None:
    is_over = threading.Event()
    asked: list[str] = []

    def hangs(address: str) -> str:
        asked.append(address)
        is_over.wait(PATIENCE)
        return "late"

    made = names(hangs)
    hosts = [Host(f"10.0.0.{number}") for number in range(1, 10)]
    for host in hosts:
        made.look_up(host)
    try:
        await made.done()  # returns, though nothing is told
        made.close()
        assert len(asked) <= MOST_LOOKUPS
    finally:
        is_over.set()
    assert not any(host.name for host in hosts)


def test_a_token_is_new_each_time_and_another_one_backwards() -> None:
    tokens = {make_token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert all(token.isalnum() and token != token[::-1] for token in tokens)


@pytest.mark.parametrize("way", ["nowhere", "192.0.2.77"])
def test_an_interface_that_is_not_there_is_a_mistake(way: str) -> None:
    done = sock("discover", "-I", way)
    assert done.code == 2
    assert way in done.err
    assert done.out == b""


def test_options_that_mean_nothing_here_are_not_there() -> None:
    help_text = " ".join(sock("discover", "--help").out.decode().split())
    assert "then for an answer (2 s)." in help_text
    for option in ("--count", "--retries", "--interval", "--all-addresses", "--port", "--udp"):
        assert option not in help_text
