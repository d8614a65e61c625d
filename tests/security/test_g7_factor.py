"""G7: the worker for large numbers belongs to no source alone, nor to clients that have left."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from sockd.services.factor import LOOK_SECONDS
from tests.daemons import Daemon, two_hosts
from tests.processes import PATIENCE
from tests.security.hosts import Watched, add_addresses, connect, udp

CONFIG = """
[service.factor]
max_digits = 95
deadline = "{deadline}"
reply_burst = 1000
listen = ["tcp:0:interface=10.77.0.1", "udp:0:interface=10.77.0.1"]
"""
HARD = b"%d\n" % (
    300000000000000141592653589793238462643383319 * 700000000000000271828182845904523536028747351
)
"""Two primes of 45 digits: minutes of work."""
LARGE, FACTORS = b"147573952589676412927\n", b"193707721 761838257287\r\n"
"""2^67 - 1, which the worker factors at once."""
ATTACKERS = [f"10.77.0.{number}" for number in range(10, 14)]
VICTIM = "10.77.0.100"


class Factoring(Watched):
    """A daemon that may keep its worker."""

    spare_descriptors = 4


def ask(sock: socket.socket, number: bytes) -> None:
    """Ask for the factors of a number."""
    sock.sendall(number)


@pytest.mark.parametrize("sources", [1, 4])
def test_twenty_clients_of_each_attacker_do_not_keep_another_source_from_the_worker(
    sources: int, tmp_path: Path
) -> None:
    """It waits for one number of each of them, and is told that it is busy never."""
    with two_hosts() as (host, other), ExitStack() as stack:
        add_addresses(other, [*ATTACKERS, VICTIM])
        text = CONFIG.format(deadline="1s")
        daemon = stack.enter_context(Factoring(tmp_path, text, namespace=host))
        address = daemon.address("factor", "tcp")
        for source in ATTACKERS[:sources]:
            for _ in range(20):
                ask(stack.enter_context(connect(other, address, source)), HARD * 1000)
        stormy = udp(other, ("10.77.0.2", 0))
        stack.enter_context(stormy)
        for _ in range(100):
            stormy.sendto(HARD, daemon.address("factor", "udp"))
        victim = stack.enter_context(connect(other, address, VICTIM))
        answer = b""
        while answer != FACTORS:
            ask(victim, LARGE)
            answer = victim.recv(1000)
            # on a host that is slow to start the worker a second may be over by then
            assert answer in (FACTORS, b"error: not done within 1s\r\n")
        stack.close()


def test_clients_that_have_closed_give_the_worker_back_to_others_of_their_address(
    tmp_path: Path,
) -> None:
    """An ordinary close, which no reset tells: and a number may take a minute here."""
    with two_hosts() as (host, other), ExitStack() as stack:
        text = CONFIG.format(deadline="1m")
        # not watched to the end: while nobody else asks, who has closed may still read
        daemon = stack.enter_context(Daemon(tmp_path, text, namespace=host))
        address = daemon.address("factor", "tcp")
        gone = [connect(other, address) for _ in range(17)]
        for sock in gone:
            ask(sock, b"42\n")
            assert sock.recv(100) == b"2 3 7\r\n"
            ask(sock, HARD)
        late = stack.enter_context(connect(other, address))
        # it has looked at them: it does so each second, and answers behind that
        until = time.monotonic() + 2 * LOOK_SECONDS
        while time.monotonic() < until + LOOK_SECONDS:
            ask(late, LARGE)
            assert late.recv(100) == b"error: busy\r\n"
            late.settimeout(PATIENCE)
        for sock in gone:
            sock.close()
        answer = b""
        while answer != FACTORS:
            ask(late, LARGE)
            answer = late.recv(100)
            assert answer in (FACTORS, b"error: busy\r\n")
        for _ in range(3):
            ask(late, LARGE)
            assert late.recv(100) == FACTORS
        late.close()
        stack.close()
