"""sockd(8): the command and the daemon."""

from __future__ import annotations

from collections.abc import Mapping

import click
from twisted.python import usage

from sockd import events
from sockd.access import reasons
from sockd.ops.manual import twisted_options
from sockd.ops.manual.commands import described, exit_codes, help_text, synopsis
from sockd.ops.manual.pages import examples, page, sentences, table
from sockd.ops.manual.roff import document, references, section

ABOUT = """
It serves what its configuration names, see `sockd.toml(5)`, or without one everything on
loopback, on ports that need no privilege. A service file of another distribution is found beside
its own.

`sockd run` stays in the foreground; `twistd sockd` is the same daemon in the background, and
`twistd sockd-KIND` runs one kind of service alone. Commands that ask the running daemon do it at
its control socket, which root and the daemon's user may.
"""
TWISTD = """
`twistd [options] sockd [options]`: those of twistd come first, and `twistd --help` lists them.
"""
SIGNALS = {
    "TERM, INT": "It stops: nothing is accepted any more, what was written is delivered, "
    "connections may take `drain` to end. A second one stops it at once.",
    "HUP": "The configuration is read anew, as by `sockd reload`, certificates too. The log says "
    "whether it holds.",
    "USR1": "The log file is opened anew at its path.",
}
VARIABLES = {
    "SOCKD_CONTROL": "The control socket of the daemon that commands ask, where `--control` names "
    "none. Without both it is looked for in the runtime directory, then in `/run/sockd`.",
    "RUNTIME_DIRECTORY": "The runtime directory: `${RUNTIME}` in listen strings, and where the "
    "control socket and the state of a chat lie. systemd sets it; of several paths the first is "
    "taken.",
    "XDG_RUNTIME_DIR": "Where that is not set, it is `sockd` below this one; where this is not "
    "either, `/run/sockd` for root, and for others `sockd-UID` in a folder for temporary files.",
    "TMPDIR": "That folder, in place of `/tmp`.",
    "STATE_DIRECTORY": "The state directory: where the file of bans lies. systemd sets it; of "
    "several paths the first is taken.",
    "XDG_STATE_HOME": "Where that is not set, it is `sockd` below this one, if it is an absolute "
    "path; else `/var/lib/sockd` for root.",
    "HOME": "For others it is `.local/state/sockd` below this one; for who has none, the runtime "
    "directory.",
    "NOTIFY_SOCKET": "Where systemd is told how the daemon is.",
    "WATCHDOG_USEC": "How many microseconds may pass between two signs of life there; with "
    "`WATCHDOG_PID`, for which process that holds.",
    "FDSTORE": "How many sockets systemd holds while no daemon runs; 0, or not set: none.",
    "LISTEN_FDS": "How many sockets it was started with; with `LISTEN_PID` and `LISTEN_FDNAMES`.",
    "JOURNAL_STREAM": "Whether standard output is the journal, which gets lines with a priority "
    "and without a time. systemd sets it.",
    "TZ": "The time zone of what services say, where they set none.",
    "TERM": "`sockd top` paints no screen where this is empty, `dumb` or `unknown`.",
}
FILES = {
    "/etc/sockd/sockd.toml": "The configuration that the unit names.",
    "/etc/sockd/conf.d/*.toml": "What is laid over it, in name order.",
    "/run/sockd": "The runtime directory of root and of the unit; others have "
    "`$XDG_RUNTIME_DIR/sockd`, or `/tmp/sockd-UID`.",
    "control.sock": "In the runtime directory: the control socket.",
    "/var/lib/sockd": "The state directory of root and of the unit; others have "
    "`$XDG_STATE_HOME/sockd`, or `~/.local/state/sockd`.",
    "bans.sqlite3": "In the state directory: the bans, so that a start knows them. One that is "
    "broken is set aside as `bans.sqlite3.broken`.",
    "NAME.state": "In the runtime directory, of each chat: who may come back after a restart.",
}
EXAMPLES = (
    (
        "Look what a configuration would listen on, and whether all of it can be had:",
        "$ sockd check --bind /etc/sockd/sockd.toml",
    ),
    (
        "Serve one kind alone, where everybody may come:",
        "$ sockd run --only echo --set 'service.echo.listen=[\"tcp:7:interface=*\"]'",
    ),
    ("After a change of the file:", "# sockd reload --dry-run && sockd reload"),
)


def daemon_page(program: click.Group, twistd: Mapping[str, usage.Options]) -> str:
    """The page, with the commands of `sockd`, and those of `twistd`."""
    return page(
        "sockd",
        8,
        "many small network services in one process",
        section("SYNOPSIS", synopsis(program, "sockd")),
        section("DESCRIPTION", document(f"{help_text(program)}\n{ABOUT}")),
        section("COMMANDS", described(program, "sockd")),
        section("COMMANDS OF TWISTD", document(TWISTD), twisted_options.described(twistd)),
        section("SIGNALS", table(SIGNALS, "Dv")),
        section("ENVIRONMENT", table(VARIABLES, "Ev")),
        section("FILES", table(FILES, "Pa")),
        section("EXIT STATUS", exit_codes(program)),
        section("EXAMPLES", examples(EXAMPLES)),
        section(
            "DIAGNOSTICS",
            document("What the log says, by the name that each event has in JSON:"),
            sentences(events.SENTENCES),
            [".Pp", *document("The reasons in them, and in figures and answers:")],
            sentences(reasons.SENTENCES),
        ),
        section("SEE ALSO", references("sock(1)", "sockd.toml(5)", "sockd-chat(7)")),
    )
