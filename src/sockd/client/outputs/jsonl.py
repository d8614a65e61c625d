r"""A run as programs read it: JSON Lines on standard output, as `docs/sock.schema.json` has them.

A line is one event: `start`, `probe`, `interval`, `error`, and last of all `summary`. A summary
that was asked for on the way has `is_final` false; of those with true there is one, and it is the
last line. All fields are always there: what is not known or does not apply is null. Whole numbers
whose names end in `_ns` are nanoseconds. Lines are ASCII: they do nothing to a terminal.

Text that is no Unicode has `\xNN` for each byte that is not UTF-8. A probe whose text had to be
changed so has the very bytes in `text_base64`, which is null where `text` says all.
"""

from __future__ import annotations

import json
import math
import re
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from typing import BinaryIO

import attrs
from attrs import define

from sockd.client.exits import Exit
from sockd.client.report import (
    SCHEMA,
    Answerer,
    Counts,
    Data,
    Error,
    Event,
    HostSummary,
    IcmpErrors,
    Interval,
    Probe,
    Spread,
    Start,
    Summary,
    Timing,
)

Part = Answerer | Counts | HostSummary | IcmpErrors | Spread | Timing
"""What events have in them."""
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

TYPES = {
    Start: "start",
    Probe: "probe",
    Interval: "interval",
    Summary: "summary",
    Error: "error",
}
"""The events that are told; `Data` are not, as their probe has the text."""

_NO_BYTES = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Surrogates that stand for no byte."""


@define(eq=False)
class JsonLines:
    """A line an event."""

    out: BinaryIO
    command: str
    is_quiet: bool = False
    """Probes and intervals are left out."""
    _is_over: bool = False

    def __call__(self, event: Event) -> None:
        """Tell of it. Raises BrokenPipeError where nobody reads any more."""
        if self._is_over or isinstance(event, Data):
            return
        if self.is_quiet and isinstance(event, Probe | Interval):
            return
        self._is_over = isinstance(event, Summary) and event.is_final
        self.out.write(line(event))
        self.out.flush()

    def exit_code(self, code: int) -> int:
        """The same. A run that failed before it knew its hosts gets its summary here."""
        if not self._is_over:
            self(Summary(command=self.command, elapsed_ns=0, hosts=(), exit=Exit(code)))
        return code


def line(event: Start | Probe | Interval | Summary | Error) -> bytes:
    """The event as a line of JSON, its end included."""
    told: dict[str, Json] = {"schema": SCHEMA, "type": TYPES[type(event)]}
    told |= _fields(event)
    text = json.dumps(told, allow_nan=False, separators=(",", ":"))
    # the one control character that JSON does not escape
    return text.replace("\x7f", "\\u007f").encode("ascii") + b"\n"


@cache
def _names(of: type[attrs.AttrsInstance]) -> tuple[str, ...]:
    return tuple(field.name for field in attrs.fields(of))


def _fields(value: attrs.AttrsInstance) -> dict[str, Json]:
    found = {name: _json(getattr(value, name)) for name in _names(type(value))}
    if isinstance(value, Probe):
        found["text"], found["text_base64"] = _exactly(value.text)
    elif isinstance(value, Counts):
        found["loss"] = value.loss
    elif isinstance(value, Spread):
        found["percentiles"] = {f"{name}_ns": ns for name, ns in value.percentiles.items()}
    elif isinstance(value, HostSummary):
        found["histogram"] = [
            {"from_ns": from_ns, "to_ns": to_ns, "count": count}
            for from_ns, to_ns, count in value.histogram
        ]
    return found


def _json(value: object) -> Json:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)  # of an enumeration, too
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, Mapping):
        return {readable(name): _named(name, of) for name, of in value.items()}
    if isinstance(value, tuple):
        return [_json(of) for of in value]
    assert isinstance(value, Part), value
    return _fields(value)


def _named(name: str, value: object) -> Json:
    """What stands under a name; a duration is a whole number."""
    if name.endswith("_ns") and isinstance(value, float) and math.isfinite(value):
        return round(value)
    return _json(value)


def _exactly(text: str | None) -> tuple[str | None, str | None]:
    """A text to read; and in base64 the bytes that it stands for, where it does not say all."""
    if text is None:
        return None, None
    shown, data = readable(text), _bytes(text)
    return shown, None if shown.encode() == data else b64encode(data).decode()


def readable(text: str) -> str:
    r"""The text as Unicode: `\xNN` for each byte that is not UTF-8."""
    return text if text.isascii() else _bytes(text).decode("utf-8", "backslashreplace")


def _bytes(text: str) -> bytes:
    known = _NO_BYTES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return known.encode("utf-8", "surrogateescape")
