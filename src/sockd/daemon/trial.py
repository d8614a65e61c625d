"""What would stop a start, found without one."""

from __future__ import annotations

from pathlib import Path

from sockd.config.settings import Settings
from sockd.listen.sockets import ListenError, bound, failures
from sockd.net.listener import is_fatal


def try_binding(settings: Settings) -> list[str]:
    """Bind every address and let it go again: what would stop a start, as `NAME: REASON`."""
    reasons = []
    for instance in settings.instances:
        errors = []
        for listen in instance.listen:
            try:
                bound(listen).close()
                if listen.path:
                    Path(listen.path).unlink()
            except ListenError as error:
                if is_fatal(error, instance.limits.required):
                    errors.append(error)
        reasons += [f"{instance.name}: {reason}" for reason in failures(errors)]
    return reasons
