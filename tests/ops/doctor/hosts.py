"""A host on which everything is as it should be, but for what a test changes."""

from __future__ import annotations

from typing import Any

from sockd.config.build import build
from sockd.config.document import Document, parse
from sockd.config.settings import Settings
from sockd.ops.doctor.finding import Facts, Interface
from sockd.service import find

FOUND = find()
NOW = 1_800_000_000.0
DAY = 86400.0
ETH = Interface("eth0", frozenset({"192.0.2.1"}), is_up=True, has_multicast=True)


def settings(text: str) -> Settings:
    """A configuration."""
    document = Document()
    parse(document, text, "sockd.toml")
    return build(document, FOUND, "/run/sockd")


def facts(**changes: Any) -> Facts:
    """What there is on this host."""
    healthy: dict[str, Any] = {
        "pid": 99,
        "is_daemon": False,
        "uid": 0,
        "reads": lambda file: True,
        "may_move": lambda file: True,
        "capabilities": (1 << 41) - 1,
        "descriptors": 65536,
        "first_free_port": 1024,
        "receive_buffer": 4 * 1024 * 1024,
        "interfaces": (ETH,),
        "holder": lambda listen: None,
        "others": (),
        "expires": lambda file: NOW + 90 * DAY,
        "now": NOW,
        "reactor": "",
        "plugin": "",
        "twistd": "/opt/sockd/bin/twistd",
        "programs": "",
    }
    return Facts(**{**healthy, **changes})
