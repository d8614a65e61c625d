"""The command `sockd`: run the daemon, check a configuration, tell what there is.

Exit codes: 0 all is well; 1 a mistake in the configuration, or the daemon cannot start; 2 a mistake
on the command line. Modules are imported by the command that needs them: `--help` is quick.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from sockd import __version__

if TYPE_CHECKING:
    from sockd.config.settings import Settings

_file = click.argument("file", required=False)
_config = click.option("-c", "--config", metavar="FILE", help="The same as FILE alone.")
_only = click.option("--only", metavar="NAME,...", help="Run only these instances.")
_set = click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set one value, as service.echo.idle_timeout=5s; may be given several times.",
)


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
@_set
@click.option("-r", "--reactor", metavar="NAME", help="Twisted reactor to run on, such as epoll.")
@click.option("--log-format", type=click.Choice(["text", "json"]), help="Form of log lines.")
def run(
    file: str | None,
    config: str | None,
    only: str | None,
    assignments: tuple[str, ...],
    reactor: str | None,
    log_format: str | None,
) -> None:
    """Run the daemon in the foreground, until ^C, with a configuration FILE or the built-in one."""
    from sockd.run import run_foreground

    settings = _load(file, config, only, assignments)
    sys.exit(run_foreground(settings, reactor, log_format or settings.daemon.log_format))


@main.command()
@_file
@_config
@_only
@_set
@click.option("--bind", is_flag=True, help="Bind every address too, and let it go again.")
def check(
    file: str | None,
    config: str | None,
    only: str | None,
    assignments: tuple[str, ...],
    bind: bool,
) -> None:
    """Check a configuration FILE (or the built-in one) and list what would listen.

    Exit code 0: it is right (and, with --bind, every address can be had); 1: it is not.
    """
    from sockd.daemon.trial import try_binding
    from sockd.ops.report import check_text

    settings = _load(file, config, only, assignments)
    click.echo(check_text(settings), nl=False)
    if bind and (failures := try_binding(settings)):
        sys.exit("\n".join(["sockd: some addresses cannot be bound", *failures]))


@main.command()
@click.argument("name", required=False)
def services(name: str | None) -> None:
    """List the kinds of service, or tell all about the one called NAME."""
    from sockd.config.settings import default_instances, near_miss
    from sockd.ops.describe import describe, overview
    from sockd.service import find

    found = find()
    if name is None:
        click.echo(overview(found), nl=False)
    elif name in found.kinds:
        click.echo(describe(found.kinds[name]), nl=False)
    elif name in (instances := default_instances(found)):
        kind = instances[name][0].name
        sys.exit(f"sockd: {name} is an instance of {kind}: try `sockd services {kind}`")
    else:
        sys.exit(f"sockd: there is no kind of service {name!r}{near_miss(name, found.kinds)}")


@main.command()
def config() -> None:
    """Print the built-in configuration, annotated: the start of one of your own."""
    from sockd.config.annotated import default_config
    from sockd.service import find

    click.echo(default_config(find()), nl=False)


def _load(
    file: str | None, config: str | None, only: str | None, assignments: tuple[str, ...]
) -> Settings:
    if file and config:
        raise click.UsageError("FILE and --config FILE are the same: give one of them")
    from sockd.config.document import ConfigError
    from sockd.config.load import load
    from sockd.ops.report import error_text
    from sockd.service import find

    try:
        return load(file or config, None if only is None else only.split(","), assignments, find())
    except ConfigError as error:
        sys.exit(error_text(error))


if __name__ == "__main__":
    main()
