"""R8: the disk of the log is full: everybody is served, one warning, later how much was lost."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import pytest

from tests.processes import SOCKD, free_port, running, tcp_says, wait_until

DISK = 192 * 1024
COMPLAINT = "sockd: the log cannot be written: No space left on device"


def fill(path: Path) -> None:
    """Write until nothing fits any more."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1024))
    assert not os.statvfs(path).f_bfree


def events_of(path: Path) -> list[dict[str, object]]:
    """The whole lines of a log."""
    text = path.read_text("utf-8")
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


@pytest.mark.parametrize("size", ["off", "64k"])
def test_a_full_disk_stops_nobody_is_warned_of_once_and_counted(tmp_path: Path, size: str) -> None:
    port = free_port()
    disk = tmp_path / "disk"
    disk.mkdir()
    settings = {
        "sockd.log_file": f"{disk}/log",
        "sockd.log_format": "json",
        "sockd.log_max_size": size,
        "service.daytime.listen": f'["tcp:{port}:interface=127.0.0.1"]',
    }
    argv = [
        SOCKD,
        "run",
        "--only=daytime",
        *(f"--set={key}={one}" for key, one in settings.items()),
    ]
    mount = f'mount -t tmpfs -o size={DISK} tmpfs {disk} && exec "$@"'
    with running(["unshare", "--mount", "sh", "-c", mount, "sh", *argv], cwd=tmp_path) as daemon:
        # what is mounted there is seen by the daemon alone
        inside = Path(f"/proc/{daemon.pid}/root{disk}")
        log = inside / "log"
        wait_until(lambda: log.exists() and '"started"' in log.read_text("utf-8"), "it serves")
        fill(inside / "filler")
        for _ in range(200):
            assert tcp_says(port)
        daemon.wait_for(COMPLAINT)
        written = log.stat().st_size
        for _ in range(20):
            assert tcp_says(port)
        assert log.stat().st_size - written < os.sysconf("SC_PAGE_SIZE")
        (inside / "filler").unlink()
        assert tcp_says(port)
        wait_until(lambda: '"log-lost"' in log.read_text("utf-8"), "it is told")
        assert tcp_says(port)
        [lost] = [one for one in events_of(log) if one["event"] == "log-lost"]
        assert (lost["level"], lost["reason"]) == ("warn", "log_unwritten")
        assert isinstance(lost["lines"], int)
        assert 40 <= lost["lines"] <= 442  # two of each connection
        assert daemon.stop() == 0
    assert daemon.text().count("sockd: ") == 1
