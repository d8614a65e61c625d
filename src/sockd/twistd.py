"""twistd's commands: their options, and the way to what they start.

twistd imports this to show the options, so everything heavy is imported where it is used: `--help`
is quick.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from twisted.application.service import IService
from twisted.python import usage

from sockd.ops.signals import spare
from sockd.ops.standard import open_missing

if TYPE_CHECKING:
    from sockd.config.settings import Settings


def _give_up(why: str, code: int) -> NoReturn:
    # not usage.UsageError: twistd ends with 0 after it
    sys.stderr.write(f"{why}\n")
    sys.exit(code)


class _CommonOptions(usage.Options):
    """What both commands take, and how they end when something is wrong."""

    optParameters = [  # noqa: RUF012 - Twisted's options are declared so
        ["log-format", None, None, "log lines as 'text' or 'json' [default: as configured]"],
    ]
    optFlags = [  # noqa: RUF012
        ["check", None, "check the configuration, list what would listen, and exit"],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["set"] = []

    def opt_set(self, assignment: str) -> None:
        """Set one configuration value: service.echo.idle_timeout=5s"""
        self["set"].append(assignment)

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read the command line. What cannot be read ends with 2, as with `sockd`."""
        spare()
        open_missing()
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            command = self.parent.subCommand if self.parent else "sockd"
            _give_up(f"sockd: {error} (`twistd {command} --help` tells what there is)", 2)

    def parseArgs(self, *arguments: str) -> None:
        """There are options only."""
        if arguments:
            raise usage.UsageError(f"unexpected: {' '.join(arguments)}")

    def settings(self) -> Settings:
        """The configuration that the options ask for. Raises ConfigError."""
        raise NotImplementedError

    def postOptions(self) -> None:
        """Check everything before anything is started."""
        from sockd.config.document import ConfigError
        from sockd.ops.log_lines import FORMATS
        from sockd.ops.report import check_text, error_text

        try:
            self["settings"] = settings = self.settings()
        except ConfigError as error:
            _give_up(error_text(error), 2 if error.is_usage else 1)
        name = self["log-format"] or settings.daemon.log_format
        if name not in FORMATS:
            _give_up(f"sockd: --log-format {name}: expected one of {', '.join(FORMATS)}", 2)
        self["log-format"] = name
        if self["check"]:
            sys.stdout.write(check_text(settings))
            sys.exit(0)


class Options(_CommonOptions):
    """twistd sockd: every service that a configuration file selects."""

    optParameters = [  # noqa: RUF012
        ["config", "c", None, "the configuration file [default: the built-in one]"],
        ["only", None, None, "run only these instances: NAME,NAME,..."],
    ]

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path.cwd()

    def settings(self) -> Settings:
        from sockd.config.load import load, names_of
        from sockd.service import find

        config = self["config"]
        if config and Path.cwd() != self._folder:  # at a reload: twistd has gone to its `--rundir`
            config = str(self._folder / config)
        return load(config, names_of(self["only"]), self["set"], find())


def alone_options(kind_name: str) -> Callable[[], usage.Options]:
    """The options class of `twistd sockd-KIND`."""

    class AloneOptions(_CommonOptions):
        """twistd sockd-KIND: one kind of service alone."""

        def __init__(self) -> None:
            super().__init__()
            self["listen"] = []

        def opt_listen(self, text: str) -> None:
            """Where to listen, as tcp:7800:interface=127.0.0.1; may be given several times"""
            self["listen"].append(text)

        def settings(self) -> Settings:
            from sockd.config.load import load_alone
            from sockd.service import find

            return load_alone(kind_name, self["listen"], self["set"], find())

    return AloneOptions


def makeService(options: usage.Options) -> IService:
    """Twisted's plugin: the service that the options of either command ask for."""
    from sockd import background

    return background.makeService(options)
