"""What a test leaves behind: nothing, or it has failed."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from attrs import Factory, define
from twisted.logger import globalLogPublisher

from sockd.net.context import Context
from sockd.testing.log import LogRecorder
from sockd.testing.memory import Loop
from sockd.testing.running import Wait


@define
class World:
    """What one test has made, so that it can be looked over at its end."""

    contexts: list[Context[Any, Any]] = Factory(list)
    loops: list[Loop] = Factory(list)

    def close(self) -> None:
        """End everything: clients leave, ports close, what is shared stops."""
        for loop in self.loops:
            for client in loop.clients:
                client.vanish()
            for port in loop.ports:
                port.stopListening()
        for context in self.contexts:
            context.guard.stop()
            if context.shared is not None:
                context.shared.stop()

    def left(self) -> list[str]:
        """What is still there after that, in words."""
        found = []
        for loop in self.loops:
            loop.settle()
            found += [f"a delayed call: {call}" for call in loop.getDelayedCalls()]
        for context in self.contexts:
            found += [f"an open session: {session}" for session in context.guard.sessions]
            sources = context.guard._per_source
            found += [f"a source that is counted: {source}" for source in sources]
        return found

    def forget(self) -> None:
        """Let go of all of it."""
        self.loops.clear()
        self.contexts.clear()


WORLD = World()
"""The world of the test that runs."""


@contextmanager
def nothing_left(wait: Wait | None = None) -> Iterator[LogRecorder]:
    """The block is a test: it gives what is logged, and fails for what is left at its end.

    At the end everything in memory is closed. Then there may be no fault in the log (but what
    `flush_faults` took out), no timer, session, descriptor or child process that was not there
    before. What needs some turns of the running reactor to end gets them with `wait`.
    """
    log = LogRecorder()
    globalLogPublisher.addObserver(log)
    WORLD.forget()
    before = _what_is_there()

    def left() -> list[str]:
        return [*WORLD.left(), *(_what_is_there() - before).elements()]

    try:
        try:
            yield log
        finally:
            WORLD.close()
        if wait is not None and left():
            with suppress(AssertionError):
                wait(lambda: not left())
        found = left()
        WORLD.forget()
        gc.collect()  # a Deferred that failed unseen says so when it is collected
        found += [f"a fault in the log: {text}" for text in log.fault_texts()]
    finally:
        WORLD.forget()
        globalLogPublisher.removeObserver(log)
    assert not found, "\n".join(found)


def _what_is_there() -> Counter[str]:
    """Descriptors, children (zombies too) and the running reactor's timers, in words."""
    found: Counter[str] = Counter()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists them
            found[f"a descriptor: {descriptor.readlink()}"] += 1
    for thread in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            for child in (thread / "children").read_text("ascii").split():
                found[f"a child process: {child}"] += 1
    # without one there is none to be asked; to import it would install one
    reactor: Any = sys.modules.get("twisted.internet.reactor")
    for call in reactor.getDelayedCalls() if reactor is not None else ():
        found[f"a delayed call at {call.getTime()}: {call.func}"] += 1
    return found
