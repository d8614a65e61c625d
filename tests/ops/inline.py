"""A loop whose time a test moves, and whose threads work when the test has them work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.python.failure import Failure


class InlineReactor(Clock):
    """What `deferToThreadPool` asks for. Work waits while `is_busy`, until `work` is called."""

    def __init__(self) -> None:
        super().__init__()
        self.advance(1000)
        self.is_busy = False
        self._waiting: list[Callable[[], None]] = []

    def getThreadPool(self) -> InlineReactor:
        return self

    def callInThreadWithCallback(
        self, done: Callable[[bool, Any], None], function: Callable[..., Any], *args: Any, **kw: Any
    ) -> None:
        def work() -> None:
            try:
                result = function(*args, **kw)
            except Exception:  # noqa: BLE001 - as a thread pool does
                done(False, Failure())
            else:
                done(True, result)

        self._waiting.append(work)
        if not self.is_busy:
            self.work()

    def callFromThread(self, function: Callable[..., Any], *args: Any) -> None:
        function(*args)

    def work(self) -> None:
        """Do what waits."""
        while self._waiting:
            self._waiting.pop(0)()
