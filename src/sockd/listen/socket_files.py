"""Socket files: bound with their mode, dead ones replaced, removed by who has bound them.

A directory may belong to somebody else, who changes what lies in it at any moment. So nothing is
done by a name that could lead elsewhere by then: a mode is right from the bind on, a file is
removed from the directory that was looked at, and a later mode is set on what was opened.

Two daemons that start at once could both find a dead socket, and each remove what the other one
has just bound. So who binds holds a lock: `.NAME.lock` beside the file, gone when that is done.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sockd.options.runtime import runtime_directory

OTHER_FILE = "there is a file that is not a socket; it is left alone"
BEING_BOUND = "another process is binding it at this moment: it holds {lock}, beside it"
_CHANGED = "the directory was changed while it was bound"
_LOCK_TRIES = 10
"""How often a lock is tried anew that was removed, by who had it, when we got it."""
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_LOCK = os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FILE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC

Identity = tuple[int, int]
"""Device and inode of a file."""


class SocketFileError(Exception):
    """Why a socket file is not bound, in words."""


class InUseError(Exception):
    """Somebody listens there."""


def path_mistake(path: str) -> str:
    """Why no socket file can be made at a path, or nothing. Nothing is changed.

    A socket that is there is no mistake: whether it is dead shows only when it is to be replaced.
    """
    directory = Path(path).parent
    if str(directory) == runtime_directory(os.environ, os.getuid()):
        # a start makes it, and what leads to it
        while not directory.exists() and directory != directory.parent:
            directory = directory.parent
    try:
        if not stat.S_ISDIR(directory.stat().st_mode):
            return f"{directory} is not a directory"
        found = Path(path).lstat()
    except FileNotFoundError:
        if not directory.exists():
            return f"{directory} is not there"
        found = None
    except OSError as error:
        return f"{directory}: {error.strerror}"
    if not os.access(directory, os.W_OK | os.X_OK, effective_ids=True):
        return f"{directory} cannot be written to"
    if found is not None and not stat.S_ISSOCK(found.st_mode):
        return OTHER_FILE
    return ""


Owner = tuple[int | None, int | None]
"""User and group of a file; None: the process's."""


def bind_file(
    sock: socket.socket, path: str, mode: int, backlog: int, owner: Owner = (None, None)
) -> Identity:
    """Bind a socket to a file of this mode, and listen if it is one for streams.

    A dead socket in its place goes. Raises InUseError where one lives, SocketFileError, OSError.
    """
    with _directory(path) as (directory, name), _lock(directory, name):
        found = _look(directory, name)
        if found is not None:
            if not stat.S_ISSOCK(found.st_mode):
                raise SocketFileError(OTHER_FILE)
            if _is_alive(path, sock.type):
                raise InUseError
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory)
        # of another's file nobody has anything before it is his
        _bind(sock, path, mode if owner == (None, None) else 0)
        bound = _look(directory, name)
        if bound is None or not stat.S_ISSOCK(bound.st_mode):
            raise SocketFileError(_CHANGED)
        try:
            if owner != (None, None):
                set_owner(path, (bound.st_dev, bound.st_ino), owner, mode)
            if sock.type == socket.SOCK_STREAM:
                sock.listen(backlog)  # before the lock goes: until then it looks dead
        except OSError as error:
            os.unlink(name, dir_fd=directory)
            if owner != (None, None) and error.errno == errno.EPERM:
                raise SocketFileError(owner_mistake(owner)) from None
            raise
    return (bound.st_dev, bound.st_ino)


def remove_own(path: str, identity: Identity | None) -> None:
    """Remove a socket file if it is still the one that was bound here. Raises OSError.

    While its socket still listens: nobody else takes it for dead then and replaces it meanwhile.
    """
    if identity is None:
        return
    try:
        with _directory(path) as (directory, name):
            _remove(directory, name, identity)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
        _remove(None, path, identity)  # to stop is not to fail where descriptors are out


def _remove(directory: int | None, name: str, identity: Identity) -> None:
    found = _look(directory, name)
    if found is not None and (found.st_dev, found.st_ino) == identity:
        os.unlink(name, dir_fd=directory)


def set_mode(path: str, identity: Identity, mode: int) -> bool:
    """Change the mode of the file that was bound here; whether it was still there. Raises OSError.

    A file of several names is left: one of them may have been given to somebody else's socket.
    """
    with _own(path, identity) as file:
        if file is not None:
            file.chmod(mode)
    return file is not None


def owner_mistake(owner: Owner) -> str:
    """Why a file cannot be given to a user and a group, in words."""
    whom = [
        f"{name} {number}"
        for name, number in zip(("user", "group"), owner, strict=True)
        if number is not None
    ]
    to = " and ".join(whom)
    return f"its file cannot be given to {to}: only root may, or for a group one of its members"


def is_so(found: os.stat_result, owner: Owner, mode: int) -> bool:
    """Whether a file has this mode, and is theirs to whom it is to be given."""
    of = (found.st_uid, found.st_gid)
    is_theirs = all(number in (None, has) for number, has in zip(owner, of, strict=True))
    return is_theirs and stat.S_IMODE(found.st_mode) == mode


