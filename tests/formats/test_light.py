"""Formats and ports are for clients too, whose help has to be there at once."""

from __future__ import annotations

import pkgutil
import sys

from sockd import formats
from tests.processes import run

SCRIPT = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"twisted", "OpenSSL", "uvloop"}))
print(*sorted(name for name in sys.modules if name.startswith("sockd.net")))
"""


def test_formats_and_ports_load_no_twisted_and_nothing_of_the_daemon() -> None:
    names = [module.name for module in pkgutil.walk_packages(formats.__path__, "sockd.formats.")]
    assert {"sockd.formats.ports", "sockd.formats.chat.texts"} <= set(names)
    done = run(sys.executable, "-c", SCRIPT, *names)
    assert (done.returncode, done.stdout) == (0, "\n\n"), done.stderr
