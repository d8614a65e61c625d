"""URLs of `http` and `https`, as a user or a server writes them."""

from __future__ import annotations

import re
from urllib.parse import quote, urljoin, urlsplit

from attrs import frozen

MOST_URL = 8_000
"""Characters of a URL: what servers are to take (RFC 9110, 4.1)."""
PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9._~-]+|[0-9a-f:.]+")
_NEVER = re.compile(r"[\x00-\x20\x7f]")
_KEPT = "%/:;=&?@!$'()*+,~#[]"
"""Stays as it is: what separates, and what is encoded already."""


@frozen
class Url:
    """One that can be asked for."""

    scheme: str
    host: str
    """In ASCII, without brackets."""
    port: int
    path: str
    """With the query: all that the server is told."""

    @property
    def is_secure(self) -> bool:
        """Whether it is asked for over TLS."""
        return self.scheme == "https"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"

    def joined(self, reference: str) -> Url:
        """Where a reference in an answer leads. Raises ValueError."""
        _look(reference)
        target = urljoin(str(self), reference)
        if not target.lower().startswith(("http://", "https://")):
            raise ValueError(f"expected a URL of http or https, got {target!r}")
        return parse_url(target)


def parse_url(text: str) -> Url:
    """Read one; without a scheme it is of `http`. Raises ValueError."""
    _look(text)
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
    except ValueError as error:
        raise ValueError(f"expected a URL of http or https, got {text!r}: {error}") from None
    if parts.scheme not in PORTS:
        raise ValueError(f"expected a URL of http or https, got {text!r}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL with a user's name is not asked for: whose eyes would see it?")
    try:
        port = PORTS[parts.scheme] if parts.port is None else parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError(f"expected a port of 1 to 65535 in {text!r}")
    path = quote(parts.path or "/", safe=_KEPT)
    query = f"?{quote(parts.query, safe=_KEPT)}" if parts.query else ""
    return Url(parts.scheme, _ascii(parts.hostname or "", text), port, path + query)


def _look(text: str) -> None:
    if len(text) > MOST_URL:
        raise ValueError(f"a URL has at most {MOST_URL} characters, not {len(text)}")
    if _NEVER.search(text):
        raise ValueError(f"a URL has no spaces and no control characters: {text[:80]!r}")


def _ascii(host: str, text: str) -> str:
    if not host:
        raise ValueError(f"there is no host in {text!r}")
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise ValueError(f"{host!r} is no name of a host: {error}") from None
    if not _HOST.fullmatch(host):
        raise ValueError(f"{host!r} is no name of a host")
    return host
