"""What commands have that read a configuration: how it is named, and what is said of mistakes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, TypeVar

import click

from sockd.ops.cli.printing import complain, tell

if TYPE_CHECKING:
    from sockd.config.document import ConfigError
    from sockd.config.settings import Settings

FunctionT = TypeVar("FunctionT", bound=Callable[..., None])

_path = click.Path(readable=False)  # a text: whether it can be read is told later
_OPTIONS = (
    click.argument("file", required=False, type=_path),
    click.option("-c", "--config", type=_path, metavar="FILE", help="The same as FILE alone."),
    click.option("--only", metavar="NAME,...", help="Run only these instances."),
    click.option(
        "--interface",
        metavar="ADDRESS",
        help="Have the built-in configuration listen at this address, or '*' for all, and not on "
        "loopback; whoever reaches this host may come then.",
    ),
    click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="KEY=VALUE",
        help="Set one value, as service.echo.idle_timeout=5s; may be given several times.",
    ),
)


def configuration_options(function: FunctionT) -> FunctionT:
    """FILE, --config, --only, --interface and --set."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def load_settings(
    file: str | None,
    config: str | None,
    only: str | None,
    interface: str | None,
    assignments: tuple[str, ...],
    *,
    as_json: bool = False,
) -> Settings:
    """Read the configuration; where that has a mistake it is told, and this process ends."""
    if file and config:
        raise click.UsageError("FILE and --config FILE are the same: give one of them")
    if interface is not None and (file or config):
        raise click.UsageError(
            "--interface is for the built-in configuration: a FILE says it itself"
        )
    from sockd.config.document import ConfigError

    try:
        return read_settings(file, config, only, interface, assignments)
    except ConfigError as error:
        _give_up(error, as_json)


def read_settings(
    file: str | None,
    config: str | None,
    only: str | None,
    interface: str | None,
    assignments: tuple[str, ...],
) -> Settings:
    """Read the configuration; a reload does it again. Raises ConfigError."""
    from sockd.config.load import load, names_of
    from sockd.service import find

    return load(file or config, names_of(only), assignments, find(), interface)


def _give_up(error: ConfigError, as_json: bool) -> NoReturn:
    from sockd.ops.report import error_json, error_text

    if as_json:
        tell(f"{error_json(error)}\n")
    else:
        complain(error_text(error))
    sys.exit(2 if error.is_usage else 1)
