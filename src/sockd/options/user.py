"""Users and groups of this host, by name or number."""

from __future__ import annotations

import grp
import pwd


class User(int):
    """A user of this host: its number, from a name or a number."""

    @classmethod
    def parse(cls, value: object) -> User:
        """The user of this name or number. Raises ValueError."""
        number = _number(value)
        if number is not None:
            return cls(number)
        try:
            return cls(pwd.getpwnam(str(value)).pw_uid)
        except KeyError:
            raise ValueError(f"there is no user {value!r} on this host") from None


class Group(int):
    """A group of this host: its number, from a name or a number."""

    @classmethod
    def parse(cls, value: object) -> Group:
        """The group of this name or number. Raises ValueError."""
        number = _number(value)
        if number is not None:
            return cls(number)
        try:
            return cls(grp.getgrnam(str(value)).gr_gid)
        except KeyError:
            raise ValueError(f"there is no group {value!r} on this host") from None


def _number(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    is_number = isinstance(value, str) and value.isascii() and value.isdecimal()
    return int(str(value)) if is_number else None
