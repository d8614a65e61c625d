"""Lines as the journal wants them: with a priority, and without a time, of which it has its own.

Who writes to the journal through a stream says a line's priority in front of it, as `<4>`
(sd-daemon(3)). Every line of text has one: a text that begins with `<0>`, wherever it comes from,
is no emergency.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from attrs import evolve
from twisted.logger import LogEvent, LogLevel

from sockd.ops.log_lines import FORMATS, Waiting

PRIORITIES = {
    LogLevel.debug: 7,
    LogLevel.info: 6,
    LogLevel.warn: 4,
    LogLevel.error: 3,
    LogLevel.critical: 2,
}
"""syslog(3)'s number of each level."""
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ", re.MULTILINE)


def is_journal(descriptor: int, environ: Mapping[str, str]) -> bool:
    """Whether this is the stream to the journal that systemd has given (`JOURNAL_STREAM`)."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _priority(event: LogEvent) -> str:
    return f"<{PRIORITIES.get(event.get('log_level', LogLevel.info), 6)}>"


def _text_line(event: LogEvent) -> str:
    priority = _priority(event)
    lines = _TIME.sub("", FORMATS["text"].line(event), count=1).removesuffix("\n").split("\n")
    return "".join([f"{priority}{line}\n" for line in lines])


def _text_many(waiting: Sequence[Waiting]) -> list[str]:
    # lines that are made already begin with a priority; those of connections with a time
    return [_TIME.sub("<6>", line) for line in FORMATS["text"].many(waiting)]


def _json_line(event: LogEvent) -> str:
    line = FORMATS["json"].line(event)
    # without a priority, which an object cannot be taken for, it is of level info
    return line if (found := _priority(event)) == "<6>" else found + line


JOURNAL = {
    "text": evolve(FORMATS["text"], line=_text_line, many=_text_many),
    "json": evolve(FORMATS["json"], line=_json_line),
}
"""The log formats for the journal, and for the system's log, by name."""
