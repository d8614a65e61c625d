"""Events as they reach a log writer."""

from __future__ import annotations

from typing import Any

from twisted.logger import LogEvent, LogLevel

from sockd.access.entrance import Entrance
from sockd.access.peer import Peer
from sockd.ops.log_lines import FORMATS
from tests.memory import NOON

TEXT = FORMATS["text"]
JSON = FORMATS["json"]
LOCAL = Entrance("tcp", "192.0.2.1", 7)
PEER = Peer("192.0.2.7", 50007)


def event_of(sentence: str, /, **fields: Any) -> LogEvent:
    """An event of ours at noon, or of somebody else where it has no `event`."""
    namespace = "sockd" if "event" in fields else "other"
    return {
        "log_time": NOON,
        "log_level": LogLevel.info,
        "log_format": sentence,
        "log_namespace": namespace,
        **fields,
    }
