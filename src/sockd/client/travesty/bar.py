"""How far an upload is: a bar on a terminal, which is gone when it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from sockd.client.ending import at_end
from sockd.client.outputs.screen import Screen
from sockd.formats.text import readable

if TYPE_CHECKING:
    import rich.progress

REDRAW = 0.1
"""Seconds between two looks of it: more often nobody sees."""
MOST_NAME = 30
"""Characters of a file's name: its end says most."""


class Progress(Protocol):
    """Is told how far it is."""

    count: int
    """Bytes that have gone out."""

    def sent(self, count: int) -> None:
        """So many more bytes of the file have gone out."""

    def close(self) -> None:
        """Leave nothing of it."""


class Silent:
    """For pipes: nothing is shown."""

    count = 0

    def sent(self, count: int) -> None:
        """Only count them."""
        self.count += count

    def close(self) -> None:
        """Nothing."""


def progress(screen: Screen, name: str, size: int | None, *, is_quiet: bool) -> Progress:
    """A bar where there is a terminal that can erase it."""
    if is_quiet or not screen.can_erase:
        return Silent()
    return Bar(screen, name, size)


class Bar:
    """Bytes of a file, and how fast they go."""

    def __init__(
        self,
        screen: Screen,
        name: str,
        size: int | None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.count = 0
        self._now = now
        self._redrawn = now()
        self._progress = _drawn(screen, now)
        shown = readable(name)
        shown = shown if len(shown) <= MOST_NAME else f"...{shown[3 - MOST_NAME :]}"
        self._task = self._progress.add_task(shown, total=size)
        self._is_open = True
        at_end(self.close)  # it hides the cursor
        self._progress.start()

    def sent(self, count: int) -> None:
        """So many more bytes of the file have gone out."""
        self.count += count
        now = self._now()
        is_due = now - self._redrawn >= REDRAW
        self._progress.update(self._task, completed=self.count, refresh=is_due)
        if is_due:
            self._redrawn = now

    def close(self) -> None:
        """Leave nothing of it."""
        if self._is_open:
            self._is_open = False
            self._progress.stop()


def _drawn(screen: Screen, now: Callable[[], float]) -> rich.progress.Progress:
    """What rich draws, when it is told to. Nothing of the environment is asked."""
    # here, for it takes long to load
    from rich import progress
    from rich.console import Console

    console = Console(
        file=screen.err,
        width=screen.width - len("^C"),  # which stands behind it, and goes with it
        color_system="standard" if screen.has_color else None,
        force_terminal=True,
        no_color=not screen.has_color,
        force_jupyter=False,
        legacy_windows=False,
    )
    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(bar_width=None),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
        console=console,
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        get_time=now,
        expand=True,
    )