def set_owner(path: str, identity: Identity, owner: Owner, mode: int) -> bool:
    """Give the file that was bound here to a user and a group, and set its mode; as `set_mode`.

    Where it cannot be given to them it keeps the mode that it has.
    """
    if owner == (None, None):
        return set_mode(path, identity, mode)
    uid, gid = (-1 if number is None else number for number in owner)
    with _own(path, identity) as file:
        if file is not None and not is_so(found := file.stat(), owner, mode):
            file.chmod(0)  # what the old ones may, the new ones may not, and the other way round
            try:
                os.chown(file, uid, gid)
            except OSError:
                file.chmod(stat.S_IMODE(found.st_mode))
                raise
            file.chmod(mode)
    return file is not None


def give(path: str, identity: Identity, uid: int, gid: int) -> None:
    """Make the file that was bound here, if it is still there, a user's. Raises OSError."""
    with _own(path, identity) as file:
        if file is not None:
            os.chown(file, uid, gid)


@contextmanager
def _own(path: str, identity: Identity) -> Iterator[Path | None]:
    """A path by which to change the file that was bound here; None if it is not there any more.

    A file of several names is an OSError.
    """
    with _directory(path) as (directory, name):
        file = os.open(name, _FILE, dir_fd=directory)
        try:
            found = os.fstat(file)
            if (found.st_dev, found.st_ino) != identity or not stat.S_ISSOCK(found.st_mode):
                yield None
                return
            if found.st_nlink != 1:
                raise OSError(errno.EMLINK, os.strerror(errno.EMLINK))
            # what is open, whatever its name leads to now: Linux has no other way without links
            yield Path(f"/proc/self/fd/{file}")
        finally:
            os.close(file)


def set_aside(path: str, identity: Identity) -> str:
    """Give the file that was bound here another name, so that its own is free; which one it is.

    Whoever has connected to it stays connected. Raises OSError. (To bind the other socket by
    another name, and to rename its file over this one, would not do: a socket keeps the name that
    it was bound by. Answers would come from there, and who is given the socket would not know it.)
    """
    with _directory(path) as (directory, name):
        found = _look(directory, name)
        if found is None or (found.st_dev, found.st_ino) != identity:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        os.rename(name, f".{name}.old", src_dir_fd=directory, dst_dir_fd=directory)
        return str(Path(path).with_name(f".{name}.old"))


def put_back(aside: str, path: str) -> None:
    """Give a file that was set aside its name again, if that is free. Raises OSError."""
    with _directory(path) as (directory, name):
        other = Path(aside).name
        os.link(other, name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
        os.unlink(other, dir_fd=directory)


def file_identity(path: str) -> Identity:
    """Device and inode of a file."""
    found = os.lstat(path)
    return (found.st_dev, found.st_ino)


@contextmanager
def _directory(path: str) -> Iterator[tuple[int, str]]:
    """The directory of a file, opened, and the file's name in it."""
    parent, name = os.path.split(path)
    directory = os.open(parent or ".", _DIRECTORY)
    try:
        yield directory, name
    finally:
        os.close(directory)


@contextmanager
def _lock(directory: int, name: str) -> Iterator[None]:
    """Nobody else binds this name now. Raises SocketFileError where somebody does."""
    lock = f".{name}.lock"
    for _ in range(_LOCK_TRIES):
        held = _open_lock(directory, lock)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            raise SocketFileError(BEING_BOUND.format(lock=lock)) from None
        there = _look(directory, lock)
        if there is not None and os.path.samestat(there, os.fstat(held)):
            break
        os.close(held)  # who had it has removed it, and the next one has made another
    else:
        raise SocketFileError(BEING_BOUND.format(lock=lock))
    try:
        yield
    finally:
        with suppress(OSError):
            os.unlink(lock, dir_fd=directory)
        os.close(held)


def _open_lock(directory: int, lock: str) -> int:
    try:
        return os.open(lock, _LOCK, 0o600, dir_fd=directory)
    except OSError as error:
        if _look(directory, lock) is None:
            raise  # none can be made: no socket file either
        raise SocketFileError(f"{lock} is in the way: {error.strerror}") from None


def _look(directory: int | None, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _bind(sock: socket.socket, path: str, mode: int) -> None:
    """Bind with exactly this mode, which the kernel takes from the socket, without the umask."""
    os.fchmod(sock.fileno(), mode)
    before = os.umask(0o777)
    try:
        # as narrow as can be: the umask is every thread's
        os.umask(before & ~mode)
        sock.bind(path)
    finally:
        os.umask(before)


def _is_alive(path: str, kind: int) -> bool:
    """Whether somebody listens at a socket file. Raises OSError where that cannot be told."""
    with socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK) as probe:
        number = probe.connect_ex(path)
    if number in (errno.ECONNREFUSED, errno.ENOENT):
        return False
    # the wrong type and a full queue are signs of life
    if number in (0, errno.EAGAIN, errno.EPROTOTYPE):
        return True
    raise OSError(number, os.strerror(number))
