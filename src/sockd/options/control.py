"""Where the control socket is: for the daemon, and for whoever asks it."""

from __future__ import annotations

from pathlib import Path
from typing import Self

CONTROL_NAME = "control.sock"
"""The socket's name in the runtime directory, where nothing else is said."""


class ControlPath(str):
    """A path; one that is relative starts at the runtime directory; nothing: no control socket."""

    __slots__ = ()

    @classmethod
    def parse(cls, value: object) -> Self:
        """A path, or "off". Raises ValueError."""
        if not isinstance(value, str) or not value or "\0" in value:
            raise ValueError(f'expected a path or "off", got {value!r}')
        return cls("" if value == "off" else value)

    def within(self, runtime: str) -> str:
        """The whole path; nothing where there is to be no socket."""
        return str(Path(runtime, self)) if self else ""

    def __str__(self) -> str:
        return str.__str__(self) or "off"
