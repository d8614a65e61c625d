"""The command `sock`: one client for every service, and an instrument.

A command's module is imported when the command is called, so that `--help` is there at once:
nothing here imports a reactor.
"""

from __future__ import annotations

import errno
import importlib
import re
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from sockd import __version__
from sockd.client.ending import UNKNOWN, end, tell_fault, unwritable, with_streams
from sockd.client.exits import Exit
from sockd.formats.nearest import near_miss
from sockd.formats.text import escape

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""How a disk fails that the output is written to: no fault of ours to trace."""

COMMANDS = {
    "ack": ("lines", "send lines, print their acknowledgements"),
    "beacon": ("beacon", "join the beacon's group, print what it says"),
    "chargen": ("flows", "read the rotating pattern, and tell how fast it comes"),
    "chat": ("chat", "talk with the others on the LAN"),
    "completion": ("completion", "print what makes a shell complete sock's commands"),
    "daytime": ("texts", "ask hosts for the date and time as text"),
    "discard": ("flows", "send data that is forgotten, and tell how fast it goes"),
    "discover": ("discover", "look which hosts of this LAN run which services"),
    "echo": ("echo", "measure round trips: loss, order, duplicates, percentiles"),
    "factor": ("lines", "ask for prime factors"),
    "get": ("raw", "print what a TCP service sends"),
    "greet": ("texts", "print a greeting"),
    "http": ("http", "fetch a URL"),
    "localtime": ("localtime", "ask for the time in a zone"),
    "quote": ("texts", "print a quotation"),
    "reverse": ("lines", "have lines reversed"),
    "said": ("lines", "say one line, print what was said"),
    "send": ("raw", "send data, print the answer"),
    "time": ("time", "compare the clocks of hosts with ours"),
    "travesty": ("travesty", "have a text made that is like another one"),
    "urgent": ("urgent", "send lines, and an urgent byte at each ^C"),
    "wrap": ("wrap", "have a text filled into paragraphs"),
}
"""By name: the module in `sockd.client.commands`, and what the command does."""


JSON = re.compile(r"--json|-[qvn46]*J[qvn46]*")
"""An argument that asks for JSON Lines."""


@contextmanager
def _closed_pipe_ends() -> Iterator[None]:
    """Nobody reads any more: that is no error."""
    try:
        yield
    except BrokenPipeError:
        end(Exit.ANSWERED)


class Commands(click.Group):
    """The table of commands; each is imported when it is wanted."""

    def make_context(self, *args: Any, **settings: Any) -> click.Context:
        """As click's, which would make a closed pipe (`sock --help | true`) a failure."""
        with _closed_pipe_ends():
            return super().make_context(*args, **settings)

    def invoke(self, ctx: click.Context) -> Any:
        """As click's, but for a closed pipe, too."""
        with _closed_pipe_ends():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in order."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, imported."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"sockd.client.commands.{COMMANDS[cmd_name][0]}")
        found = getattr(module, cmd_name)
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's; a name that is unknown is told with the nearest that is known."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            miss = near_miss(name, COMMANDS)
            raise click.UsageError(f"there is no command {name!r}{miss}", ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names of commands, without importing one of them; and this group's options."""
        found = [
            CompletionItem(name, help=COMMANDS[name][1])
            for name in self.list_commands(ctx)
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table, without importing one of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sock")
def sock() -> None:
    """Talk to the services of sockd, and to others of their kind, and measure them.

    Exit codes: 0 answered; 1 refused or unreachable; 2 a mistake on the command line; 3 no answer
    in time; 4 an answer that breaks the protocol; 5 a certificate that does not hold; 6 a name that
    is not found; 70 a fault of sock itself. Of several hosts: the greatest.
    """


def main() -> NoReturn:
    """Run the command line of this process, and end it."""
    with_streams()
    is_check = "--check" in sys.argv[1:]
    try:
        code = sock.main(prog_name="sock", standalone_mode=False)
    except click.ClickException as error:
        end(_usage_fault(error, is_check))
    except (click.Abort, KeyboardInterrupt):
        _interrupted(sys.argv[1:])
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told escaped
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            code = unwritable(error)
            end(UNKNOWN if is_check else code)
        if is_check:
            end(_unknown(f"a fault of sock: {type(error).__name__}: {error}"))
        tell_fault("".join(traceback.format_exception(error)))
        end(Exit.FAULT)
    end(code if isinstance(code, int) else Exit.ANSWERED)


def _interrupted(arguments: Sequence[str]) -> NoReturn:
    """End it where ^C came before the run began to take signals itself."""
    if "--check" in arguments:
        end(_unknown("interrupted before anything was asked"))
    if any(JSON.fullmatch(argument) for argument in arguments):
        from sockd.client.outputs.jsonl import line
        from sockd.client.report import Summary

        command = next((name for name in arguments if name in COMMANDS), "")
        told = Summary(
            command=command, elapsed_ns=0, hosts=(), exit=Exit.ANSWERED, interrupted=True
        )
        sys.stdout.buffer.write(line(told))
    end(Exit.ANSWERED, signal.SIGINT)


def _usage_fault(error: click.ClickException, is_check: bool) -> int:
    """Tell a mistake on the command line; its exit code."""
    if is_check:
        return _unknown(error.format_message())
    error.show()
    return error.exit_code


def _unknown(text: str) -> int:
    """Tell monitoring, which reads one line, and knows the exit codes 0 to 3; the exit code."""
    line = escape(" ".join(text.split())).replace("|", r"\x7c")
    click.echo(f"SOCK UNKNOWN - {line}")
    return UNKNOWN


if __name__ == "__main__":
    main()
