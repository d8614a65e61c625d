"""What a limit says of when its change holds is what happens."""

from __future__ import annotations

import attrs
import pytest
from pytest_twisted import ensureDeferred

from sockd.access.limits import Limits
from sockd.options.option import Change
from tests.daemon.running import LOOPBACK, apply, daemon_of, listeners, says


@pytest.mark.parametrize("name", ["required", "receive_buffer", "drain"])
def test_what_holds_for_an_address_or_an_instance_changes_at_once(name: str) -> None:
    assert attrs.fields_dict(Limits)[name].metadata["change"] is Change.NOW


@ensureDeferred
async def test_a_change_of_these_leaves_the_sockets_and_is_what_the_instance_has() -> None:
    text = f"udp:0:{LOOPBACK}"
    async with daemon_of(says(text)) as daemon:
        before = listeners(daemon)
        apply(daemon, says(text, required=False, receive_buffer="64k", drain="9s"))
        assert listeners(daemon) == before
        [(_, instance)] = daemon.instances
        found = instance.context.limits
        assert not found.required
        assert (int(found.receive_buffer), float(found.drain)) == (65536, 9.0)
