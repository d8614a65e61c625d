"""The daemon of this host, by the socket files of its runtime directory."""

from __future__ import annotations

import os
from pathlib import Path

from attrs import evolve

from sockd.client.asking import Asking
from sockd.client.targets import Transport
from sockd.options.runtime import runtime_directory


def at_runtime_socket(asking: Asking, transport: Transport, name: str) -> Asking:
    """As asked for, by this socket file of the runtime directory."""
    directory = runtime_directory(os.environ, os.getuid())
    return evolve(asking, transport=transport, path=str(Path(directory) / name))
