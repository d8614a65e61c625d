"""Text as man pages have it: mdoc(7), in lines that mandoc finds nothing wrong with."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator

COLUMNS = 78
"""Of a line of source; mandoc complains of more than 80."""
_AS_IT_IS = {"-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"}
"""Characters that would be shown as others, which look better and cannot be typed."""
_SENTENCE_END = re.compile(r"(?<=[.!?])([)\"']*) +")
_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")
_OPENS_A_LIST = re.compile(r"- ")


def literal(text: str) -> str:
    """A text that is shown as it could be typed."""
    return "".join(_AS_IT_IS.get(char, char) for char in plain(text))


def plain(text: str) -> str:
    """A text of prose: nothing in it means anything to roff."""
    return "".join(_character(char) for char in text)


def _character(char: str) -> str:
    if char == "\\":
        return r"\e"
    return char if " " <= char <= "~" else f"\\[u{ord(char):04X}]"


def argument(text: str) -> str:
    """A text as one argument of a macro, and never as a macro."""
    shown = literal(text).replace('"', r"\(dq")
    shown = rf"\&{shown}" if re.fullmatch(r"[A-Za-z%][A-Za-z]{0,2}|[][().,:;|!?]", text) else shown
    return f'"{shown}"' if " " in shown or not shown else shown


def inline(text: str) -> str:
    """Prose in which `code` is bold, and links are what they show."""
    parts = _CODE.split(_LINK.sub(r"\1", text))
    made = [
        rf"\fB{literal(part)}\fP" if index % 2 else plain(part) for index, part in enumerate(parts)
    ]
    return "".join(made)


def prose(text: str) -> list[str]:
    """One paragraph: each sentence begins a line, as mdoc wants it, and none is too long."""
    lines: list[str] = []
    for sentence in _SENTENCE_END.sub(r"\1\n", " ".join(text.split())).split("\n"):
        lines += _wrapped(inline(sentence))
    return lines


def _wrapped(text: str) -> Iterator[str]:
    for line in textwrap.wrap(text, COLUMNS, break_long_words=False, break_on_hyphens=False):
        yield rf"\&{line}" if line.startswith((".", "'")) else line


def example(lines: Iterable[str]) -> list[str]:
    """Lines that are shown as they are."""
    shown = [literal(line) for line in lines]
    shown = [rf"\&{line}" if line.startswith(".") else line for line in shown]
    return [".Bd -literal -offset indent", *shown, ".Ed"]


def document(text: str) -> list[str]:
    """Paragraphs, lists of `- ` items and examples that are indented by four: simple Markdown."""
    found: list[str] = []
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        if block.startswith("    "):
            made = example(textwrap.dedent(block).splitlines())
        elif _OPENS_A_LIST.match(block):
            made = items(("", item) for item in re.split(r"^- ", block, flags=re.M)[1:])
        else:
            made = prose(block)
        # a display and a list have a line of space before them by themselves
        found += made if not found or made[0].startswith(".B") else [".Pp", *made]
    return found


def items(entries: Iterable[tuple[str, str]], *, compact: bool = False) -> list[str]:
    """A list: the line of each `.It` behind the macro, and its text; without one a bullet list."""
    found: list[str] = []
    is_tagged = False
    for head, text in entries:
        is_tagged = is_tagged or bool(head)
        found += [f".It {head}".rstrip(), *document(text)]
    if not found:
        return []
    kind = "-tag -width Ds" if is_tagged else "-bullet"
    return [f".Bl {kind}{' -compact' * compact}", *found, ".El"]


def section(title: str, *parts: Iterable[str]) -> list[str]:
    """A section, or nothing where it would be empty."""
    found = [line for part in parts for line in part]
    return [f".Sh {title}", *found] if found else []


def subsection(title: str, *parts: Iterable[str]) -> list[str]:
    """A part of a section."""
    return [
        f".Ss {' '.join(argument(word) for word in title.split())}",
        *(line for part in parts for line in part),
    ]


def references(*names: str) -> list[str]:
    """Other pages, as `sock(1)`."""
    found = [re.fullmatch(r"(.+)\((\d)\)", name) for name in names]
    known = sorted((one[2], one[1]) for one in found if one)
    last = len(known) - 1
    return [
        f".Xr {name} {number}{' ,' * (index < last)}" for index, (number, name) in enumerate(known)
    ]
