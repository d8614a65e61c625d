"""What would stop a start, found without one."""

from __future__ import annotations

from contextlib import ExitStack

from sockd.config.settings import Settings
from sockd.listen.listen import Listen
from sockd.listen.socket_files import remove_own
from sockd.listen.sockets import ListenError, bound_file, failures
from sockd.net.listener import is_fatal


def try_binding(settings: Settings) -> list[str]:
    """Bind every address and let all go again: what would stop a start, as `NAME: REASON`."""
    reasons = []
    with ExitStack() as held:  # all at once: two may stand in each other's way
        for instance in settings.instances:
            errors = []
            for listen in instance.listen:
                try:
                    _hold(listen, held)
                except ListenError as error:
                    if is_fatal(error, instance.limits.required):
                        errors.append(error)
            reasons += [f"{instance.name}: {reason}" for reason in failures(errors)]
    return reasons


def _hold(listen: Listen, held: ExitStack) -> None:
    sock, identity = bound_file(listen)
    held.enter_context(sock)
    held.callback(remove_own, listen.path, identity)
