"""The figures of a real daemon: over HTTP, by a command, and where the unit hides most of /proc."""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Daemon
from tests.ops.metrics.figures import of, read
from tests.processes import finish, free_port, succeed, tcp_says, wait_until

ACCEPT = {"Accept": "application/openmetrics-text; version=1.0.0"}
SUBSET = "mount -t proc -o subset=pid,hidepid=invisible proc /proc && exec "
"""As ProcSubset=pid and ProtectProc=invisible of the unit."""


def configuration() -> tuple[str, int, int]:
    """Its text, and the ports of the figures and of an echo."""
    metrics, echo = free_port(), free_port()
    text = (
        f'[service.metrics]\nlisten = ["tcp:{metrics}:interface=127.0.0.1"]\n'
        f'[service.echo]\nlisten = ["tcp:{echo}:interface=127.0.0.1", '
        f'"udp:{echo}:interface=127.0.0.1"]\n'
    )
    return text, metrics, echo


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, int, int]]:
    text, metrics, echo = configuration()
    with Daemon(tmp_path_factory.mktemp("metrics"), text) as daemon:
        yield daemon, metrics, echo


def fetch(
    connection: http.client.HTTPConnection, method: str = "GET", path: str = "/metrics"
) -> tuple[int, str, bytes]:
    connection.request(method, path, headers=ACCEPT)
    response = connection.getresponse()
    return response.status, response.headers["Content-Type"], response.read()


def asked(daemon: Daemon, *options: str) -> str:
    command = (sys.executable, "-m", "sockd.cli", "metrics")
    return succeed(*command, "--control", daemon.runtime / "control.sock", *options)


def test_prometheus_reads_them_over_a_connection_that_stays(
    started: tuple[Daemon, int, int],
) -> None:
    _, port, echo = started
    assert tcp_says(echo, b"hello") == b"hello"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    status, kind, text = fetch(connection)
    assert (status, kind.partition(";")[0]) == (200, "application/openmetrics-text")
    assert of(read(text), "sockd_connections", service="metrics", transport="tcp") == 1
    assert fetch(connection, "HEAD")[::2] == (200, b"")
    assert fetch(connection, path="/")[::2] == (404, b"Not Found: the figures are at /metrics\n")
    assert fetch(connection)[0] == 200
    connection.close()


def test_promtool_finds_nothing_to_say_of_them(started: tuple[Daemon, int, int]) -> None:
    _, port, _ = started
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read()
    connection.close()
    done = finish(["promtool", "check", "metrics"], stdin=text)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_command_prints_what_is_so_now(started: tuple[Daemon, int, int]) -> None:
    daemon, _, echo = started
    before = of(read(asked(daemon).encode()), "sockd_connections_opened_total", service="echo")
    assert tcp_says(echo, b"hello") == b"hello"
    after = [
        one["value"]
        for one in json.loads(asked(daemon, "--json"))["samples"]
        if one["name"] == "sockd_connections_opened_total" and one["labels"]["service"] == "echo"
    ]
    assert sum(after) == before + 1


def test_the_lag_of_the_loop_is_measured_while_it_runs(started: tuple[Daemon, int, int]) -> None:
    daemon, _, _ = started
    before = of(read(asked(daemon).encode()), "sockd_loop_lag_seconds_count")

    def has_grown() -> bool:
        return of(read(asked(daemon).encode()), "sockd_loop_lag_seconds_count") > before

    wait_until(has_grown, "the lag is measured")


def test_the_process_tells_its_figures_where_the_rest_of_proc_is_not_to_be_seen(
    tmp_path: Path,
) -> None:
    text, _, _ = configuration()
    prefix = ("unshare", "--mount", "sh", "-c", f'{SUBSET}"$@"', "sh")
    before = time.time()
    with Daemon(tmp_path, text, prefix=prefix) as daemon:
        found = read(asked(daemon).encode())
        assert of(found, "process_threads") >= 1
        assert of(found, "process_open_fds") >= 5
        assert of(found, "process_max_fds") > 5
        assert of(found, "process_cpu_seconds_total") > 0
        assert of(found, "process_virtual_memory_bytes") > 10_000_000
        assert of(found, "process_resident_memory_bytes") > 10_000_000
        began = of(found, "process_start_time_seconds")
        # the kernel counts it in ticks of its own
        assert before - 1 <= began <= time.time() + 1
