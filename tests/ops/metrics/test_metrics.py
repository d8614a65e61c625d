"""The figures of a daemon: every one of the table, from 0 on, and none by an address."""

from __future__ import annotations

import io
import re
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
from attrs import evolve
from cryptography import x509
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from pytest_twisted import ensureDeferred
from twisted.internet.threads import deferToThread

from sockd.access.bans import make_ban
from sockd.access.counts import DURATIONS
from sockd.config.document import ConfigError, Mistake, Place
from sockd.config.settings import Settings
from sockd.daemon.plan import plan
from sockd.ops.log_start import make_writer
from sockd.ops.metrics.sheet import encode
from sockd.ops.metrics.table import METRICS
from sockd.ops.operations import Operations
from sockd.options.control import ControlPath
from sockd.testing import Connection, TLSConnection, address_of
from sockd.testing.sockets import listen_string
from tests.daemon.running import settings
from tests.helpers import make_settings, until
from tests.ops.metrics.figures import TCP, UDP, figures, of, one_of_each, operated
from tests.processes import free_port

pytestmark = pytest.mark.usefixtures("own_runtime")
LABELS = re.compile(r"[a-z_0-9]*|\d+(\.\d+)+\w*|\w+Reactor|\+Inf|\d+\.\d+")


@ensureDeferred
async def test_every_metric_of_the_table_is_told_with_its_labels_and_no_other(
    tls_files: tuple[Path, ...], tmp_path: Path
) -> None:
    async with operated(*one_of_each(tls_files, tmp_path)) as operations:
        text = encode(operations.metrics.sheet(), is_open=True).decode()
    found = {}
    for family in text_string_to_metric_families(text):
        suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
        metric = METRICS[family.name + suffix]
        found[metric.name] = family
        assert (family.type, family.documentation) == (metric.type, metric.help)
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == set(metric.labels), sample
    assert list(found) == list(METRICS)


@ensureDeferred
async def test_no_label_has_an_address(tls_files: tuple[Path, ...], tmp_path: Path) -> None:
    async with operated(*one_of_each(tls_files, tmp_path)) as operations:
        listener = operations.daemon.instances[0][1].listeners[0]
        with await deferToThread(Connection, address_of(listener)) as wire:
            wire.send(b"hello")
            assert await deferToThread(wire.receive, 5) == b"hello"
            found = figures(operations)
    for name, labels in found:
        for label, value in labels:
            assert LABELS.fullmatch(value), (name, label, value)


@ensureDeferred
async def test_every_series_is_there_at_0_before_anything_happens(
    tls_files: tuple[Path, ...], tmp_path: Path
) -> None:
    async with operated(*one_of_each(tls_files, tmp_path)) as operations:
        before = figures(operations)
        counted = {
            key: value
            for key, value in before.items()
            if key[0].endswith(("_total", "_bucket", "_count", "_sum")) and "process" not in key[0]
        }
        assert set(counted.values()) == {0}
        echo = operations.daemon.instances[0][1]
        for listener in echo.listeners[:3]:
            kind = TLSConnection if listener.listen.transport == "tls" else Connection
            with await deferToThread(kind, address_of(listener)) as wire:
                wire.send(b"hello")
                assert await deferToThread(wire.receive, 5) == b"hello"
        closed = "sockd_connections_closed_total"
        await until(lambda: of_all(operations, closed) == 3)
        assert figures(operations).keys() == before.keys()


def of_all(operations: Operations, name: str) -> float:
    """The sum of all series of a name."""
    return sum(value for (one, _), value in figures(operations).items() if one == name)


@ensureDeferred
async def test_a_connection_is_seen_while_it_is_open_and_when_it_has_ended() -> None:
    async with operated(make_settings("echo", [TCP], max_connections=7)) as operations:
        [listener] = operations.daemon.instances[0][1].listeners
        with await deferToThread(Connection, address_of(listener)) as wire:
            wire.send(b"hello")
            assert await deferToThread(wire.receive, 5) == b"hello"
            found = figures(operations)
            assert of(found, "sockd_connections", service="echo", transport="tcp", door="") == 1
            assert of(found, "sockd_connections_limit", service="echo") == 7
            assert of(found, "sockd_connections_opened_total", service="echo") == 1
            assert of(found, "sockd_received_bytes_total", service="echo") == 5
            assert of(found, "sockd_sent_bytes_total", service="echo") == 5
            assert of(found, "sockd_connections_closed_total", reason="done") == 0
        await until(lambda: of_all(operations, "sockd_connections") == 0)
        found = figures(operations)
        assert of(found, "sockd_connections_closed_total", reason="done") == 1
        assert of(found, "sockd_received_bytes_total", service="echo") == 5
        assert of(found, "sockd_connection_duration_seconds_count", service="echo") == 1
        assert of(found, "sockd_connection_duration_seconds_bucket", le="+Inf") == 1
        assert of(found, "sockd_connection_duration_seconds_bucket", le=str(DURATIONS[0])) <= 1


