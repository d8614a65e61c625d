"""The names of sockd's twistd commands and of its reactor; nothing is imported until it is used."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from twisted.application.reactors import Reactor
from twisted.application.service import IServiceMaker, ServiceMaker
from twisted.plugin import IPlugin, pluginPackagePaths
from zope.interface import implementer

sockd = ServiceMaker("sockd", "sockd.twistd", "Many small network services in one process", "sockd")
uvloop = Reactor("uvloop", "sockd.reactor.entry", "uvloop based reactor, for fast streams.")


@implementer(IPlugin, IServiceMaker)
class Alone:
    """`twistd sockd-KIND`: one kind of service alone."""

    def __init__(self, kind: str, description: str) -> None:
        self._kind = kind
        self.tapname = f"sockd-{kind}"
        self.description = description

    def options(self) -> Any:
        """The command's options."""
        from sockd.twistd import alone_options

        return alone_options(self._kind)()

    def makeService(self, options: Any) -> Any:
        """The service that they ask for."""
        from sockd.twistd import makeService

        return makeService(options)


def _commands() -> dict[str, Alone]:
    """A command for each file among the services; its first line is the description."""
    spec = find_spec("sockd")
    if spec is None or not spec.submodule_search_locations:
        return {}
    found: dict[str, Alone] = {}
    folders = [str(Path(spec.submodule_search_locations[0]) / "services")]
    for folder in folders + pluginPackagePaths("sockd.services"):
        for path in sorted(Path(folder).glob("[!_]*.py")):
            # foreign files among them: one that is not UTF-8 must not take away the commands
            with path.open(encoding="utf-8", errors="replace") as file:
                description = file.readline().strip().strip('"').rstrip(".")
            found.setdefault(f"sockd_{path.stem}", Alone(path.stem, description))
    return found


def __getattr__(name: str) -> None:
    """Nothing, for the command of a service that is gone: Twisted's cache may still have it."""
    if not name.startswith("sockd_"):
        raise AttributeError(name)


globals().update(_commands())
