"""What a command prints: a disk that is full is told, and no traceback."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""How a disk fails that the output is written to: no fault of ours to trace."""


def tell(text: str) -> None:
    """Print what was asked for. A disk that is full is told, and no traceback."""
    try:
        click.echo(text, nl=False)
    except BrokenPipeError:
        raise  # click's: whoever read it has enough
    except OSError as error:
        _give_up(error)


def complain(text: str) -> None:
    """Say on standard error what is wrong; where that is full, the exit code has to tell it."""
    _say(lambda: click.echo(text, err=True))


class Program(click.Group):
    """A command line whose help, version and mistakes are printed as all else is."""

    def main(self, *args: Any, **settings: Any) -> Any:
        """As click's, but for a disk that is full."""
        if settings.get("standalone_mode") is False:
            return super().main(*args, **settings)
        try:
            code = super().main(*args, **{**settings, "standalone_mode": False})
        except click.ClickException as error:
            _say(error.show)
            sys.exit(error.exit_code)
        except click.Abort:
            complain("Aborted!")
            sys.exit(1)
        except OSError as error:
            if error.errno not in NO_ROOM or error.filename is not None:
                raise  # it is another file
            _give_up(error)
        sys.exit(code if isinstance(code, int) else 0)


def _say(say: Callable[[], None]) -> None:
    try:
        say()
    except OSError:
        _forget(2)


def _give_up(error: OSError) -> NoReturn:
    _forget(1)
    complain(f"sockd: cannot write the output: {(error.strerror or str(error)).lower()}")
    sys.exit(1)


def _forget(number: int) -> None:
    """Write what waits, and what comes yet, to nowhere: Python tries it again at the end, and has
    an exit code of its own where that fails."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), number)
