"""What was logged, for tests to read."""

from __future__ import annotations

from attrs import Factory, define
from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText, formatEvent
from zope.interface import implementer


@implementer(ILogObserver)
@define(eq=False)
class LogRecorder:
    """Everything that was logged during a test."""

    logged: list[LogEvent] = Factory(list)

    def __call__(self, event: LogEvent) -> None:
        self.logged.append(event)

    def events(self, name: str) -> list[LogEvent]:
        """The events of this name, oldest first."""
        return [event for event in self.logged if event.get("event") == name]

    def lines(self) -> list[str]:
        """What was logged, a sentence an event."""
        return [formatEvent(event) for event in self.logged]

    def faults(self) -> list[LogEvent]:
        """The exceptions that were logged, and what Twisted complains of."""
        return [event for event in self.logged if _is_fault(event)]

    def flush_faults(self) -> list[LogEvent]:
        """As `faults`, of which the test knows: they are no failure of it."""
        found = self.faults()
        self.logged = [event for event in self.logged if not _is_fault(event)]
        return found

    def fault_texts(self) -> list[str]:
        """As `faults`, each with its traceback."""
        return [eventAsText(event) for event in self.faults()]


def _is_fault(event: LogEvent) -> bool:
    text = formatEvent(event)
    return (
        "log_failure" in event
        or event.get("log_level", LogLevel.info) >= LogLevel.error
        or "Traceback" in text
        or "Unhandled" in text
    )
