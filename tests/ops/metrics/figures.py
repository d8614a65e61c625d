"""A daemon with its operations on the running reactor, and its figures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from sockd.config.settings import InstanceSettings, Settings
from sockd.ops.metrics.sheet import encode
from sockd.ops.operations import Operations
from sockd.testing.sockets import listen_string
from tests.daemon.running import LOOPBACK, daemon_of
from tests.helpers import make_settings

TCP, UDP = f"tcp:0:{LOOPBACK}", f"udp:0:{LOOPBACK}"
Series = tuple[str, frozenset[tuple[str, str]]]


def read(text: bytes) -> dict[Series, float]:
    """The series of a text, by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): float(sample.value)
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def figures(operations: Operations) -> dict[Series, float]:
    """All series as they are now."""
    return read(encode(operations.metrics.sheet(), is_open=True))


def of(figures: Mapping[Series, float], name: str, **labels: str) -> float:
    """The value of the one series of this name that has these labels."""
    [value] = [
        value for (one, found), value in figures.items() if one == name and labels.items() <= found
    ]
    return value


def one_of_each(tls_files: Sequence[Path], folder: Path) -> list[InstanceSettings]:
    """Instances that have all doors and transports between them."""
    tls = listen_string("tls", folder, tls_files)
    unix, unixgram = f"unix:{folder}/echo.sock", f"unixgram:{folder}/echo.dgram"
    return [
        make_settings("echo", [TCP, tls, unix, UDP, unixgram]),
        make_settings("chat", [TCP, UDP], listen_multicast=[UDP], state=str(folder / "state")),
        make_settings("exec", [TCP], command=["true"]),
        make_settings("beacon", [f"multicast:224.225.226.227:2070:{LOOPBACK}"]),
        make_settings("daytime", [TCP, UDP]),
        make_settings("wrap", [TCP]),
        make_settings("metrics", [TCP]),
    ]


@asynccontextmanager
async def operated(
    *instances: InstanceSettings, load: Callable[[], Settings] | None = None
) -> AsyncIterator[Operations]:
    """A daemon that runs these, and what is around it. `load`: what a reload reads."""
    async with daemon_of(*instances) as running:
        yield Operations(running, load or (lambda: running.settings))
