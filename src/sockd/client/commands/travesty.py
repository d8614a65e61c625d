"""`travesty`: a text that is like another one."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from sockd.client.arguments import Command, asks
from sockd.client.asking import Asking
from sockd.client.asks import ConversationHost, Speech
from sockd.client.errors import UsageFault
from sockd.client.exits import Exit
from sockd.client.process import Run, install_asyncio, is_terminal, run_process
from sockd.client.start import hooks_for, run_hosts, targets
from sockd.client.targets import Target, Transport
from sockd.client.travesty.typed import MOST_WORDS
from sockd.formats import ports

_MEANINGLESS = (
    *("count", "interval", "retries", "all_addresses", "enough"),
    *("prometheus", "is_check", "warn", "crit"),
)
"""A conversation is no measurement."""
PORTS = {Transport.TCP: ports.TRAVESTY}


@click.command(cls=Command)
@click.option(
    "--generate",
    "words",
    type=click.IntRange(1, MOST_WORDS),
    metavar="N",
    help="No prompt: analyze FILE, and print about N words.",
)
@click.argument("names", nargs=-1, metavar="[FILE] [HOST[:PORT]]")
@asks(Transport.TCP, Transport.TLS, Transport.UNIX, leaves_out=_MEANINGLESS)
def travesty(asking: Asking, names: tuple[str, ...], words: int | None) -> int:
    """Have a text made that is like another one, and has no sense.

    At the prompt: analyze FILE, generate N, reset, bye; help tells more. ^C stops what is under
    way, and the connection goes on. In a pipe each line is a command. With --generate there is no
    prompt: a FILE, or - for standard input, is analyzed, and a text of N words printed.
    """
    if words is not None:
        return _once(asking, names, words)
    if len(names) > 1:
        raise click.UsageError(f"{names[1]!r} is too much: a FILE is named at the prompt")
    for option, is_given in (
        ("--json", asking.as_json),
        ("--timing", asking.tells_timing),
        ("-w", asking.deadline is not None),
    ):
        if is_given:
            raise click.UsageError(f"{option} is for --generate")
    [target] = targets(names, asking, PORTS)
    return _talk(asking, target)


def _once(asking: Asking, names: Sequence[str], words: int) -> int:
    """Without a prompt."""
    if not 1 <= len(names) <= 2:
        raise click.UsageError(f"--generate needs a FILE, or - for standard input, got {names!r}")
    found = targets(names[1:], asking, PORTS)
    from sockd.client.outputs.screen import Screen
    from sockd.client.travesty.files import open_file
    from sockd.client.travesty.once import Once

    try:
        file = None if names[0] == "-" else open_file(names[0])
    except UsageFault as fault:
        raise click.UsageError(str(fault)) from None
    once = Once(words, file, Screen(sys.stderr, asking.color))
    speech = Speech(
        name="travesty", kind="travesty", ports=PORTS, stream=once.stream, has_urgent=True
    )

    def make(run: Run, target: Target) -> ConversationHost:
        return ConversationHost(run, speech, target)

    return run_hosts("travesty", found, asking, make, kind="travesty")


def _talk(asking: Asking, target: Target) -> int:
    """With a prompt, or the lines of a pipe."""
    from sockd.client.outputs.answers import Answers
    from sockd.client.outputs.screen import Screen
    from sockd.client.report import Data, Event
    from sockd.client.talk.input import Input
    from sockd.client.travesty.lines import Lines
    from sockd.client.travesty.session import Front, Session

    encoding = sys.stderr.encoding or "utf-8"
    answers = Answers(sys.stdout.buffer, sys.stdout.isatty(), encoding)
    screen = Screen(sys.stderr, asking.color, before=answers.end_line)
    if is_typed := is_terminal():
        install_asyncio()

    def report(event: Event) -> None:
        if isinstance(event, Data):
            answers.data(event.target, event.data)

    def end_text(is_stopped: bool) -> None:
        answers.end_all()
        # a terminal forgets at ^C what it has not shown yet: perhaps the end of a line
        answers.is_open |= is_stopped and answers.is_terminal
        answers.end_line()

    def front(run: Run) -> Front:
        if not is_typed:
            return Lines(Input(run.reactor))
        from sockd.client.travesty.terminal import Terminal

        return Terminal()

    async def body(run: Run) -> Exit:
        return await Session(run, target, front(run), screen, end_text).go()

    return run_process(body, asking, report, hooks_for("travesty", asking))
