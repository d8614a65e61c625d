"""urgent: clients that misbehave: they end in the middle, do not read, or reset."""

from __future__ import annotations

import socket
from collections import Counter
from contextlib import suppress

import pytest
import pytest_twisted

from sockd.net.states import Hold
from tests.helpers import LogRecorder
from tests.services.urgent_peers import LONGEST_REPORT, served, told, turn

pytestmark = pytest.mark.usefixtures("own_runtime")


@pytest_twisted.ensureDeferred
async def test_a_client_that_ends_its_half_in_the_middle_gets_its_reports_and_the_end() -> None:
    async with served() as peer:
        peer.send(b"one")
        await peer.until_reports(1)
        peer.send_urgent()
        await peer.until_reports(2)
        peer.send(b"half a line")
        peer.end()
        assert told(await peer.until_end()) == (b"onehalf a line", b"!")


@pytest.mark.parametrize("inline", [False, True])
@pytest_twisted.ensureDeferred
async def test_who_does_not_read_is_not_read_from_and_then_told_of_everything(inline: bool) -> None:
    everything = b""
    async with served(inline=inline) as peer:
        session = await peer.until_there()
        piece = b"\0" * 16384  # its report is four times as long
        while True:
            with suppress(BlockingIOError):
                everything += piece[: peer.socket.send(piece)]
                continue
            if Hold.PEER in session.holds:
                break
            await turn()
        assert len(session.transport.dataBuffer) <= LONGEST_REPORT * 2
        reports = session.bytes_out
        # where there is no room for it, it is announced; the service looks for it no more
        with suppress(BlockingIOError):
            everything += b"!" * peer.socket.send(b"!", socket.MSG_OOB)
        await turn()
        assert session.bytes_out == reports
        peer.end()
        normal, urgent_bytes = told(await peer.until_end())
    assert normal + urgent_bytes == everything


@pytest_twisted.ensureDeferred
async def test_urgent_bytes_of_who_does_not_read_are_not_held_for_him() -> None:
    """They stay with the kernel, which has room for one; nothing grows here."""
    async with served() as peer:
        session = await peer.until_there()
        session.pauseProducing()  # as the transport does when too much waits
        peer.send(b"before")
        for byte in b"12345":
            peer.send_urgent(bytes([byte]))
        peer.send(b"behind")
        await turn()
        assert session.bytes_out == 0
        session.resumeProducing()
        peer.end()
        normal, urgent_bytes = told(await peer.until_end())
    assert (normal, urgent_bytes) == (b"before1234behind", b"5")


@pytest_twisted.ensureDeferred
async def test_who_never_reads_is_cut_off_after_a_while(log: LogRecorder) -> None:
    async with served(write_timeout="1s") as peer:
        await peer.until_there()
        piece = b"\0" * 16384
        while peer.instance.context.guard.sessions:
            with suppress(OSError):
                peer.socket.send(piece)
            await turn()
    [closed] = log.events("closed")
    assert closed["reason"].name == "write_timeout"


@pytest.mark.parametrize("blocked", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_reset_after_an_urgent_byte_leaves_nothing(blocked: bool) -> None:
    async with served() as peer:
        peer.send(b"one")
        await peer.until_reports(1)
        if blocked:
            peer.session.pauseProducing()
        peer.send_urgent()
        peer.reset()


@pytest_twisted.ensureDeferred
async def test_of_a_flood_of_urgent_bytes_each_is_told_once() -> None:
    sent = bytes(range(33, 127)) * 200
    async with served() as peer:
        at = 0
        while at < len(sent):
            with suppress(BlockingIOError):
                for byte in sent[at : at + 100]:
                    peer.send_urgent(bytes([byte]))
                    at += 1
            peer.read()
            await turn()
        peer.end()
        normal, urgent_bytes = told(await peer.until_end())
    assert urgent_bytes.endswith(sent[-1:])
    assert Counter(normal + urgent_bytes) == Counter(sent)
