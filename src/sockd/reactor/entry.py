"""How sockd's reactor gets into a process: `twistd -r uvloop` comes here, and so does sockd.

Twisted is looked at before the reactor's own modules are imported: they need its parts at once.
"""

from __future__ import annotations

from sockd.reactor import foundations


def install() -> None:
    """Make it the process's reactor.

    Raises UnknownTwisted where Twisted is not as it was when this was written, and another
    ImportError where uvloop is not installed or the system has no epoll.
    """
    foundations.check()
    from sockd.reactor import uv

    uv.install()