@ensureDeferred
async def test_refusals_are_told_by_their_reason() -> None:
    echo = make_settings("echo", [TCP, UDP], deny=["127.0.0.1"])
    async with operated(echo) as operations:
        stream, datagram = operations.daemon.instances[0][1].listeners
        with await deferToThread(Connection, address_of(stream)) as wire:
            assert await deferToThread(wire.receive) == b""
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.sendto(b"hello", address_of(datagram))
            await until(lambda: of_all(operations, "sockd_refused_total") == 2)
        found = figures(operations)
        for transport in ("tcp", "udp"):
            assert of(found, "sockd_refused_total", transport=transport, reason="deny") == 1


@ensureDeferred
async def test_a_reload_changes_no_figure_of_what_stays(tls_files: tuple[Path, ...]) -> None:
    echo, daytime = make_settings("echo", [TCP]), make_settings("daytime", [TCP])
    async with operated(echo, daytime) as operations:
        daemon = operations.daemon
        for _, instance in daemon.instances:
            with await deferToThread(Connection, address_of(instance.listeners[0])) as wire:
                await deferToThread(wire.end)
                await deferToThread(wire.receive)
        await until(lambda: of_all(operations, "sockd_connections") == 0)
        before = figures(operations)
        changed = make_settings("echo", [f"tcp:{free_port()}:interface=127.0.0.1"])
        daemon.apply(plan(daemon.settings, settings(evolve(changed), daytime)))
        after = figures(operations)
        assert after.keys() == before.keys()
        for key, value in before.items():
            if key[0].startswith("sockd") and key[0].endswith(("_total", "_bucket", "_count")):
                assert after[key] == value, key


@ensureDeferred
async def test_an_address_that_is_not_listened_on_is_down() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listens = [TCP, f"tcp:{port}:interface=127.0.0.1"]
        async with operated(make_settings("echo", listens, required=False)) as operations:
            found = figures(operations)
    assert of(found, "sockd_listeners", service="echo") == 2
    assert of(found, "sockd_listener_up", service="echo") == 0


@pytest.mark.parametrize(("missing", "is_up"), [("::1", 1), ("127.0.0.1", 0)])
@ensureDeferred
async def test_a_door_is_up_without_the_addresses_that_a_host_may_lack(
    missing: str, is_up: int
) -> None:
    family = socket.AF_INET6 if ":" in missing else socket.AF_INET
    with socket.create_server((missing, 0), family=family) as taken:
        both = f"tcp:{taken.getsockname()[1]}:interface=localhost"
        async with operated(make_settings("echo", [both], required=False)) as operations:
            found = figures(operations)
    assert of(found, "sockd_listeners", service="echo") == 2
    assert of(found, "sockd_listener_up", service="echo") == is_up


@ensureDeferred
async def test_the_accept_queue_of_an_address_is_told_with_its_limit() -> None:
    text = f"{TCP}:backlog=9"
    async with operated(make_settings("echo", [text])) as operations:
        [listener] = operations.daemon.instances[0][1].listeners
        listener.port.stopReading()
        with await deferToThread(Connection, address_of(listener)):
            found = figures(operations)
        listener.port.startReading()
    assert of(found, "sockd_accept_queue_length", service="echo", transport="tcp") == 1
    assert of(found, "sockd_accept_queue_limit", service="echo", transport="tcp") == 9


@ensureDeferred
async def test_what_the_kernel_drops_is_told_also_of_an_address_that_is_gone() -> None:
    echo, tcp = make_settings("echo", [UDP, TCP]), make_settings("echo", [TCP])
    async with operated(echo) as operations:
        listener, _ = operations.daemon.instances[0][1].listeners
        listener.port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.port.stopReading()
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            for _ in range(200):
                sock.sendto(bytes(1000), address_of(listener))
        lost = of(figures(operations), "sockd_kernel_drops_total", service="echo", transport="udp")
        assert 0 < lost < 200
        operations.daemon.apply(plan(operations.daemon.settings, settings(tcp)))
        found = figures(operations)
        assert of(found, "sockd_kernel_drops_total", service="echo", transport="udp") == lost


