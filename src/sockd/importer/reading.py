"""Files of inetd and xinetd, and those that they include; and what only this host knows."""

from __future__ import annotations

import socket
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from attrs import define, field

from sockd.importer import blocks, inetd, xinetd
from sockd.importer.entry import Found, Lookups, Note, Place
from sockd.net.program import locate
from sockd.options.user import Group, User

MOST_BYTES = 1024 * 1024
"""Of a file: one of a megabyte is no configuration."""
MOST_FILES = 1000
"""That are read in all: each may name others."""
MOST_DEEP = 100
"""Of files, each named by the one before."""
WRAPPERS = ("/etc/hosts.allow", "/etc/hosts.deny")


class Unreadable(ValueError):
    """A file cannot be read."""


class NotIncluded(ValueError):
    """What a file includes cannot be had."""


@define
class Reader:
    """Reads files once, in the order in which they are named."""

    lookups: Lookups
    found: list[Found] = field(factory=list)
    found_blocks: list[blocks.Block] = field(factory=list)
    files: list[str] = field(factory=list)
    unread: list[str] = field(factory=list)
    """What was to be read and could not be, and why, a sentence each."""
    _seen: set[Path] = field(factory=set)

    def read(self, path: Path) -> bool:
        """A file, or the files of a folder; whether any was read. What cannot be is in `unread`."""
        before = len(self.files)
        try:
            for name in _of_folder(path) if _is_folder(path) else [path]:
                self._file(name)
        except Unreadable as error:
            self.unread.append(str(error))
        return len(self.files) > before

    def result(self) -> Iterator[Found]:
        """All that was found."""
        yield from self.found
        yield from xinetd.services(self.found_blocks, self.lookups)

    def _file(self, path: Path, included: Place | None = None, depth: int = 0) -> None:
        """Read one. Raises Unreadable where nothing more is to be read."""
        known = _real(path)
        if known in self._seen:
            return
        if len(self._seen) == MOST_FILES:
            raise Unreadable(f"{path}: more than {MOST_FILES} files")
        self._seen.add(known)
        try:
            text = _text(path)
        except Unreadable as error:
            if included is None:
                self.unread.append(str(error))
            else:
                self.found.append(Note(included, str(error)))
            return
        self.files.append(str(path))
        if not blocks.is_xinetd(text):
            self.found += inetd.parse(text, str(path), self.lookups)
            return
        for part in blocks.parse(text, str(path)):
            self._part(part, path, depth)

    def _part(self, part: blocks.Part, path: Path, depth: int) -> None:
        if isinstance(part, blocks.Block):
            self.found_blocks.append(part)
        elif isinstance(part, Note):
            self.found.append(part)
        else:
            try:
                for name in _included(part, path, depth):
                    self._file(name, part.place, depth + 1)
            except NotIncluded as error:
                self.found.append(Note(part.place, str(error)))


def _included(include: blocks.Include, path: Path, depth: int) -> Sequence[Path]:
    """The files that a line of this one names. Raises NotIncluded."""
    if "\0" in include.path:
        raise NotIncluded(f"not understood: {include.path}")
    if depth == MOST_DEEP:
        raise NotIncluded(f"more than {MOST_DEEP} files, each included by another: not read")
    other = path.parent / include.path
    if not include.is_folder:
        return [other]
    if not _is_folder(other):
        raise NotIncluded(f"there is no folder {include.path}")
    try:
        return _of_folder(other)
    except Unreadable as error:
        raise NotIncluded(str(error)) from None


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # nobody may look: who reads it as a file says so
        return False


def _real(path: Path) -> Path:
    """By which name a file is known, whatever links lead to it."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # links in a circle: who reads it says so
        return path


def _of_folder(path: Path) -> Sequence[Path]:
    """Those that xinetd reads: no names with a dot, and no backups."""
    try:
        files = [one for one in path.iterdir() if one.is_file()]
    except OSError as error:
        raise Unreadable(f"{path}: {(error.strerror or str(error)).lower()}") from None
    return sorted(one for one in files if "." not in one.name and not one.name.endswith("~"))


def _text(path: Path) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise Unreadable(f"{path}: not an ordinary file")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise Unreadable(f"{path}: {(error.strerror or str(error)).lower()}") from None
    if len(data) > MOST_BYTES:
        raise Unreadable(f"{path}: more than {MOST_BYTES} bytes: this is no configuration")
    return data.decode("utf-8", "surrogateescape")


def of_this_host() -> Lookups:
    """What this host knows."""
    return Lookups(
        port=_port,
        addresses=_addresses,
        program_mistake=partial(_mistake, locate),
        has_user=partial(_is_known, User.parse),
        has_group=partial(_is_known, Group.parse),
        has_wrappers=any(map(_has_rules, WRAPPERS)),
    )


def _port(name: str, protocol: str) -> int | None:
    try:
        return socket.getservbyname(name, protocol)
    except (OSError, ValueError):  # none, or no name at all
        return None


def _addresses(host: str) -> Sequence[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def _mistake(find: Callable[[str], str], path: str) -> str:
    try:
        find(path)
    except ValueError as error:
        return str(error)
    return ""


def _is_known(parse: Callable[[str], int], name: str) -> bool:
    try:
        parse(name)
    except ValueError:
        return False
    return True


def _has_rules(path: str) -> bool:
    try:
        lines = Path(path).read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    return any(line.strip() and not line.lstrip().startswith("#") for line in lines)
