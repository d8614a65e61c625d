"""The man pages: mandoc finds nothing wrong with them, and they tell all that the code has."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import attrs
import click
import pytest
from twisted.python import usage

from sockd import events
from sockd.access import reasons
from sockd.access.limits import Limits
from sockd.cli import main as sockd
from sockd.client.chat.typed import COMMANDS
from sockd.client.exits import Exit
from sockd.client.main import sock
from sockd.config.settings import DaemonSettings, default_instances
from sockd.formats.chat.events import Code
from sockd.listen.schemes import SCHEMES
from sockd.ops.manual import client_page, daemon_page
from sockd.ops.manual.commands import commands, exit_codes, options
from sockd.ops.manual.twisted_options import EVERYWHERE
from sockd.options.control import CONTROL_NAME
from sockd.options.runtime import runtime_directory
from sockd.options.state import BANS_NAME, state_directory
from sockd.service import find
from sockd.twistd import Options, alone_options
from tests.processes import run

ROOT = Path(__file__).parents[3]
PAGES = sorted((ROOT / "man").iterdir())
SOURCE = ROOT / "src" / "sockd"
FOUND = find()


def text_of(name: str) -> str:
    """A page as a reader sees it, in one line."""
    done = run("mandoc", "-T", "utf8", "-O", "width=1000", str(ROOT / "man" / name))
    assert done.returncode == 0
    return " ".join(re.sub(".\b", "", done.stdout).split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_mandoc_finds_nothing_wrong(page: Path) -> None:
    done = run("mandoc", "-T", "lint", "-W", "style", str(page))
    names = "|".join(re.escape(f"{one.stem} {one.suffix[1:]}") for one in PAGES)
    # the other pages are not installed here
    other = re.compile(rf".*: STYLE: referenced manual not found: Xr ({names})")
    lines = [*done.stdout.splitlines(), *done.stderr.splitlines()]
    assert [line for line in lines if not other.fullmatch(line)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_refers_to_is_there(page: Path) -> None:
    for name, number in re.findall(r"^\.Xr (\S+) (\d)", page.read_text("utf-8"), re.M):
        assert (ROOT / "man" / f"{name}.{number}").exists()


PROGRAMS: dict[str, tuple[str, click.Group]] = {
    "sock": ("sock.1", sock),
    "sockd": ("sockd.8", sockd),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_command_and_every_option_is_told(name: str) -> None:
    page, program = PROGRAMS[name]
    text = text_of(page)
    for path, command, ctx in commands(program, name):
        assert f" {path} " in text
        for option in options(command):
            record = option.get_help_record(ctx)
            assert record is None or all(
                f"{flag} " in text or f"{flag}," in text for flag in option.opts
            )


@pytest.mark.parametrize("options", [Options(), alone_options("KIND")()])
def test_every_option_of_twistds_commands_is_told(options: usage.Options) -> None:
    text = text_of("sockd.8").partition(" COMMANDS OF TWISTD ")[2]
    for name in {long.removesuffix("=") for long in options.longOpt} - EVERYWHERE:
        assert f"--{name} " in text


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_more_than_the_help_says_is_said_of_exit_codes(name: str) -> None:
    _, program = PROGRAMS[name]
    told = [int(line[4:]) for line in exit_codes(program) if re.fullmatch(r"\.It \d+", line)]
    assert told == ([*Exit] if name == "sock" else [0, 1, 2])


def example_commands() -> list[list[str]]:
    """What the examples of both programs type."""
    lines = [line[2:] for _, line in (*client_page.EXAMPLES, *daemon_page.EXAMPLES)]
    return [shlex.split(one) for line in lines for one in line.split(" && ")]


@pytest.mark.parametrize("words", example_commands(), ids=" ".join)
def test_an_example_is_a_command_line_that_is_understood(words: list[str]) -> None:
    program, name, *arguments = words
    group = PROGRAMS[program][1]
    command = group.get_command(click.Context(group), name)
    assert command is not None
    command.make_context(name, arguments)


def test_every_event_and_every_reason_is_among_the_diagnostics() -> None:
    text = text_of("sockd.8").partition(" DIAGNOSTICS ")[2]
    for name in (*events.SENTENCES, *reasons.SENTENCES):
        assert f" {name} " in text


def looked_up(tree: ast.AST) -> Iterator[ast.expr]:
    """The names that something is asked for: x.get(name), x[name], name in environ."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            if node.func.attr == "get":
                yield node.args[0]
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            yield node.slice
        elif isinstance(node, ast.Compare) and "environ" in ast.unparse(node.comparators[0]):
            yield node.left


def variables(file: Path) -> Iterator[str]:
    """The variables of the environment that a file of the source asks for."""
    for name in looked_up(ast.parse(file.read_text("utf-8"))):
        if isinstance(name, ast.Constant) and re.fullmatch("[A-Z][A-Z_]+", str(name.value)):
            yield str(name.value)


def test_every_variable_that_the_daemon_and_its_commands_read_is_told() -> None:
    others = {SOURCE / "client", SOURCE / "importer"}  # that one knows words of xinetd
    files = [file for file in SOURCE.rglob("*.py") if others.isdisjoint(file.parents)]
    read = {name for file in files for name in variables(file)}
    read |= {
        str(option.envvar)
        for _, command, _ in commands(sockd, "sockd")
        for option in options(command)
        if option.envvar is not None
    }
    usual = {"SOCKD_CONTROL", "HOME", "TZ", "LISTEN_FDS", "JOURNAL_STREAM"}
    assert read >= usual  # what is looked for is found
    text = text_of("sockd.8").partition(" ENVIRONMENT ")[2].partition(" FILES ")[0]
    assert [name for name in sorted(read) if not re.search(rf"\b{name}\b", text)] == []


def test_where_the_daemon_keeps_what_outlives_it_is_among_the_files() -> None:
    text = text_of("sockd.8").partition(" FILES ")[2].partition(" EXIT STATUS ")[0]
    folders = runtime_directory({}, uid=0), state_directory({}, uid=0)
    for name in (*folders, CONTROL_NAME, BANS_NAME):
        assert f" {name} " in text, name


def test_every_option_kind_instance_and_listen_string_is_told_of_the_configuration() -> None:
    text = text_of("sockd.toml.5")
    kinds = [kind.options for kind in FOUND.kinds.values()]
    for table in (DaemonSettings, Limits, *kinds):
        for option in attrs.fields(table):
            assert f" {option.name} = " in text
    for name in (*FOUND.kinds, *default_instances(FOUND), *SCHEMES):
        assert re.search(rf"\b{name}\b", text), name


def test_every_command_and_every_code_of_the_chat_is_told() -> None:
    text = text_of("sockd-chat.7")
    assert [one for one in COMMANDS if f" /{one} " not in text] == []
    assert [code for code in Code if f" {code:d} {code.name} " not in text] == []


@pytest.mark.parametrize("name", ["sock.1", "sockd.8"])
def test_a_synopsis_opens_and_closes_its_brackets(name: str) -> None:
    synopsis = text_of(name).partition(" SYNOPSIS ")[2].partition(" DESCRIPTION ")[0]
    assert "]" in synopsis
    assert synopsis.count("[") == synopsis.count("]")
