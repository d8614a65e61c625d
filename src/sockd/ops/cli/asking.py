"""What all commands that ask a running daemon have: the socket, and how an answer is shown."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from sockd import __version__
from sockd.formats.text import escape
from sockd.ops.cli.printing import complain, tell

if TYPE_CHECKING:
    from sockd.ops.control.frames import ControlError

T = TypeVar("T")
MISREAD = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What comes of an answer in which something is missing, or of another type than it was."""
CONTROL_VARIABLE = "SOCKD_CONTROL"
"""The environment variable that names the socket, so that not every command has to."""
control_option = click.option(
    "--control",
    type=click.Path(readable=False),
    metavar="PATH",
    envvar=CONTROL_VARIABLE,
    help="The daemon's control socket [default: $SOCKD_CONTROL; else in the runtime directory, or "
    "the system's].",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")

COMPLETION_SECONDS = 1.0
"""How long somebody waits at a prompt, where the daemon does not answer."""


def services(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The services of the running daemon, for a shell that completes."""
    answer = _for_a_shell(context, "status")
    with suppress(*MISREAD):
        names = [one["name"] for key in ("services", "disabled") for one in answer.get(key, ())]
        return sorted(name for name in names if name.startswith(incomplete))
    return []


def banned(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """What the running daemon bans everywhere, for a shell that completes."""
    bans = _for_a_shell(context, "bans").get("bans", ())
    with suppress(*MISREAD):
        found = [one["prefix"] for one in bans if one["service"] is None]
        return sorted(prefix for prefix in found if prefix.startswith(incomplete))
    return []


def _for_a_shell(context: click.Context, command: str) -> dict[str, Any]:
    """An answer, or nothing: a prompt is no place for mistakes."""
    from sockd.ops.control.client import ControlClient
    from sockd.ops.control.frames import ControlError

    try:
        with ControlClient(context.params.get("control"), COMPLETION_SECONDS) as client:
            return client.ask(command)
    except ControlError:
        return {}


def ask(
    control: str | None,
    command: str,
    /,
    *,
    as_json: bool = False,
    for_long: bool = False,
    **arguments: Any,
) -> dict[str, Any]:
    """The daemon's answer; without one it is said why, and this process ends.

    With 2 where the request was wrong, else with 1. `for_long`: it may take as long as it likes,
    where the daemon answers others meanwhile.
    """
    from sockd.ops.control.client import ControlClient
    from sockd.ops.control.frames import ControlError

    try:
        with ControlClient(control) as client:
            answer = client.ask_for_long if for_long else client.ask
            return answer(command, **arguments)
    except ControlError as error:
        give_up(error, as_json=as_json)


def follow(
    control: str | None,
    command: str,
    text: Callable[[Mapping[str, Any]], str],
    /,
    *,
    as_json: bool = False,
    **arguments: Any,
) -> NoReturn:
    """Print what goes on, an item a line, until ^C, which is no failure, or until the daemon ends.

    `text` makes a line of an item for people; it escapes.
    """
    from sockd.ops.control.client import ControlClient
    from sockd.ops.control.frames import ControlError

    try:
        with ControlClient(control) as client:
            for item in client.follow(command, **arguments):
                show(item, text, as_json=as_json)
        raise ControlError("the daemon has ended")
    except KeyboardInterrupt:
        sys.exit(0)
    except ControlError as error:
        give_up(error, as_json=as_json)


def give_up(error: ControlError, *, as_json: bool) -> NoReturn:
    """Say why there is no answer, and end."""
    if not str(error).strip():
        error = lacking()
    if as_json:
        tell(f"{json.dumps({'ok': False, 'kind': error.kind, 'error': str(error)})}\n")
    else:
        lines = [escape(line) for line in str(error).splitlines()]
        complain("\n".join([f"sockd: {lines[0]}", *lines[1:]]))
    sys.exit(2 if error.kind == "usage" else 1)


def show(
    answer: Mapping[str, Any], text: Callable[[Mapping[str, Any]], str], *, as_json: bool
) -> None:
    """Print an answer: as it came, or as a text for people, in which `text` escapes."""
    if as_json:
        tell(f"{json.dumps(answer)}\n")
    else:
        tell(read(answer, text, as_json=False))


def read(answer: Mapping[str, Any], what: Callable[[Mapping[str, Any]], T], *, as_json: bool) -> T:
    """What a function makes of an answer; where it cannot, that is told, and this process ends."""
    from sockd.ops.control.frames import ControlError

    try:
        with understood():
            return what(answer)
    except ControlError as error:
        give_up(error, as_json=as_json)


@contextmanager
def understood() -> Iterator[None]:
    """Read an answer. Raises ControlError where it is not what this command reads."""
    try:
        yield
    except MISREAD as error:
        raise lacking(error) from None


def lacking(error: Exception | None = None) -> ControlError:
    """What is said where an answer has not all that is shown: sockd was installed anew, perhaps."""
    from sockd.ops.control.frames import ControlError

    has_no = isinstance(error, KeyError) and f"has no {error}"
    return ControlError(
        f"the answer {has_no or 'cannot be read'}: the daemon is not of the version of this "
        f"command, {__version__} (`sockd upgrade` has it run this one)"
    )
