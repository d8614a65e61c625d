"""The command `sockd`: run the daemon, check a configuration, tell what there is.

Exit codes: 0 all is well; 1 a mistake in the configuration, or the daemon cannot start; 2 a mistake
on the command line. Modules are imported by the command that needs them: `--help` is quick.
"""

# ruff: noqa: E402 - what comes first is first
from __future__ import annotations

import sys

from sockd.ops.signals import spare
from sockd.ops.standard import leave_lost_folder, open_missing

open_missing()
leave_lost_folder()
if sys.argv[1:2] == ["run"]:
    spare()  # now, for what is imported below takes longer than Python to start

import json
import shutil
from functools import partial

import click

from sockd import __version__
from sockd.ops.cli import (
    access,
    bans,
    chat,
    completion,
    doctor,
    importing,
    log_level,
    metrics,
    reload,
    sessions,
    status,
    switches,
    top,
    upgrade,
)
from sockd.ops.cli.asking import json_option
from sockd.ops.cli.loading import configuration_options, load_settings, read_settings
from sockd.ops.cli.printing import Program, tell

TOPICS = (
    access,
    bans,
    chat,
    completion,
    doctor,
    importing,
    log_level,
    metrics,
    reload,
    sessions,
    status,
    switches,
    top,
    upgrade,
)
"""The files of commands that are not here."""


def _names(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """What `sockd services` knows, for a shell that completes."""
    from sockd.config.settings import default_instances
    from sockd.service import find

    found = find()
    known = {*found.kinds, *default_instances(found)}
    return sorted(name for name in known if name.startswith(incomplete))


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sockd")
def main() -> None:
    """Many small network services in one process.

    Exit codes: 0 all is well; 1 a mistake in the configuration, the daemon cannot start or does not
    answer, what was asked for is refused, or the answer is no; 2 a mistake on the command line.
    """


@main.command()
@configuration_options
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
    """Run the daemon in the foreground, until ^C.

    With a configuration FILE, or the built-in one.
    """
    spare()
    from sockd.run import run_foreground

    settings = load_settings(file, config, only, interface, assignments)
    if only_check:
        from sockd.ops.report import check_text

        tell(check_text(settings))
        return
    again = partial(read_settings, file, config, only, interface, assignments)
    sys.exit(run_foreground(settings, again, reactor, log_format or settings.daemon.log_format))


@main.command()
@configuration_options
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
    """Check a configuration FILE, and list what would listen.

    Without FILE the built-in one.

    Exit code 0: it is right (and, with --bind, every address can be had); 1: it is not; 2: --only
    or --set is wrong, and nothing else. With --json, an object with ok, files, instances, warnings,
    mistakes, and failures, which are the addresses that cannot be bound.
    """
    from sockd.daemon.trial import try_binding
    from sockd.ops.report import check_json, check_text

    settings = load_settings(file, config, only, interface, assignments, as_json=as_json)
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
@json_option
def services(name: str | None, as_json: bool) -> None:
    """List the kinds of service, or tell all about NAME.

    NAME may be a default instance too: then all about its kind is told. Defaults in JSON are as
    TOML has them.
    """
    from sockd.config.settings import default_instances
    from sockd.formats.nearest import near_miss
    from sockd.ops.describe import describe, describe_json, overview, overview_json
    from sockd.service import find

    found = find()
    if name is None and as_json:
        tell(f"{json.dumps(overview_json(found))}\n")
        return
    if name is None:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        tell(overview(found, width))
        return
    instances = default_instances(found)
    kind = found.kinds.get(name) or (instances[name][0] if name in instances else None)
    if kind is None:
        miss = near_miss(name, sorted({*found.kinds, *instances}), or_all=True)
        raise click.UsageError(f"there is no kind of service {name!r}{miss}")
    if as_json:
        tell(f"{json.dumps(describe_json(kind))}\n")
        return
    if kind.name != name:
        tell(f"{name} is an instance of {kind.name}.\n\n")
    tell(describe(kind))


@main.command()
@configuration_options
@json_option
def config(
    file: str | None,
    config: str | None,
    only: str | None,
    interface: str | None,
    assignments: tuple[str, ...],
    as_json: bool,
) -> None:
    """Print every setting that holds, and where it came from.

    With FILE: of that configuration. Without FILE and options: the built-in configuration,
    annotated, the start of one of your own.
    """
    if not (file or config or only or interface or assignments or as_json):
        from sockd.config.annotated import default_config
        from sockd.service import find

        tell(default_config(find()))
        return
    from sockd.config.effective import effective_json, effective_toml

    settings = load_settings(file, config, only, interface, assignments, as_json=as_json)
    if as_json:
        tell(f"{json.dumps(effective_json(settings))}\n")
    else:
        tell(effective_toml(settings))


for topic in TOPICS:
    for command in topic.COMMANDS:
        main.add_command(command)

if __name__ == "__main__":
    main()
