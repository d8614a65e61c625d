"""`sock` on a real terminal: tmux is the terminal, so its screen is read as users do."""

from __future__ import annotations

import itertools
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from attrs import define

from tests.client.running import SOCK
from tests.processes import finish, wait_until

COLUMNS, LINES = 90, 30
PATIENCE = 60.0
_NUMBERS = itertools.count()


@define(eq=False)
class Screen:
    """One terminal, and what runs there."""

    name: str
    folder: Path

    def rows(self) -> list[str]:
        """What can be seen, without empty rows at the end."""
        shown = tmux(self.name, "capture-pane", "-p", "-t", "it")
        return [row.rstrip() for row in shown.rstrip("\n").split("\n")]

    def text(self) -> str:
        """The same, in one."""
        return "\n".join(self.rows())

    def wait_for(self, pattern: str) -> None:
        """Until something can be seen."""
        wait_until(
            lambda: re.search(pattern, self.text(), re.MULTILINE),
            lambda: f"{pattern!r} on:\n{self.text()}",
            PATIENCE,
        )

    def type(self, *keys: str) -> None:
        """Keys by tmux's names, and texts."""
        tmux(self.name, "send-keys", "-t", "it", *keys)

    def send(self, sequence: bytes) -> None:
        """What a terminal sends by itself."""
        tmux(self.name, "send-keys", "-t", "it", "-H", *(f"{one:02x}" for one in sequence))

    def paste(self, text: str) -> None:
        """As if by the mouse."""
        tmux(self.name, "set-buffer", text)
        tmux(self.name, "paste-buffer", "-p", "-t", "it")

    def written(self) -> bytes:
        """All that was written to it so far."""
        return (self.folder / "written").read_bytes()

    def code(self) -> int:
        """The exit code, once it has ended by itself; and the terminal is as it was."""
        ended = self.folder / "ended"
        wait_until(ended.exists, lambda: f"the end of:\n{self.text()}", PATIENCE)
        before, after = (self.folder / name for name in ("before", "after"))
        assert before.read_text() == after.read_text(), "the terminal is left as another one"
        return int(ended.read_text())

    def errors(self) -> str:
        """What it has complained of."""
        return (self.folder / "errors").read_text()

    def pid(self) -> int:
        """Its process."""
        return int((self.folder / "pid").read_text())


@contextmanager
def on_screen(
    folder: Path,
    environment: Mapping[str, str],
    *arguments: str,
    command: str = "chat",
    shows_errors: bool = False,
) -> Iterator[Screen]:
    """`sock chat`, or another command, on a terminal for as long as the block runs."""
    screen = Screen(f"sockd-{os.getpid()}-{next(_NUMBERS)}", folder)
    folder.mkdir()
    called = shlex.join([SOCK, command, *arguments])
    errors = "" if shows_errors else "2>errors"
    script = folder / "script"
    script.write_text(
        f"trap : INT; cd {shlex.quote(str(folder))}; tmux wait-for go; stty -a >before\n"
        f"sh -c 'echo $$ >pid; exec \"$@\"' sh {called} {errors}\n"
        "code=$?; stty -a >after; echo $code >ending; mv ending ended; tmux wait-for never\n"
    )
    size = ("-x", str(COLUMNS), "-y", str(LINES))
    shell = ("sh", str(script))
    made = {"LC_ALL": "C.UTF-8", **environment}
    tmux(screen.name, "new-session", "-d", "-s", "it", *size, *shell, environment=made)
    try:
        tmux(screen.name, "pipe-pane", "-t", "it", f"exec cat >{folder}/written")
        tmux(screen.name, "wait-for", "-S", "go")
        yield screen
    finally:
        tmux(screen.name, "kill-server")


def tmux(name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """A command to a tmux of our own; what it prints."""
    argv = ["tmux", "-L", name, "-f", "/dev/null", *arguments]
    done = finish(argv, environment=environment, seconds=PATIENCE)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()
