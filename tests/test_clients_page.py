"""docs/clients.md is what the client is: its commands, options, exit codes, metrics and words."""

from __future__ import annotations

import importlib
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from sockd.client import errors
from sockd.client.arguments import Shared
from sockd.client.definitions import DEFINITIONS
from sockd.client.exits import Exit
from sockd.client.main import COMMANDS
from sockd.client.metrics import METRICS
from sockd.client.outputs.prometheus import exported_name
from sockd.client.targets import Transport

PAGE = (Path(__file__).parents[1] / "docs" / "clients.md").read_text("utf-8")
WITHOUT_A_CHOICE = {"beacon", "completion", "discover", "http"}
"""Commands that have one transport, or that a URL says it to."""


def part(name: str) -> str:
    """What stands between the comments of this name."""
    [found] = re.findall(rf"^<!-- {name}: .*?-->\n(.*?)^<!-- end of {name} -->$", PAGE, re.M | re.S)
    return str(found)


def rows(name: str) -> list[list[str]]:
    """The cells of the rows of a table."""
    _, _, *lines = part(name).splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def code(cell: str) -> list[str]:
    """What stands in backquotes."""
    return re.findall(r"`([^`]+)`", cell)


def command(name: str) -> click.Command:
    """A command, imported."""
    module = importlib.import_module(f"sockd.client.commands.{COMMANDS[name][0]}")
    found = getattr(module, name)
    assert isinstance(found, click.Command)
    return found


def options(name: str) -> Iterator[click.Option]:
    """The options of a command."""
    return (param for param in command(name).params if isinstance(param, click.Option))


def test_every_command_has_a_row_and_no_other() -> None:
    named = [name for cells in rows("commands") for name in code(cells[0])]
    assert sorted(named) == sorted(COMMANDS)


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - WITHOUT_A_CHOICE))
def test_the_transports_of_a_command_are_those_that_it_has_options_for(name: str) -> None:
    [over] = [cells[2] for cells in rows("commands") if name in code(cells[0])]
    told = {Transport(one) for one in re.findall(r"\w+", over)}
    flags = {option.name for option in options(name)}
    for transport in (Transport.TCP, Transport.UDP, Transport.TLS):
        assert (f"over_{transport}" in flags) == (transport in told)
    assert ("path" in flags) == bool(told & {Transport.UNIX, Transport.UNIXGRAM})


def test_every_shared_option_has_its_row_and_no_other() -> None:
    declared = {
        text
        for name in COMMANDS
        for option in options(name)
        if isinstance(option, Shared)
        for text in option.opts
    }
    named = [text for cells in rows("options") for text in code(cells[0])]
    assert sorted(named) == sorted(declared)


def test_every_exit_code_is_there_with_the_reasons_of_its_errors() -> None:
    reasons = defaultdict(set)
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.ClientError):
            reasons[error.exit].add(error.reason)
    reasons[Exit.UNREACHABLE].discard(errors.ClientError.reason)
    told = {int(number): set(code(cell)) for number, cell, _ in rows("exits")}
    assert told == {int(code): reasons.get(code, set()) for code in Exit}


def test_every_metric_is_there_with_its_unit_and_what_it_is() -> None:
    assert rows("metrics") == [
        [
            f"`{metric.name}`",
            f"`{exported_name(metric)}`",
            metric.unit or "count",
            metric.help + " *" * metric.is_main,
        ]
        for metric in METRICS.values()
    ]


def test_every_definition_is_there_word_for_word() -> None:
    told = re.findall(r"^- \*\*(.+?)\*\*: (.*?)(?=^- |\Z)", part("definitions"), re.M | re.S)
    assert {name: " ".join(text.split()) for name, text in told} == DEFINITIONS
    assert [name for name, _ in told] == list(DEFINITIONS)
