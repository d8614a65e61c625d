"""What the connections of a travesty service share."""

from __future__ import annotations

import sys

import pytest_twisted

from sockd.travesty.desk import LEAST_MEMORY
from sockd.travesty.model import BYTES_A_UNIQUE_WORD, BYTES_A_WORD, Travesty
from sockd.travesty.uploads import BLOCK_BYTES
from tests.helpers import make_context, until
from tests.services.travesty_peers import Peer, busy_threads, served


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
