"""What every way of telling a run has in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

from sockd.client.report import Event


class Output(Protocol):
    """A way of telling a run: it is called with each event, in order."""

    def __call__(self, event: Event, /) -> None:
        """Something has happened. Raises BrokenPipeError where nobody reads any more."""

    def exit_code(self, code: int) -> int:
        """How the process is to end, if the run would end it with this code."""


@frozen
class Several:
    """Outputs that are told side by side; the first says how the process ends."""

    outputs: Sequence[Output]

    def __call__(self, event: Event) -> None:
        """Tell each."""
        for output in self.outputs:
            output(event)

    def exit_code(self, code: int) -> int:
        """As the first has it."""
        return self.outputs[0].exit_code(code)
