"""sockd-chat(7): the chat, for who talks and for who runs it."""

from __future__ import annotations

import attrs

from sockd.client.chat.typed import ALIASES, COMMANDS
from sockd.formats.chat.events import MAX_EVENT, MAX_TEXT, Code
from sockd.ops.manual.pages import option_items, page
from sockd.ops.manual.roff import argument, document, example, items, references, section
from sockd.service import Kind

TYPED = """
`sock chat` looks for a server on the LAN and asks for a nickname. What is typed is said in the
channel that was joined last. What begins with a slash is a command; Tab completes it.
"""
LAN = """
The built-in configuration has the chat on loopback. For a LAN it listens on every address, for
clients look for it by broadcast, and names who may come. A firewall has to let those ports in.
"""
CONFIG = """[service.chat]
listen = ["udp:2027:interface=*", "tcp:2027:interface=*"]
listen_multicast = ["udp:2029:interface=*"]
allow = ["192.168.0.0/16", "fe80::/10", "127.0.0.0/8", "::1"]
"""
SAFE = """
New clients prove their address by a cookie, and sign each datagram: nothing of theirs can be
forged by who does not hear them. Old clients prove nothing: they are served on the link that they
are heard by alone, or nowhere with `legacy = "off"`. Nothing is encrypted but over TLS, and
everybody on the link can read the rest. What users say is escaped by the server, and again by
`sock`, before a terminal has it.
"""


def chat_page(kind: Kind) -> str:
    """The page; `kind` is the chat's."""
    wire = [
        f"{exchange.asks} {exchange.answers} {exchange.ends}" for exchange in kind.wire.values()
    ]
    limits = f"An event has {MAX_EVENT} bytes at most, its text {MAX_TEXT}. The codes:"
    return page(
        "sockd-chat",
        7,
        "the chat of sockd: its commands, options and protocol",
        section("DESCRIPTION", document(kind.documentation)),
        section("WHAT CAN BE TYPED", document(TYPED), _typed()),
        section("ON A LAN", document(LAN), example(CONFIG.splitlines())),
        section("OPTIONS", option_items(attrs.fields(kind.options))),
        section("PROTOCOL", document("\n\n".join([*wire, limits])), [".Pp"], _codes()),
        section("SEE ALSO", references("sock(1)", "sockd.toml(5)", "sockd(8)")),
        section("SECURITY CONSIDERATIONS", document(SAFE)),
    )


def _typed() -> list[str]:
    others: dict[str, str] = {}
    for alias, name in ALIASES.items():
        others[name] = f"{others[name]}, `/{alias}`" if name in others else f" Also `/{alias}`"
    return items(
        (
            f"Ic {argument(f'/{one.name} {one.takes}'.rstrip())}",
            f"{one.does[:1].upper()}{one.does[1:]}.{others.get(one.name, '')}".rstrip(".") + ".",
        )
        for one in COMMANDS.values()
    )


def _codes() -> list[str]:
    return items(((f"{code:d}", f"`{code.name}`") for code in Code), compact=True)
