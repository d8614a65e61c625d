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
WRAPPERS = ("/etc/hosts.allow", "/etc/hosts.deny")


class Unreadable(ValueError):
    """A file cannot be read."""


@define
class Reader:
    """Reads files once, in the order in which they are named."""

    lookups: Lookups
    found: list[Found] = field(factory=list)
    found_blocks: list[blocks.Block] = field(factory=list)
    files: list[str] = field(factory=list)
    _seen: set[Path] = field(factory=set)

    def read(self, path: Path) -> None:
        """A file, or the files of a folder. Raises Unreadable."""
        if path.is_dir():
            for name in _of_folder(path):
                self._file(name, None)
        else:
            self._file(path, None)

    def result(self) -> Iterator[Found]:
        """All that was found."""
        yield from self.found
        yield from xinetd.services(self.found_blocks, self.lookups)

    def _file(self, path: Path, included: Place | None) -> None:
        known = path.resolve()
        if known in self._seen:
            return
        if len(self._seen) == MOST_FILES:
            raise Unreadable(f"{path}: more than {MOST_FILES} files")
        self._seen.add(known)
        try:
            text = _text(path)
        except Unreadable as error:
            if included is None:
                raise
            self.found.append(Note(included, str(error)))
            return
        self.files.append(str(path))
        if not blocks.is_xinetd(text):
            self.found += inetd.parse(text, str(path), self.lookups)
            return
        for part in blocks.parse(text, str(path)):
            self._part(part, path)

    def _part(self, part: blocks.Part, path: Path) -> None:
        if isinstance(part, blocks.Block):
            self.found_blocks.append(part)
        elif isinstance(part, Note):
            self.found.append(part)
        else:
            other = path.parent / part.path
            if not part.is_folder:
                self._file(other, part.place)
            elif not other.is_dir():
                self.found.append(Note(part.place, f"there is no folder {part.path}"))
            else:
                for name in _of_folder(other):
                    self._file(name, part.place)


def _of_folder(path: Path) -> Sequence[Path]:
    """Those that xinetd reads: no names with a dot, and no backups."""
    try:
        files = [one for one in path.iterdir() if one.is_file()]
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from None
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
