"""Who may come in: addresses, network prefixes, and the rules that allow or deny them.

IPv4-mapped IPv6 addresses count as IPv4 and scopes (``%eth0``) are dropped, so that a peer is
judged the same whichever socket it came in by.
"""

import ipaddress
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from attrs import field, frozen

from sockd.access.reasons import Reason, because

Address = IPv4Address | IPv6Address
Prefix = IPv4Network | IPv6Network

CONNECTION_SOURCE_BITS = (32, 64)
"""What counts as one source of connections: an IPv4 address, an IPv6 network of one site's LAN."""
DATAGRAM_SOURCE_BITS = (24, 56)
"""What counts as one source of datagrams: these are forged, so whole networks share a budget."""
_REMEMBERED = 4096  # parsed addresses: a flood of forged sources must not grow without end


@lru_cache(maxsize=_REMEMBERED)
def parse_address(text: str) -> Address:
    """Read an IPv4 or IPv6 address; ValueError if it is none."""
    bare = text.partition("%")[0] if ":" in text else text
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        raise ValueError(
            f'expected an address such as "192.0.2.1" or "2001:db8::1", got {text!r}'
        ) from None
    return _unmapped(address)


def _unmapped(address: Address) -> Address:
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address
    return address


def _address(address: str | Address) -> Address:
    return parse_address(address) if isinstance(address, str) else _unmapped(address)


@lru_cache(maxsize=_REMEMBERED)
def parse_prefix(text: str) -> Prefix:
    """Read a network such as "10.0.0.0/8", or a single address; ValueError if it is none."""
    try:
        if "%" in text:
            raise ValueError
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f'expected an address or prefix such as "10.0.0.0/8" or "::1", got {text!r}'
        ) from None
    if network.network_address != ipaddress.ip_address(text.partition("/")[0]):
        raise ValueError(f'{text!r} has bits set behind its prefix; did you mean "{network}"?')
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - 96))
    return network


def matches(prefixes: tuple[Prefix, ...], address: str | Address) -> bool:
    """Whether any of the prefixes holds the address."""
    if not prefixes:
        return False
    found = _address(address)
    return any(found in prefix for prefix in prefixes)


@lru_cache(maxsize=_REMEMBERED)
def source_key(address: str | Address, v4_bits: int, v6_bits: int) -> str:
    """The network that a source is counted under: "192.0.2.0/24", "2001:db8::/56"."""
    found = _address(address)
    bits = v4_bits if isinstance(found, IPv4Address) else v6_bits
    return str(ipaddress.ip_network((found, bits), strict=False))


# For each version, from the longest prefix to the shortest: the bits to shift away, and the
# reason to refuse the bits that are left (None where they are allowed).
_Table = dict[int, list[tuple[int, dict[int, Reason | None]]]]
_NO_RULE = because("allow")


@frozen
class Rules:
    """Allow and deny prefixes: the most specific one that matches wins, a tie is denied.

    An address that none matches is refused if there is anything allowed, and allowed otherwise.
    """

    allow: tuple[Prefix, ...] = ()
    deny: tuple[Prefix, ...] = ()
    _table: _Table = field(init=False, eq=False, repr=False)

    @_table.default
    def _make_table(self) -> _Table:
        by_shift: dict[int, dict[int, dict[int, Reason | None]]] = {4: {}, 6: {}}
        # Denied ones last: they replace an allowed one of the same prefix.
        for prefix, verdict in [
            *((prefix, None) for prefix in self.allow),
            *((prefix, because("deny", prefix=str(prefix))) for prefix in self.deny),
        ]:
            shift = prefix.max_prefixlen - prefix.prefixlen
            bits = int(prefix.network_address) >> shift
            by_shift[prefix.version].setdefault(shift, {})[bits] = verdict
        return {version: sorted(rows.items()) for version, rows in by_shift.items()}

    def refusal(self, address: str | Address) -> Reason | None:
        """The rule that refuses the address, such as "deny 10.0.0.0/8"; None if it may come in."""
        found = _address(address)
        number = int(found)
        for shift, verdicts in self._table[found.version]:
            bits = number >> shift
            if bits in verdicts:
                return verdicts[bits]
        return _NO_RULE if self.allow else None

    def deciding(self, address: str | Address) -> tuple[str, Prefix] | None:
        """The setting and the prefix in it that decide on the address; None where none has it."""
        found = _address(address)
        allowed, denied = _closest(self.allow, found), _closest(self.deny, found)
        if denied and (not allowed or denied.prefixlen >= allowed.prefixlen):
            return "deny", denied
        return ("allow", allowed) if allowed else None


def _closest(prefixes: tuple[Prefix, ...], address: Address) -> Prefix | None:
    """The most specific of the prefixes that hold the address."""
    holding = (prefix for prefix in prefixes if address in prefix)
    return max(holding, key=lambda prefix: prefix.prefixlen, default=None)
