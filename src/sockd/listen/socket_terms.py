"""Whose a socket file is and what its mode is, changed while its socket stays bound."""

from __future__ import annotations

import os

from sockd.listen.listen import Listen
from sockd.listen.socket_files import Identity, Owner, owner_mistake, set_owner
from sockd.listen.sockets import ListenError


def check_file(before: Listen, after: Listen, identity: Identity | None) -> None:
    """Raise ListenError where the file that was bound cannot have the mode and the owner wanted."""
    if identity is None:
        return
    try:
        found = os.lstat(after.path)
    except OSError as error:
        raise ListenError(after, error.strerror or str(error)) from None
    if (found.st_dev, found.st_ino) != identity or os.geteuid() == 0:
        return
    if os.geteuid() != found.st_uid:
        raise ListenError(after, "its file is another user's: its mode cannot be changed")
    user, group = owner = _changed(before.terms.owner, after.terms.owner)
    groups = {None, found.st_gid, os.getegid(), *os.getgroups()}
    if user not in (None, found.st_uid) or group not in groups:
        raise ListenError(after, owner_mistake(owner))


def set_file(listen: Listen, before: Owner, identity: Identity | None) -> str:
    """Have the file that was bound as it is wanted now; why it cannot be so, or nothing.

    `before` is whose it was said to be.
    """
    if identity is None:
        return ""
    terms = listen.terms
    try:
        is_there = set_owner(listen.path, identity, _changed(before, terms.owner), terms.mode)
    except OSError as error:
        return error.strerror or str(error)
    return "" if is_there else "it has been replaced by another"


def _changed(before: Owner, after: Owner) -> Owner:
    """Whom a file is to be given to where its owner was `before`; None: it keeps what it has."""

    def changed(had: int | None, has: int | None, own: int) -> int | None:
        if had == has:
            return None
        return own if has is None else has

    return changed(before[0], after[0], os.geteuid()), changed(before[1], after[1], os.getegid())
