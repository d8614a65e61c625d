"""travesty: an instance that stops, whatever its clients do."""

from __future__ import annotations

import pytest
import pytest_twisted

from sockd.services.travesty import Stage
from sockd.testing.sockets import serve
from tests.services.travesty_peers import (
    ENDLESS,
    LISTEN,
    TEXT,
    UPLOAD,
    Peer,
    busy_threads,
    until_nothing_is_left,
)

SAID = {
    Stage.COMMANDS: b"",
    Stage.UPLOAD: b"DATA\r\n" + TEXT,
    Stage.SORTING: UPLOAD + b"RESET\r\n",
    Stage.TEXT: ENDLESS + b"RESET\r\n",
}


@pytest.mark.parametrize("is_urgent", [False, True])
@pytest.mark.parametrize("stage", list(Stage))
@pytest_twisted.ensureDeferred
async def test_an_instance_that_stops_in_any_stage_leaves_nothing(
    stage: Stage, is_urgent: bool
) -> None:
    async with serve("travesty", LISTEN) as instance:
        peer = Peer(instance)
        with peer.socket:
            await peer.codes(100)
            await peer.learn()
            with busy_threads():
                peer.send(SAID[stage])
                await peer.until_stage(stage)
                if is_urgent:
                    peer.urge()
                stopped = instance.stop()
            await stopped
    await until_nothing_is_left(instance)
