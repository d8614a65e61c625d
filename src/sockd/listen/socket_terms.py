"""Whose a socket file is and what its mode is, changed while its socket stays bound."""

from __future__ import annotations

import os
import socket

from attrs import frozen

from sockd.listen.listen import Listen
from sockd.listen.socket_files import Identity, Owner, is_so, owner_mistake, set_owner
from sockd.listen.sockets import ListenError
from sockd.listen.terms import Terms


@frozen
class Taken:
    """A bound socket that is there already, for who listens at its address from now on."""

    sock: socket.socket
    file: Identity | None
    """Its socket file, if a daemon has made it."""
    before: Terms | None = None
    """What has held there; None where nobody knows."""


def take(listen: Listen, taken: Taken) -> socket.socket:
    """A duplicate of a socket for its new place. Raises ListenError, also where its file cannot be
    as it is wanted there."""
    if taken.before is None:
        check_file((None, None), listen, taken.file)
    elif taken.before.file != listen.terms.file:
        check_file(taken.before.owner, listen, taken.file)
    try:
        sock = taken.sock.dup()
    except OSError as error:
        raise ListenError(listen, error.strerror or str(error)) from None
    # Python makes a duplicate wait, and with it the original, which shares the flag: the next
    # `accept` of a Twisted port would hold the reactor
    sock.setblocking(False)
    return sock


def check_file(before: Owner, after: Listen, identity: Identity | None) -> None:
    """Raise ListenError where the file that was bound cannot have the mode and the owner wanted.

    `before` is whose it was said to be. One that is gone is nobody's to change.
    """
    if identity is None:
        return
    try:
        found = os.lstat(after.path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ListenError(after, error.strerror or str(error)) from None
    if (found.st_dev, found.st_ino) != identity or os.geteuid() == 0:
        return
    user, group = owner = _changed(before, after.terms.owner)
    if is_so(found, owner, after.terms.mode):
        return
    if os.geteuid() != found.st_uid:
        raise ListenError(after, "its file is another user's: its mode cannot be changed")
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
