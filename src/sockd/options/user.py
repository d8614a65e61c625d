"""Users of this host, by name or number."""

from __future__ import annotations

import pwd


class User(int):
    """A user of this host: its number, from a name or a number."""

    @classmethod
    def parse(cls, value: object) -> User:
        """The user of this name or number. Raises ValueError."""
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return cls(value)
        if isinstance(value, str) and value.isascii() and value.isdecimal():
            return cls(value)
        try:
            return cls(pwd.getpwnam(str(value)).pw_uid)
        except KeyError:
            raise ValueError(f"there is no user {value!r} on this host") from None
