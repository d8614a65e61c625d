"""What the connections of a travesty service share."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from typing import Any

import pytest_twisted

from sockd.travesty.desk import LEAST_MEMORY
from sockd.travesty.model import BYTES_A_UNIQUE_WORD, BYTES_A_WORD, Travesty
from sockd.travesty.uploads import BLOCK_BYTES
from tests.helpers import make_context, until
from tests.services.travesty_peers import ENDLESS, Peer, busy_threads, served


@pytest_twisted.ensureDeferred
async def test_any_number_of_clients_may_leave_while_their_texts_wait_to_be_sorted() -> None:
    async with served() as instance:
        desk = instance.context.shared
        with busy_threads():
            texts: list[Travesty] = []
            for _ in range(sys.getrecursionlimit()):
                text = desk.new()
                assert desk.learn(text, b"a b c")
                desk.finish(text)
                texts.append(text)
            for text in texts[1:]:
                desk.forget(text)
        await until(lambda: len(desk._texts) == 1)
        assert not any(text.pairs for text in texts[1:])
        desk.forget(texts[0])
        peer = Peer(instance)
        with peer.socket:
            await peer.codes(100)
            await peer.learn()
            await peer.bye()


def test_many_texts_take_more_than_their_memory_by_one_block_at_most() -> None:
    desk = make_context("travesty", memory=int(LEAST_MEMORY)).shared
    block = b" ".join(b"%04d" % number for number in range(BLOCK_BYTES // 5))
    most = BLOCK_BYTES // 5 * (BYTES_A_WORD + BYTES_A_UNIQUE_WORD) + len(block)
    texts = [desk.new() for _ in range(100)]
    learnt = [desk.learn(text, block) for text in texts]
    assert any(learnt)
    assert not learnt[-1]
    assert sum(text.memory for text in texts) == desk._taken <= LEAST_MEMORY + most
    assert [bool(text.words) for text in texts] == learnt
    for text in texts:
        desk.forget(text)
    assert desk.learn(texts[-1], block)


@pytest_twisted.ensureDeferred
async def test_texts_that_are_made_up_and_not_read_leave_half_of_the_memory_to_others() -> None:
    async with served(memory=int(LEAST_MEMORY)) as instance, AsyncExitStack() as stack:
        desk = instance.context.shared
        lent: list[int] = []
        lend = desk.lend

        def written_down(size: int) -> bool:
            lent.append(size)
            return bool(lend(size))

        desk.lend = written_down
        for _ in range(5):
            peer = Peer(instance)
            stack.enter_context(peer.socket)
            await peer.codes(100)
            await peer.learn()
            peer.send(ENDLESS)
        await until(lambda: len(lent) >= 5)
        sessions: Any = instance.guard.sessions
        await until(lambda: all(session.is_blocked for session in sessions))
        assert min(lent) < desk._taken <= LEAST_MEMORY // 2
        assert sum(lent) > LEAST_MEMORY // 2
        text = desk.new()
        assert desk.learn(text, b"a b c")
        desk.forget(text)
