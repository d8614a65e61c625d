"""Listen strings: where an instance listens, such as "tcp:7800:interface=127.0.0.1".

Stream strings are Twisted's endpoint strings; datagram ones follow the same grammar. An
interface is an address, never a name, so that starting asks no resolver.
"""

from attrs import evolve

from sockd.access.prefixes import parse_prefix
from sockd.formats.nearest import near_miss
from sockd.listen.fields import Field, split
from sockd.listen.listen import Listen
from sockd.listen.schemes import SCHEMES, given_values

__all__ = ["Listen", "expand", "parse"]

_PROXIED = '"haproxy:tcp:7800:interface=127.0.0.1:proxies=127.0.0.1/32"'


def parse(text: str) -> Listen:
    """Read a listen string that stands for one address; ValueError says what is wrong."""
    found = expand(text)
    if len(found) > 1:
        both = " and ".join(listen.host for listen in found)
        raise ValueError(f"{text!r} stands for {both}; write one of them")
    return found[0]


def expand(text: str) -> tuple[Listen, ...]:
    """Read a listen string; the interfaces "localhost" and "*" stand for two addresses each."""
    if not text:
        raise ValueError('expected a listen string such as "tcp:7800:interface=127.0.0.1"')
    parts = split(text)
    proxies: tuple[str, ...] = ()
    proxied = parts[0] == ("", "haproxy")
    if proxied:
        proxies = _proxies(parts)
        parts = [part for part in parts[1:] if part[0] != "proxies"]
        if not parts:
            raise ValueError(f"haproxy needs a transport behind it, as in {_PROXIED}")
    key, name = parts[0]
    scheme = None if key else SCHEMES.get(name)
    if scheme is None:
        if name.isdigit() and not key:
            raise ValueError(f'{text!r} names no transport; write "tcp:{text}"')
        known = SCHEMES if proxied else [*SCHEMES, "haproxy"]
        hint = near_miss(key or name, known, or_all=True)
        raise ValueError(f"unknown transport {key or name!r}{hint}")
    found = scheme.read(text, scheme, given_values(name, scheme, parts[1:]))
    if proxied and found[0].transport not in ("tcp", "tls"):
        raise ValueError(
            f"haproxy needs TCP or TLS, not {found[0].transport}: "
            "without a peer's address there is no telling a proxy from a forger"
        )
    return tuple(evolve(listen, terms=evolve(listen.terms, proxies=proxies)) for listen in found)


def _proxies(parts: list[Field]) -> tuple[str, ...]:
    lists = [value for key, value in parts if key == "proxies"]
    if len(lists) != 1:
        raise ValueError(
            f"haproxy needs one proxies=PREFIX,PREFIX, as in {_PROXIED}: "
            "without it anyone could forge an address"
        )
    bare = lists[0].replace("[", "").replace("]", "")
    return tuple(str(parse_prefix(prefix.strip())) for prefix in bare.split(","))
