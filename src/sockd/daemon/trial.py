"""What would stop a start, found without one."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack

from sockd.config.settings import InstanceSettings, Settings
from sockd.daemon.plan import plan, shares_port
from sockd.listen.listen import Listen
from sockd.listen.socket_files import file_identity, remove_own
from sockd.listen.socket_terms import check_file
from sockd.listen.sockets import ListenError, bound_file, failures


def try_binding(settings: Settings) -> list[str]:
    """Bind every address and let all go again: what would stop a start, as `NAME: REASON`."""
    return _try((instance, instance.listen) for instance in settings.instances)


def try_new(old: Settings, new: Settings) -> list[str]:
    """The same of the addresses that `new` has and `old`, which runs, has not; but for those that
    one that runs hands over, or makes room for."""
    ours = [listen.address for instance in old.instances for listen in instance.listen]
    change = plan(old, new)
    reasons = []
    for instance in new.instances:
        kept = [one for one in instance.listen if one.path and one.address in ours]
        errors = [error for one in kept if (error := _misfit(one)) is not None]
        if instance.limits.required:
            reasons += [f"{instance.name}: {reason}" for reason in failures(errors)]
    return reasons + _try(
        (
            part.settings,
            [
                listen
                for identity, listen in part.addresses.add.items()
                if identity not in change.moves
                and not any(shares_port(address, listen) for address in ours)
            ],
        )
        for part in change.instances
    )


def _misfit(listen: Listen) -> ListenError | None:
    """Why a socket file that is there cannot have the mode and the owner that are wanted now."""
    try:
        check_file((None, None), listen, file_identity(listen.path))
    except FileNotFoundError:
        return None  # it is made anew
    except ListenError as error:
        return error
    return None


def _try(wanted: Iterable[tuple[InstanceSettings, Iterable[Listen]]]) -> list[str]:
    reasons = []
    with ExitStack() as held:  # all at once: two may stand in each other's way
        for instance, listens in wanted:
            errors = []
            for listen in listens:
                try:
                    _hold(listen, held)
                except ListenError as error:
                    if error.is_fatal(is_required=instance.limits.required):
                        errors.append(error)
            reasons += [f"{instance.name}: {reason}" for reason in failures(errors)]
    return reasons


def _hold(listen: Listen, held: ExitStack) -> None:
    sock, identity = bound_file(listen)
    held.enter_context(sock)
    held.callback(remove_own, listen.path, identity)
