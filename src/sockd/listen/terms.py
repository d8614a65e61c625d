"""What applies to an address that is listened on, and can change while it stays bound."""

from attrs import field, frozen

from sockd.access.limits import TLS_VERSIONS
from sockd.listen.address import within

LONGEST_QUEUE = 65535  # connections waiting to be accepted; the kernel's own bound is lower
MODE = 0o660
BACKLOG = 1024
TTL = 1  # a datagram stays on its network


@frozen
class Terms:
    """Queue, file mode, TLS files, proxies, reach: all of an address that is no identity."""

    backlog: int = field(default=BACKLOG, validator=within(1, LONGEST_QUEUE))
    mode: int = field(default=MODE, validator=within(0, 0o777))
    user: int | None = None
    group: int | None = None
    """Whose a socket file is; None: the process's."""
    certificate: str = ""
    key: str = ""
    """The file of the private key; where there is one TLS is spoken."""
    client_ca: str = ""
    further: tuple[tuple[str, str], ...] = ()
    """More certificates, each with its key: a client gets the one of the host that it asks for."""
    versions: tuple[str, ...] = TLS_VERSIONS
    ciphers: str = ""
    """As OpenSSL writes them; nothing: those that are chosen here."""
    proxies: tuple[str, ...] = ()
    """Prefixes whose PROXY header is required and believed."""
    ttl: int = field(default=TTL, validator=within(0, 255))
    optional: bool = False
    """Skipped where the host has no IPv6: the user named no family."""

    @property
    def tls_files(self) -> tuple[str, ...]:
        """The files that TLS needs; none where it is not spoken."""
        first = (self.certificate, self.key, self.client_ca)
        return tuple(filter(None, (*first, *(name for pair in self.further for name in pair))))

    @property
    def certificates(self) -> tuple[str, ...]:
        """The files of all certificates; none where TLS is not spoken."""
        return (self.certificate, *(name for name, _ in self.further)) if self.key else ()

    @property
    def owner(self) -> tuple[int | None, int | None]:
        """The user and the group of a socket file; None: the process's."""
        return self.user, self.group

    @property
    def file(self) -> tuple[object, ...]:
        """How a socket file is to be."""
        return self.mode, self.owner

    @property
    def tls(self) -> tuple[object, ...]:
        """All that a TLS context is made of."""
        return (self.tls_files, self.client_ca, self.versions, self.ciphers)
