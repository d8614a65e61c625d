"""To try a start is to bind all at once, and to let all of it go again."""

from __future__ import annotations

from pathlib import Path

from sockd.daemon.trial import try_binding
from tests.daemon.running import LOOPBACK, says, settings
from tests.processes import free_port


def test_addresses_that_stand_in_each_others_way_are_found_and_nothing_is_left(
    tmp_path: Path,
) -> None:
    port = free_port()
    wanted = settings(
        says(f"tcp:{port}:{LOOPBACK}", f"unix:{tmp_path}/file"),
        says(f"tcp:{port}", f"unix:{tmp_path}/file", name="second"),
    )
    for _ in range(2):
        assert try_binding(wanted) == [
            f"second: cannot listen on tcp 0.0.0.0:{port}: address in use, held by this daemon",
            f"second: cannot listen on unix {tmp_path}/file: this daemon listens there already",
        ]
        assert list(tmp_path.iterdir()) == []
