"""Every kind that sends unasked: who joins its group hears it, and what it is sent it drops."""

from __future__ import annotations

import socket

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from sockd.testing.samples import matches
from sockd.testing.sockets import TIMEOUT, serve
from tests.contract.samples import SENDERS
from tests.helpers import FOUND, make_world, until
from tests.memory import NOON, REACTOR, Wall

GROUP = "224.225.226.227"
KINDS = sorted(name for name, kind in FOUND.kinds.items() if kind.sender)


@pytest.mark.parametrize("kind", KINDS)
def test_every_sender_has_a_sample(kind: str) -> None:
    assert kind in SENDERS, f"tests/contract/samples.py has nothing that {kind} sends"


@pytest.mark.parametrize("kind", KINDS)
@pytest_twisted.ensureDeferred
async def test_a_sender_is_heard_by_who_joins_its_group(kind: str) -> None:
    wall = Wall(NOON + 0.9)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.settimeout(TIMEOUT)
        listener.bind((GROUP, 0))
        joined = socket.inet_aton(GROUP) + socket.inet_aton("127.0.0.1")
        listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
        listen = f"multicast:{GROUP}:{listener.getsockname()[1]}:interface=127.0.0.1"
        async with serve(kind, listen, host=make_world(REACTOR, wall=wall)) as instance:
            wall.now = NOON + 1  # its first beat
            heard, sender = await deferToThread(listener.recvfrom, 65536)
        assert sender[0] == "127.0.0.1"
        assert matches(SENDERS[kind], heard), heard
        assert instance.context.guard.counts["datagrams_out"] == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest_twisted.ensureDeferred
async def test_a_sender_drops_what_it_is_sent(kind: str) -> None:
    async with serve(kind, f"multicast:{GROUP}:2070:interface=127.0.0.1") as instance:
        port = instance.listeners[0].port.socket.getsockname()[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.1", 0))
            stranger.sendto(b"hello", ("127.0.0.1", port))
            counts = instance.context.guard.counts
            await until(lambda: counts["datagrams_in"] == 1)
        assert counts["datagrams_out"] == 0
