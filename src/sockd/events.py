"""What the daemon reports: structured events, each with a name, fields and a sentence.

Every event goes to Twisted's logger with `event` (its name) and its fields, so that the text log
can show the sentence and the JSON log the fields. Values may come from the network: the log
writers in `sockd.ops.logs` escape them, all of them, in one place.
"""

from __future__ import annotations

import time
from typing import Any

from twisted.logger import Logger, LogLevel

_log = Logger(namespace="sockd")

SENTENCES = {
    "listening": "{service}: listening on {address}",
    "retried": "{service}: listening on {address}, at try {tries}",
    "skipped": "{service}: {address} skipped: {why}",
    "retry": "{service}: {address}: {why}; trying again in {seconds:g} s",
    "opened": "{service}: connection from {peer}",
    "closed": (
        "{service}: {peer} closed after {duration:.3f} s, "
        "{bytes_in} bytes in, {bytes_out} bytes out: {why}"
    ),
    "refused": "{service}: {peer} refused: {reason}{suppressed}",
    "failed": "{service}: {peer}: {why}",
    "child-started": "{service}: started {program} as process {pid} for {peer}",
    "child-reaped": "{service}: process {pid} of {peer} ended: {status}",
    "child-said": "{service}: process {pid} of {peer} reports: {text}",
    "warning": "{service}: {why}",
    "certificate": "{service}: {address}: {why}",
    "certificates": (
        "certificates: {looked_at} looked at, {changed} changed, {unusable} cannot be used"
    ),
    "no-certificates": "certificates: nothing that listens has one",
    "started": "sockd {version} runs {count} on the {reactor}",
    "stopped": "sockd has stopped",
}
"""The sentence of each event; its fields are the names in braces."""


def emit(event: str, *, level: LogLevel = LogLevel.info, **fields: Any) -> None:
    """Report an event of `SENTENCES` with its fields."""
    # as the logger's own `emit`, which takes longer to check the level than all the rest
    fields |= {
        "event": event,
        "log_level": level,
        "log_format": SENTENCES[event],
        "log_namespace": _log.namespace,
        "log_source": None,
        "log_logger": _log,
        "log_time": time.time(),
    }
    _log.observer(fields)


def warn(event: str, **fields: Any) -> None:
    """Report an event that somebody should look at."""
    emit(event, level=LogLevel.warn, **fields)


def crash(service: str, peer: str) -> None:
    """Report the exception being handled: a service's fault, that ends this peer only."""
    _log.failure(
        "{service}: {peer}: error in the service", event="error", service=service, peer=peer
    )
