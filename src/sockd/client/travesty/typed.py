"""What a user types at the prompt."""

from __future__ import annotations

import shlex

from attrs import frozen

from sockd.formats.nearest import near_miss

MOST_WORDS = 10**18
"""More than would come in a lifetime."""


@frozen
class Analyze:
    """Send a file."""

    name: str


@frozen
class Generate:
    """Print so many words."""

    words: int


@frozen
class Reset:
    """Forget the text."""


@frozen
class Leave:
    """End it."""


@frozen
class Help:
    """What can be typed."""


Typed = Analyze | Generate | Reset | Leave | Help

HELP = (
    ("analyze FILE", "send a text; words are learnt from it alone from then on"),
    ("generate N", "print about N words of travesty"),
    ("reset", "have the text forgotten"),
    ("bye, goodbye, quit", "leave"),
    ("help", "what can be typed"),
    ("^C", "stop what is under way; at the prompt, twice: leave"),
)
NAMES = ("analyze", "generate", "reset", "bye", "goodbye", "quit", "help")
_ALONE: dict[str, Typed] = {
    "reset": Reset(),
    "bye": Leave(),
    "goodbye": Leave(),
    "quit": Leave(),
    "help": Help(),
    "?": Help(),
}
STANDARD_INPUT = "-"


def read(line: str) -> Typed | str | None:
    """What a line means; a text where it means nothing, why; None for an empty one."""
    if not (words := line.strip().split(maxsplit=1)):
        return None
    name, rest = words[0].lower(), words[1] if len(words) > 1 else ""
    if name == "analyze":
        return _analyze(rest)
    if name == "generate":
        return number(rest)
    if name not in _ALONE:
        return f"there is no command '{name}'{near_miss(name, NAMES) or '; help lists them'}"
    return f"{name} takes nothing, got '{rest}'" if rest else _ALONE[name]


def number(text: str) -> Generate | str:
    """How many words; a text where it is no number."""
    is_number = text.isascii() and text.isdecimal()
    if not is_number or not (words := int(text[: len(str(MOST_WORDS)) + 1])):
        return f"generate needs a number of words from 1 on, got '{text}'"
    if words > MOST_WORDS:
        return f"generate: {MOST_WORDS} words are more than come in a lifetime"
    return Generate(words)


def _analyze(rest: str) -> Analyze | str:
    """A file's name is one word of a shell, or else as it stands: it may have spaces and quotes."""
    try:
        words = shlex.split(rest)
    except ValueError:
        words = []
    name = words[0] if len(words) == 1 else rest
    if not name:
        return "analyze needs the name of a FILE"
    if name == STANDARD_INPUT:
        return "what is typed here are commands: analyze needs the name of a FILE, not '-'"
    return Analyze(name)


def help_lines() -> list[str]:
    """All commands, a line each."""
    width = max(len(head) for head, _ in HELP)
    return [f"  {head:{width}}  {does}" for head, does in HELP]
