"""The addresses of xinetd's only_from and no_access, as prefixes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sockd.access.prefixes import parse_prefix

_PARTS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){0,3}", re.ASCII)
_FACTORED = re.compile(r"((?:[0-9]{1,3}\.){0,3})\{([0-9]{1,3}(?:,[0-9]{1,3})*)\}", re.ASCII)
EVERYBODY = ("0.0.0.0/0", "::/0")
LOOPBACK = ("127.0.0.1", "::1")


def prefixes(text: str) -> Sequence[str]:
    """The prefixes that a word stands for. Raises ValueError where it is a name, or wrong."""
    if text == "localhost":
        return LOOPBACK
    if factored := _FACTORED.fullmatch(text):
        before, choices = factored.groups()
        return [_with_zeros(f"{before}{choice}") for choice in choices.split(",")]
    if _PARTS.fullmatch(text):
        return EVERYBODY if _is_zero(text) else [_with_zeros(text)]
    return [str(parse_prefix(text))]


def _is_zero(text: str) -> bool:
    return not text.replace("0", "").replace(".", "")


def _with_zeros(text: str) -> str:
    """An IPv4 address whose last parts may be missing, or 0: they stand for any."""
    parts = [str(int(part)) for part in text.split(".")]
    while parts and parts[-1] == "0":
        parts.pop()
    bits = 8 * len(parts)
    address = ".".join([*parts, *["0"] * (4 - len(parts))])
    return str(parse_prefix(address if bits == 32 else f"{address}/{bits}"))


def all_prefixes(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """The prefixes of a list, each once, and the words that are none."""
    found: dict[str, None] = {}
    unknown = []
    for word in words:
        try:
            found.update(dict.fromkeys(_plain(prefixes(word))))
        except ValueError:
            unknown.append(word)
    return list(found), unknown


def _plain(texts: Sequence[str]) -> Iterator[str]:
    """Of one address, the address."""
    for text in texts:
        yield text.removesuffix("/32") if "." in text else text.removesuffix("/128")
