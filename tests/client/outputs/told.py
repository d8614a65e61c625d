"""A `Human` that writes into memory."""

from __future__ import annotations

import io
from typing import Any

from sockd.client.asking import Asking
from sockd.client.outputs.human import Human
from sockd.client.report import Data, Event
from tests.client.outputs.runs import start


class FakeTerminal(io.StringIO):
    """Text that says it goes to a terminal."""

    def isatty(self) -> bool:
        return True


class Told:
    """A `Human`, and what it has written."""

    def __init__(
        self,
        *events: Event,
        hosts: tuple[str, ...] = ("localhost",),
        command: str = "daytime",
        out_is_terminal: bool = False,
        err_is_terminal: bool = False,
        columns: int = 80,
        **asking: Any,
    ) -> None:
        self.now_ns = 0
        self.binary = io.BytesIO()
        self.text: io.StringIO = FakeTerminal() if err_is_terminal else io.StringIO()
        self.human = Human(
            command,
            Asking(**{"color": "never", **asking}),
            is_alone=len(hosts) == 1,
            out=self.binary,
            err=self.text,
            is_terminal=out_is_terminal,
            environment={"TERM": "xterm", "COLUMNS": str(columns)},
            now_ns=lambda: self.now_ns,
        )
        self(start(*hosts, command=command))
        self(*events)

    def __call__(self, *events: Event) -> None:
        for event in events:
            self.human(event)

    @property
    def out(self) -> bytes:
        return self.binary.getvalue()

    @property
    def err(self) -> str:
        return self.text.getvalue()

    @property
    def lines(self) -> list[str]:
        return self.err.splitlines()


def answer(data: bytes, target: str = "localhost") -> Data:
    return Data(target=target, data=data)
