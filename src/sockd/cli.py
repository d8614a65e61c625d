"""The command `sockd`: run the daemon, check a configuration, tell what there is.

Exit codes: 0 all is well; 1 a mistake in the configuration, or the daemon cannot start; 2 a mistake
on the command line. Modules are imported by the command that needs them: `--help` is quick.
"""

# ruff: noqa: E402 - what comes first is first
from __future__ import annotations

import sys

from sockd.ops.signals import spare
from sockd.ops.standard import open_missing

open_missing()
if sys.argv[1:2] == ["run"]:
    spare()  # now, for what is imported below takes longer than Python to start

import json
import shutil
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import click

from sockd import __version__
from sockd.ops.cli import completion, metrics, reload, status, upgrade
from sockd.ops.cli.asking import json_option
from sockd.ops.cli.printing import tell

if TYPE_CHECKING:
    from sockd.config.document import ConfigError
    from sockd.config.settings import Settings

_path = click.Path(readable=False)  # a text: whether it can be read is told later
_file = click.argument("file", required=False, type=_path)
_config = click.option("-c", "--config", type=_path, metavar="FILE", help="The same as FILE alone.")
_only = click.option("--only", metavar="NAME,...", help="Run only these instances.")
_interface = click.option(
    "--interface",
    metavar="ADDRESS",
    help="Have the built-in configuration listen at this address, or '*' for all, and not on "
    "loopback; whoever reaches this host may come then.",
)
_set = click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set one value, as service.echo.idle_timeout=5s; may be given several times.",
)


def _names(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """What `sockd services` knows, for a shell that completes."""
    from sockd.config.settings import default_instances
    from sockd.service import find

    found = find()
    known = {*found.kinds, *default_instances(found)}
    return sorted(name for name in known if name.startswith(incomplete))


ASKING = (
    completion,
    metrics,
    reload,
    status,
    upgrade,
)
"""The files of commands that are not here; most ask a running daemon."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sockd")
def main() -> None:
    """Many small network services in one process.

    Exit codes: 0 all is well; 1 a mistake in the configuration, or the daemon cannot start; 2 a
    mistake on the command line.
    """


@main.command()
@_file
@_config
@_only
@_interface
@_set
@click.option("-r", "--reactor", metavar="NAME", help="Twisted reactor to run on, such as epoll.")
@click.option("--log-format", type=click.Choice(["text", "json"]), help="Form of log lines.")
@click.option(
    "--check", "only_check", is_flag=True, help="Check that all it takes is there, and exit."
)
def run(
    file: str | None,
    config: str | None,
    only: str | None,
    interface: str | None,
    assignments: tuple[str, ...],
    reactor: str | None,
    log_format: str | None,
    only_check: bool,
) -> None:
    """Run the daemon in the foreground, until ^C, with a configuration FILE or the built-in one."""
    spare()
    from sockd.run import run_foreground

    settings = _load(file, config, only, interface, assignments)
    if only_check:
        from sockd.ops.report import check_text

        tell(check_text(settings))
        return
    again = partial(_read, file, config, only, interface, assignments)
    sys.exit(run_foreground(settings, again, reactor, log_format or settings.daemon.log_format))


@main.command()
@_file
@_config
@_only
@_interface
@_set
@click.option(
    "--bind",
    is_flag=True,
    help="Bind every address too, and let it go again. As at a start, a socket file in the way "
    "that nobody listens at is removed.",
)
@json_option
def check(
    file: str | None,
    config: str | None,
    only: str | None,
    interface: str | None,
    assignments: tuple[str, ...],
    bind: bool,
    as_json: bool,
) -> None:
    """Check a configuration FILE (or the built-in one) and list what would listen.

    Exit code 0: it is right (and, with --bind, every address can be had); 1: it is not; 2: --only
    or --set is wrong, and nothing else. With --json, an object with ok, files, instances, warnings,
    mistakes, and failures, which are the addresses that cannot be bound.
    """
    from sockd.daemon.trial import try_binding
    from sockd.ops.report import check_json, check_text

    settings = _load(file, config, only, interface, assignments, as_json=as_json)
    if not as_json:
        tell(check_text(settings))
    failures = try_binding(settings) if bind else []
    if as_json:
        tell(f"{check_json(settings, failures)}\n")
        sys.exit(bool(failures))
    if failures:
        sys.exit("\n".join(["sockd: some addresses cannot be bound", *failures]))


@main.command()
@click.argument("name", required=False, shell_complete=_names)
def services(name: str | None) -> None:
    """List the kinds of service, or tell all about the one called NAME.

    NAME may be a default instance too: then all about its kind is told.
    """
    from sockd.config.settings import default_instances
    from sockd.formats.nearest import near_miss
    from sockd.ops.describe import describe, overview
    from sockd.service import find

    found = find()
    if name is None:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        tell(overview(found, width))
        return
    instances = default_instances(found)
    kind = found.kinds.get(name) or (instances[name][0] if name in instances else None)
    if kind is None:
        miss = near_miss(name, sorted({*found.kinds, *instances}), or_all=True)
        raise click.UsageError(f"there is no kind of service {name!r}{miss}")
    if kind.name != name:
        tell(f"{name} is an instance of {kind.name}.\n\n")
    tell(describe(kind))


@main.command()
@_file
@_config
@_only
@_interface
@_set
@json_option
def config(
    file: str | None,
    config: str | None,
    only: str | None,
    interface: str | None,
    assignments: tuple[str, ...],
    as_json: bool,
) -> None:
    """Print what holds: every setting of a configuration FILE, and where its value came from.

    Without FILE and options: the built-in configuration, annotated: the start of one of your own.
    """
    if not (file or config or only or interface or assignments or as_json):
        from sockd.config.annotated import default_config
        from sockd.service import find

        tell(default_config(find()))
        return
    from sockd.config.effective import effective_json, effective_toml

    settings = _load(file, config, only, interface, assignments, as_json=as_json)
    if as_json:
        tell(f"{json.dumps(effective_json(settings))}\n")
    else:
        tell(effective_toml(settings))


def _load(
    file: str | None,
    config: str | None,
    only: str | None,
    interface: str | None,
    assignments: tuple[str, ...],
    *,
    as_json: bool = False,
) -> Settings:
    if file and config:
        raise click.UsageError("FILE and --config FILE are the same: give one of them")
    if interface is not None and (file or config):
        raise click.UsageError(
            "--interface is for the built-in configuration: FILE says itself where"
        )
    from sockd.config.document import ConfigError

    try:
        return _read(file, config, only, interface, assignments)
    except ConfigError as error:
        _give_up(error, as_json)


def _read(
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
        click.echo(error_text(error), err=True)
    sys.exit(2 if error.is_usage else 1)


for topic in ASKING:
    for command in topic.COMMANDS:
        main.add_command(command)

if __name__ == "__main__":
    main()
