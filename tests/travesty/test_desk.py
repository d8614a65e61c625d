"""What the connections of a travesty service share."""

from __future__ import annotations

import sys

import pytest_twisted

from sockd.travesty.model import Travesty
from tests.helpers import until
from tests.services.travesty_peers import Peer, busy_threads, served


@pytest_twisted.ensureDeferred
async def test_any_number_of_clients_may_leave_while_their_texts_wait_to_be_sorted() -> None:
    async with served() as instance:
        desk = instance.context.shared
        with busy_threads():
            texts: list[Travesty] = []
            for _ in range(sys.getrecursionlimit()):
                text = desk.new()
                text.add(b"a b c")
                assert desk.has_room(text)
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
