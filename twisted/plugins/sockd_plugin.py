"""The names of sockd's twistd commands; nothing of it is imported until one is used."""

from __future__ import annotations

import pkgutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from twisted.application.service import IServiceMaker, ServiceMaker
from twisted.plugin import IPlugin
from zope.interface import implementer

sockd = ServiceMaker("sockd", "sockd.twistd", "Many small network services in one process", "sockd")


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
    """A command for each file in the package of services; its first line is the description."""
    spec = find_spec("sockd")
    if spec is None or not spec.submodule_search_locations:
        return {}
    found = {}
    folder = Path(spec.submodule_search_locations[0]) / "services"
    for module in pkgutil.iter_modules([str(folder)]):
        with (folder / f"{module.name}.py").open(encoding="utf-8") as file:
            description = file.readline().strip().strip('"').rstrip(".")
        found[f"sockd_{module.name}"] = Alone(module.name, description)
    return found


globals().update(_commands())
