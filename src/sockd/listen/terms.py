"""What applies to an address that is listened on, and can change while it stays bound."""

from attrs import field, frozen

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
    certificate: str = ""
    key: str = ""
    """The file of the private key; where there is one TLS is spoken."""
    client_ca: str = ""
    proxies: tuple[str, ...] = ()
    """Prefixes whose PROXY header is required and believed."""
    ttl: int = field(default=TTL, validator=within(0, 255))
    optional: bool = False
    """Skipped where the host has no IPv6: the user named no family."""

    @property
    def tls_files(self) -> tuple[str, ...]:
        """The files that TLS needs; none where it is not spoken."""
        return tuple(filter(None, (self.certificate, self.key, self.client_ca)))