@ensureDeferred
async def test_the_end_of_a_certificate_is_told(
    tls_files: tuple[Path, ...], tmp_path: Path
) -> None:
    async with operated(*one_of_each(tls_files, tmp_path)) as operations:
        found = figures(operations)
    ends = x509.load_pem_x509_certificate(tls_files[0].read_bytes()).not_valid_after_utc
    told = of(found, "sockd_certificate_expiry_timestamp_seconds", service="echo", transport="tls")
    assert told == ends.timestamp()


@ensureDeferred
async def test_of_several_certificates_the_first_end_is_told(
    tls_files: tuple[Path, ...], tmp_path: Path
) -> None:
    tls = listen_string("tls", tmp_path, tls_files)
    async with operated(make_settings("echo", [tls, tls])) as operations:
        listeners = operations.daemon.instances[0][1].listeners
        for ends in ((1000, 2000), (2000, 1000)):
            with pytest.MonkeyPatch.context() as patch:
                for listener, end in zip(listeners, ends, strict=True):
                    patch.setattr(listener, "certificate", SimpleNamespace(expires=end))
                found = figures(operations)
            assert of(found, "sockd_certificate_expiry_timestamp_seconds") == 1000


@ensureDeferred
async def test_lines_that_the_log_has_not_are_told() -> None:
    async with operated(make_settings("echo", [TCP])) as operations:
        operations.writer = make_writer(io.StringIO(), operations.daemon.settings.daemon, "text")
        operations.writer.lines_suppressed = 7
        operations.writer.file.lines_lost = 5  # type: ignore[attr-defined]
        found = figures(operations)
    assert of(found, "sockd_log_lines_suppressed_total") == 7
    assert of(found, "sockd_log_lines_lost_total") == 5


@ensureDeferred
async def test_children_are_told_and_how_they_have_ended() -> None:
    async with operated(make_settings("exec", [TCP], command=["false"])) as operations:
        [listener] = operations.daemon.instances[0][1].listeners
        with await deferToThread(Connection, address_of(listener)) as wire:
            assert await deferToThread(wire.receive) == b""
        await until(lambda: of_all(operations, "sockd_children") == 0)
        found = figures(operations)
    assert of(found, "sockd_children_started_total", service="exec") == 1
    assert of(found, "sockd_children_ended_total", service="exec", reason="exit") == 1
    assert of(found, "sockd_children_ended_total", service="exec", reason="success") == 0


@ensureDeferred
async def test_a_reload_is_counted_by_its_result_and_when_it_was() -> None:
    echo = make_settings("echo", [TCP])
    mistakes: list[Mistake] = []

    def load() -> Settings:
        if mistakes:
            raise ConfigError(mistakes)
        return settings(echo, control=ControlPath(""))

    async with operated(echo, load=load) as operations:
        began = of(figures(operations), "sockd_config_last_reload_success_timestamp_seconds")
        assert began == operations.daemon.world.wall()
        assert (await operations.reloader.reload()).ok
        found = figures(operations)
        assert of(found, "sockd_config_reloads_total", result="success") == 1
        assert of(found, "sockd_config_last_reload_successful") == 1
        read_at = of(found, "sockd_config_last_reload_success_timestamp_seconds")
        assert read_at > began
        mistakes.append(Mistake(Place(), "echo", "it is wrong"))
        assert not (await operations.reloader.reload()).ok
        found = figures(operations)
        assert of(found, "sockd_config_reloads_total", result="success") == 1
        assert of(found, "sockd_config_reloads_total", result="failure") == 1
        assert of(found, "sockd_config_last_reload_successful") == 0
        assert of(found, "sockd_config_last_reload_success_timestamp_seconds") == read_at


@ensureDeferred
async def test_the_bans_that_hold_are_counted() -> None:
    async with operated(make_settings("echo", [TCP])) as operations:
        world = operations.daemon.world
        now = world.reactor.seconds()
        world.state.bans.add(now, make_ban("192.0.2.1", now, 60), make_ban("2001:db8::/32", now))
        assert of(figures(operations), "sockd_bans") == 2


@ensureDeferred
async def test_who_is_still_at_a_service_that_was_removed_is_counted() -> None:
    echo, daytime = make_settings("echo", [TCP]), make_settings("daytime", [TCP])
    async with operated(echo, daytime) as operations:
        daemon = operations.daemon
        [listener] = daemon.instances[0][1].listeners
        with await deferToThread(Connection, address_of(listener)) as wire:
            wire.send(b"hello")
            assert await deferToThread(wire.receive, 5) == b"hello"
            assert of(figures(operations), "sockd_connections_draining") == 0
            daemon.apply(plan(daemon.settings, settings(daytime)))
            assert of(figures(operations), "sockd_connections_draining") == 1
        await until(lambda: of(figures(operations), "sockd_connections_draining") == 0)
