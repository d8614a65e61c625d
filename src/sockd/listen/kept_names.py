"""Names of sockets that wait for the daemon that is started next.

A socket tells its address. What it does not tell is in its name: for an address that the kernel
chose, whose it is, and for a socket file, which file is its own. The rest of the name is for people
who look at a list of them.
"""

from __future__ import annotations

import re
from typing import Any

from attrs import frozen

from sockd.listen.address import Binding

PREFIX = "sockd/"
"""What all begin with. systemd's own are names of units, which have no slash."""
LONGEST_PLACE = 90
"""Characters that tell where it is; systemd takes names of up to 255."""
_NAME = re.compile(
    r"sockd/(?P<binding>tcp|udp|unix|unixgram)/(?P<instance>[A-Za-z0-9_-]{1,64})/(?P<role>[A-Za-z0-9_-]{1,32})/"
    r"(?P<nth>\d{1,5}|-)/(?:(?P<device>\d{1,20})\.(?P<inode>\d{1,20})|-)/[!-9;-~]{0,90}"
)
_MAIN = "-"
_UNFIT = re.compile("[^!-9;-~]")


@frozen
class Kept:
    """Whose a socket is."""

    binding: Binding
    instance: str
    role: str = ""
    nth: int | None = None
    """Which of those whose port the kernel has chosen; None for one that has the port it wanted."""
    file: tuple[int, int] | None = None
    """Device and inode of its socket file."""

    def name(self, place: str) -> str:
        """How it is called; `place` is for people. A name holds no colon and no space."""
        file = "-" if self.file is None else f"{self.file[0]}.{self.file[1]}"
        nth = "-" if self.nth is None else self.nth
        told = _UNFIT.sub("_", place)[-LONGEST_PLACE:]
        return f"{PREFIX}{self.binding}/{self.instance}/{self.role or _MAIN}/{nth}/{file}/{told}"


def kept(name: str) -> Kept | None:
    """What a name says; None for one that is none of these."""
    if (found := _NAME.fullmatch(name)) is None:
        return None
    device, inode = found["device"], found["inode"]
    role = "" if found["role"] == _MAIN else found["role"]
    nth = None if found["nth"] == "-" else int(found["nth"])
    file = None if device is None else (int(device), int(inode))
    binding: Any = found["binding"]
    return Kept(binding, found["instance"], role, nth, file)
