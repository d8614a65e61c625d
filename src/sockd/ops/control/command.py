"""What a command of the control socket is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from attrs import frozen
from twisted.internet.defer import Deferred

from sockd.ops.control.arguments import Arguments

if TYPE_CHECKING:
    from sockd.ops.operations import Operations

Answer = Mapping[str, Any]
"""An object as JSON has it. Texts in it may come from the network: whoever shows them escapes."""


class Follower(Protocol):
    """Who gets what goes on."""

    def send(self, item: Answer) -> None:
        """Tell it one more; one that does not read in time misses some, and is told how many."""


@frozen
class Command:
    """One command. What it gets wrong it raises as ControlError."""

    run: Callable[[Operations, Arguments], Answer | Deferred[Answer] | Iterator[Answer]]
    """Answers. An iterator gives a long answer in parts, one in each turn of the loop."""
    follow: Callable[[Operations, Arguments, Follower], Callable[[], None]] | None = None
    """Begins to tell a follower; returns what ends that. None: there is nothing to follow."""
    changes: bool = False
    """It changes something: the log says who has asked for it."""
