"""The commands of a program, as click has them, for its man page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import cleandoc

import click

from sockd.client.arguments import Shared
from sockd.ops.manual.roff import argument, document, items, prose, subsection

_CODES = re.compile(r"^Exit codes: (.+)$", re.S)
_CODE = re.compile(r"(\d+) ([^;.]+)")
_FLAG = re.compile(r"(?<![\w`'-])--?[A-Za-z0-9][\w-]*(?![\w`'-])")
"""An option in a sentence, where it does not stand in code already."""
_OWN = re.compile(r" \((?:the default|[\d.]+ s)\)")
"""What the help of a shared option says of one command alone."""


def commands(
    program: click.Group, name: str, above: click.Context | None = None
) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command of a program, with its whole name; those of its groups in their place."""
    ctx = click.Context(program, info_name=name, parent=above)
    for short in program.list_commands(ctx):
        command = program.get_command(ctx, short)
        if command is None or command.hidden:
            continue
        if isinstance(command, click.Group):
            yield from commands(command, short, ctx)
        else:
            inner = click.Context(command, info_name=short, parent=ctx)
            yield inner.command_path, command, inner


def synopsis(program: click.Group, name: str) -> list[str]:
    """A line a command: what it takes."""
    found = []
    for path, command, ctx in commands(program, name):
        words = " ".join(argument(word) for word in path.split()[1:])
        found += [".Nm", f".Cm {words}", *_arguments(command, ctx)]
    return found


def _arguments(command: click.Command, ctx: click.Context) -> Iterator[str]:
    for piece in command.collect_usage_pieces(ctx):
        if piece == "[OPTIONS]":
            yield ".Op Ar options"
        elif piece.startswith("["):
            words = piece.removeprefix("[").replace("]...", "...]").removesuffix("]")
            yield f".Op Ar {argument(words)}"
        else:
            yield f".Ar {argument(piece)}"


def described(program: click.Group, name: str) -> list[str]:
    """Every command: what it does, its own options, and the names of those that it shares."""
    found: list[str] = []
    for path, command, ctx in commands(program, name):
        own = [one for one in options(command) if not isinstance(one, Shared)]
        found += subsection(
            path, document(help_text(command)), option_items(own, ctx), _shared(command, ctx)
        )
    return found


def _shared(command: click.Command, ctx: click.Context) -> list[str]:
    """Which of the shared options a command takes, with what differs from command to command."""
    names = []
    for option in options(command):
        record = option.get_help_record(ctx)
        if isinstance(option, Shared) and record is not None:
            own = _OWN.search(record[1])
            names.append(f"`{option.opts[0]}`{own[0] if own else ''}")
    return [".Pp", *prose(f"Shared options: {', '.join(names)}.")] if names else []


def options(command: click.Command) -> list[click.Option]:
    """Its options; `--help`, which all have, is not among them."""
    return [one for one in command.params if isinstance(one, click.Option)]


def option_items(of: list[click.Option], ctx: click.Context) -> list[str]:
    """Options, each as it is typed, and what it means."""
    records = [record for one in of if (record := one.get_help_record(ctx)) is not None]
    return items((_typed(names), text) for names, text in records)


def _typed(names: str) -> str:
    """How an option is typed, as macros; `names` is as click shows it: `-c, --count N`."""
    shown = []
    for one in re.split(r", | / ", names):
        flag, _, value = one.partition(" ")
        dashes = len(flag) - len(flag.lstrip("-"))
        words = "Fl " * dashes + argument(flag[dashes:])
        if value.startswith("["):
            value = value[1:-1]  # a choice
        shown.append(f"{words} Ar {argument(value)}" if value else words)
    return " , ".join(shown)


def shared_options(program: click.Group, name: str) -> dict[str, list[str]]:
    """The options that commands share, by their heading, each once."""
    known: dict[str, dict[str, str]] = {}
    for _, command, ctx in commands(program, name):
        for option in options(command):
            record = option.get_help_record(ctx)
            if isinstance(option, Shared) and record is not None:
                known.setdefault(option.heading, {}).setdefault(record[0], _OWN.sub("", record[1]))
    return {
        heading: items((_typed(names), text) for names, text in of.items())
        for heading, of in known.items()
    }


def help_text(command: click.Command) -> str:
    """What a command says of itself, without its exit codes where it is a whole program."""
    told = _FLAG.sub(r"`\g<0>`", cleandoc(command.help or ""))
    parts = told.partition("\f")[0].replace("\b\n", "").split("\n\n")
    return "\n\n".join(
        part for part in parts if not (isinstance(command, click.Group) and _CODES.match(part))
    )


def exit_codes(program: click.Group) -> list[str]:
    """The exit codes, as the program's help has them, and what else is said there of them."""
    for part in cleandoc(program.help or "").split("\n\n"):
        if told := _CODES.match(" ".join(part.split())):
            codes, _, rest = told[1].partition(". ")
            return [
                *items(
                    (code, f"{does[:1].upper()}{does[1:]}.") for code, does in _CODE.findall(codes)
                ),
                *([".Pp", *prose(rest)] if rest else []),
            ]
    return []
