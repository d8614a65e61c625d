"""sock(1): the client."""

from __future__ import annotations

import click

from sockd.ops.manual.commands import (
    described,
    exit_codes,
    help_text,
    shared_options,
    synopsis,
)
from sockd.ops.manual.pages import examples, page, table
from sockd.ops.manual.roff import document, references, section, subsection

ABOUT = """
A HOST is a name or an address, with a port behind a colon where it is not the usual one:
`192.0.2.7:7`, `[2001:db8::7]:7`. Several are asked at once. Options of one command stand below
it; those that many share have one meaning everywhere.
"""
VARIABLES = {
    "NO_COLOR": "Set to anything: no colours.",
    "XDG_STATE_HOME": "Below it the chat keeps the last server and nickname.",
    "XDG_RUNTIME_DIR": "Below it `wrap` and `localtime` look for the daemon's socket files.",
}
EXAMPLES = (
    ("How far the clocks of two hosts are from ours:", "$ sock time ntp1.example ntp2.example"),
    ("A hundred round trips, twenty a second:", "$ sock echo -c 100 -i 50ms server.example"),
    ("As a monitoring plugin:", "$ sock daytime --check --warn total=0.5s server.example:13"),
)


def client_page(program: click.Group) -> str:
    """The page, with the commands of `sock`."""
    shared = shared_options(program, "sock")
    return page(
        "sock",
        1,
        "talk to small network services, and measure them",
        section("SYNOPSIS", synopsis(program, "sock")),
        section("DESCRIPTION", document(f"{help_text(program)}\n{ABOUT}")),
        section("COMMANDS", described(program, "sock")),
        section("SHARED OPTIONS", *(subsection(heading, of) for heading, of in shared.items())),
        section("ENVIRONMENT", table(VARIABLES, "Ev")),
        section("EXIT STATUS", exit_codes(program)),
        section("EXAMPLES", examples(EXAMPLES)),
        section("SEE ALSO", references("sockd-chat(7)", "sockd(8)")),
    )
