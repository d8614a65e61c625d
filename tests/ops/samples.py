"""Events as they reach a log writer."""

from __future__ import annotations

from typing import Any

from twisted.logger import LogEvent, LogLevel

from tests.memory import NOON


def event_of(sentence: str, /, **fields: Any) -> LogEvent:
    """An event at noon."""
    return {"log_time": NOON, "log_level": LogLevel.info, "log_format": sentence, **fields}
