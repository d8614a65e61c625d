"""Which files there are: the man pages, and for each shell the completion of both programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import click
from twisted.python import usage

from sockd.client.commands.completion import SHELLS, script
from sockd.ops.manual.chat_page import chat_page
from sockd.ops.manual.client_page import client_page
from sockd.ops.manual.config_page import config_page
from sockd.ops.manual.daemon_page import daemon_page
from sockd.service import Found

NAMES = {"bash": "{}.bash", "zsh": "_{}", "fish": "{}.fish"}
"""What each shell, or who packs it, calls the file of a program."""


def files(
    sockd: click.Group, sock: click.Group, twistd: Mapping[str, usage.Options], found: Found
) -> Iterator[tuple[str, str]]:
    """The path and the text of each; of `sockd`, `sock` and `twistd` the commands are told."""
    yield "man/sock.1", client_page(sock)
    yield "man/sockd.8", daemon_page(sockd, twistd)
    yield "man/sockd.toml.5", config_page(found)
    yield "man/sockd-chat.7", chat_page(found.kinds["chat"])
    for program, command in (("sock", sock), ("sockd", sockd)):
        for shell in SHELLS:
            yield f"completions/{NAMES[shell].format(program)}", script(command, program, shell)
