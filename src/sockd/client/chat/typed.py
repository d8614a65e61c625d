"""What a user types: commands begin with a slash, all else is said in the current channel."""

from __future__ import annotations

from attrs import frozen


@frozen
class CommandText:
    """A command, as help tells it."""

    name: str
    takes: str
    does: str
    wants: int = 0
    """Words that it needs at least."""
    completes: str = ""
    """What its first word is: `channel`, `user`, or nothing that is known."""


COMMANDS = {
    one.name: one
    for one in (
        CommandText("channels", "", "list the channels"),
        CommandText("join", "CHANNEL", "be in a channel, and speak there", 1, "channel"),
        CommandText("part", "[CHANNEL]", "leave a channel; the current one, or this", 0, "channel"),
        CommandText("users", "", "list who is in the current channel"),
        CommandText("public", "TEXT", "say it in the current channel, even if it begins with /", 1),
        CommandText("private", "USER TEXT", "say it to one user alone", 2, "user"),
        CommandText("login", "NAME", "log in by another name", 1),
        CommandText("ignore", "[USER]", "show nothing of a user, or show it again", 0, "user"),
        CommandText("notify", "[USER]", "ring when a user comes or speaks, or no more", 0, "user"),
        CommandText("notices", "", "tell of all who come and go, or of recent speakers only"),
        CommandText("help", "", "what can be typed"),
        CommandText("quit", "", "log off, and end"),
    )
}
ALIASES = {"msg": "private", "nick": "login", "leave": "part", "exit": "quit", "list": "channels"}
"""What other chats call it."""


@frozen
class Typed:
    """A command that was typed, and what stands behind it."""

    name: str
    rest: str


def read(line: str) -> Typed | str | None:
    """What a line means; a text where it means nothing, why; None for an empty one."""
    line = line.strip("\r\n")
    if not line.strip():
        return None
    if not line.startswith("/"):
        return Typed("public", line)
    name, _, rest = line[1:].partition(" ")
    rest = rest.strip()
    name = ALIASES.get(name.lower(), name.lower())
    command = COMMANDS.get(name)
    if command is None:
        near = [one for one in COMMANDS if name and one.startswith(name)]
        if len(near) != 1:
            return f"there is no command /{name}: /help lists them"
        command = COMMANDS[near[0]]
    if len(rest.split()) < command.wants:
        return f"/{command.name} needs {command.takes}"
    return Typed(command.name, rest)


def help_lines() -> list[str]:
    """All commands, a line each."""
    heads = {one: f"/{one.name} {one.takes}".rstrip() for one in COMMANDS.values()}
    width = max(map(len, heads.values()))
    return [f"  {head:{width}}  {one.does}" for one, head in heads.items()]
