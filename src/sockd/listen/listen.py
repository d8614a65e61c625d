"""What a listen string means: an address, the terms that it is listened on, a door's role."""

from typing import Literal

from attrs import field, frozen

from sockd.listen.address import Address, Scope
from sockd.listen.terms import Terms

Transport = Literal["tcp", "tls", "unix", "udp", "unixgram", "multicast"]


@frozen
class Listen:
    """One address to listen on. Two are equal if they mean the same, however written."""

    text: str = field(eq=False)
    address: Address
    terms: Terms = Terms()  # noqa: RUF009 - it is frozen
    role: str = ""
    """Which door of its service it is; nothing for the main one."""

    @property
    def transport(self) -> Transport:
        """What is spoken there."""
        return "tls" if self.terms.key else self.address.binding

    @property
    def host(self) -> str:
        """Its address's."""
        return self.address.host

    @property
    def port(self) -> int:
        """Its address's."""
        return self.address.port

    @property
    def path(self) -> str:
        """Its address's."""
        return self.address.path

    @property
    def systemd(self) -> str:
        """Its address's."""
        return self.address.systemd

    @property
    def interface(self) -> str:
        """Its address's."""
        return self.address.interface

    @property
    def scope(self) -> Scope:
        """Its address's."""
        return self.address.scope

    @property
    def proxies(self) -> tuple[str, ...]:
        """Its terms'."""
        return self.terms.proxies

    @property
    def scheme(self) -> str:
        """The transport, and "haproxy:" before it where a proxy's header comes first."""
        return f"haproxy:{self.transport}" if self.proxies else self.transport

    def __str__(self) -> str:
        return f"{self.scheme} {self.address}"
