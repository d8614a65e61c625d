"""To try a start is to bind all at once, and to let all of it go again."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

from sockd.daemon.trial import try_binding, try_new
from tests.daemon.running import LOOPBACK, says, settings
from tests.processes import NOBODY, free_port


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


def test_a_socket_file_that_cannot_be_given_to_a_group_is_found_and_stays_as_it_is() -> None:
    with tempfile.TemporaryDirectory() as name, socket.socket(socket.AF_UNIX) as sock:
        Path(name).chmod(0o755)
        path = f"{name}/file"
        sock.bind(path)
        os.chown(path, NOBODY, NOBODY)
        before = Path(path).stat()
        runs, wanted = says(f"unix:{path}"), says(f"unix:{path}:group=33", name="renamed")
        os.seteuid(NOBODY)
        try:
            [reason] = try_new(settings(runs), settings(wanted))
        finally:
            os.seteuid(0)
        assert "its file cannot be given to" in reason
        assert Path(path).stat() == before
