"""What a command prints: a disk that is full is told, and no traceback."""

from __future__ import annotations

import os
import sys

import click


def tell(text: str) -> None:
    """Print what was asked for. A disk that is full is told, and no traceback."""
    try:
        click.echo(text, nl=False)
    except BrokenPipeError:
        raise  # click's: whoever read it has enough
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what waits is tried again at the end
        sys.exit(f"sockd: cannot write the output: {(error.strerror or str(error)).lower()}")
