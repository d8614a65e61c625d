"""What `exec` can be told of its program, what is wrong with it, and what comes of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from attrs import frozen, validators

from sockd.formats.template import Template
from sockd.listen.listen import Listen
from sockd.net.program import NoProgram, Program, group_of, locate, missing_tools, unfit
from sockd.options.option import OptionError, option
from sockd.options.units import LARGEST_SIZE, Duration, Size, SizeLimit, Timeout
from sockd.options.user import Group, User

QUOTE = "quote"
"""What can be sent where the program is not there."""
NEEDS_ROOT = "running a program as another user needs a daemon that stays root"


@frozen
class ExecOptions:
    """What the exec service can be told."""

    command: tuple[str, ...] = option(
        (),
        "the program, as an absolute path or a name to look for, and its arguments; no shell looks "
        "at them; must be given",
    )
    otherwise: str = option(
        "",
        'where there is no such file: "quote" sends a built-in quotation; empty: do not start',
        validator=validators.in_(["", QUOTE]),
    )
    greeting: Template = option(
        Template(""), "a line before the output, with the fields of greet's template; empty: none"
    )
    crlf: bool = option(
        False, "turn the line ends of the output into CRLF, as most protocols of text have them"
    )
    socket: bool = option(
        False,
        "give it the connection itself as descriptors 0 to 2, as inetd's nowait does, over TCP or "
        "a Unix socket, without TLS or a proxy; false: pipes",
    )
    cache: Duration = option(
        Duration(0),
        "how long what it printed is sent to all who come, and who come while it runs wait for the "
        "same run; it gets no input then and knows no client; 0: a run for each client",
    )
    environment: Mapping[str, str] = option(
        {}, "more variables for the program, beside PATH, LANG, TZ and those of the client"
    )
    user: User | None = option(
        None,
        "run as this user of the host (name or number): the daemon must stay root; empty: its own",
    )
    group: Group | None = option(
        None, "run with this group of the host, and the others of its user; empty: the user's own"
    )
    privileged: bool = option(
        False,
        "let it keep the daemon's capabilities, if its user is the daemon's, and let setuid "
        "programs gain what they are made for: some that log users in or send mail need it",
    )
    max_children: int = option(
        40,
        'programs running at once; the next client is told "error: busy"',
        validator=validators.ge(1),
    )
    cpu: Timeout = option(
        Timeout(10),
        "CPU time of one program and, apart, of each that it starts, in whole seconds; "
        '"off": as much as the daemon may have',
        validator=validators.ge(1),
    )
    memory: SizeLimit = option(
        SizeLimit(256 * 1024 * 1024),
        "address space of one program and, apart, of each that it starts; "
        '"off": as much as the daemon may have',
        validator=validators.ge(Size(16 * 1024 * 1024)),
    )
    descriptors: int = option(
        256,
        "files, pipes and sockets that one program may have open; the host has so many for all",
        validator=validators.ge(8),
    )
    file_size: SizeLimit = option(
        SizeLimit(64 * 1024 * 1024),
        "the largest file that a program may write or make grow; what would write more is ended; "
        '"off": as large as the daemon may',
    )
    processes: int | None = option(
        None,
        "processes and threads of its user, on the whole host, the daemon's too, at which it can "
        "start no more: give it its own user; does not bind root; empty: what binds the daemon",
        validator=validators.optional(validators.ge(1)),
    )
    max_time: Timeout = option(
        Timeout(120),
        'time until a program is ended, whether it works, waits or speaks; "off": when it likes',
        validator=validators.gt(0),
    )


def check(options: ExecOptions) -> None:
    """What a value alone does not show to be wrong. Raises OptionError that names all of it."""
    if mistakes := list(_mistakes(options)):
        raise OptionError(*mistakes)


def _mistakes(options: ExecOptions) -> Iterator[tuple[str, str]]:
    """Options, and what is wrong with each."""
    for why in (*_command_mistakes(options), *unfit(options.command[1:], {})):
        yield "command", why
    for name, why in _contradictions(options):
        yield name, why
    for why in unfit((), options.environment):
        yield "environment", why
    if options.group is not None and options.user is None:
        yield "group", "a group needs a user: give both"
    if options.user is not None:
        if group_of(options.user) is None:
            yield "user", f"there is no user {options.user} on this host"
        if os.geteuid() != 0:
            yield "user", NEEDS_ROOT


def _contradictions(options: ExecOptions) -> Iterator[tuple[str, str]]:
    if not options.socket:
        return
    if options.cache:
        yield "cache", "with `socket = true` each client has a program of its own: no cache"
    if str(options.greeting):
        yield "greeting", "with `socket = true` the program alone speaks: no greeting"
    if options.crlf:
        yield "crlf", "with `socket = true` what the program says is not seen: no crlf"


def check_listen(options: ExecOptions, listen: Listen) -> None:
    """What does not go with where it listens. Raises ValueError."""
    if not options.socket:
        return
    if listen.transport == "tls":
        raise ValueError("with `socket = true` the program has the socket, and speaks no TLS")
    if listen.proxies:
        raise ValueError("with `socket = true` nothing can be read before the program: no haproxy")


def _command_mistakes(options: ExecOptions) -> Iterator[str]:
    if not options.command or not options.command[0]:
        yield 'exec needs a command, such as ["/usr/games/fortune"]'
        return
    try:
        located(options)
    except ValueError as error:
        yield str(error)


def located(options: ExecOptions) -> str | None:
    """Where the program is; `None` where quotations are sent instead. Raises ValueError."""
    try:
        path = locate(options.command[0])
    except NoProgram:
        if options.otherwise == QUOTE:
            return None
        raise
    if why := missing_tools():
        raise ValueError(why)
    return path


def program_of(path: str, options: ExecOptions) -> Program:
    """What is run, and what it may use."""
    return Program(
        argv=(path, *options.command[1:]),
        cpu_seconds=int(min(options.cpu, LARGEST_SIZE)),
        memory_bytes=options.memory,
        descriptors=options.descriptors,
        file_bytes=options.file_size,
        processes=options.processes,
        uid=options.user,
        gid=_gid(options),
        is_privileged=options.privileged,
    )


def _gid(options: ExecOptions) -> int | None:
    if options.user is None:
        return None
    return group_of(options.user) if options.group is None else options.group
