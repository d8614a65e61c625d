"""Transcripts in documentation: what is typed, what comes back, and whether it is what comes back.

A transcript is an indented block, or a fenced one, with lines that begin with `$ `: a command each,
its output below it. In the output `...` stands for anything on its line, a line that is `...` alone
for one or more lines, a time in the form of ctime for any time, and a figure that was measured,
such as `0.35 ms` or `-0.45..+0.56 s`, for any with that kind of unit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

README = Path(__file__).parents[1] / "README.md"
_CTIME = re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (?:[A-Z]+ )?\d{4}")
_FIGURE = re.compile(r"(?:[+-]\d+\.\d+\.\.)?[+-]?\d+(?:\.\d+)? (?:[nµm]?(s)|[kMG]?(bit/s))(?!\w)")
_FENCED = re.compile(
    r"(?:^`(?P<name>[^`\n]+)`:\n\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)
_INDENTED = re.compile(r"(?:^    .*\n)+", re.M)


@frozen
class Step:
    """A command, and what it is said to print."""

    command: str
    output: tuple[str, ...]


@frozen
class Block:
    """A fenced block: its kind, its text, and the file that a line `NAME`: above it says it is."""

    kind: str
    text: str
    name: str


def blocks(markdown: str) -> Iterator[Block]:
    """The fenced blocks of a page."""
    for found in _FENCED.finditer(markdown):
        yield Block(found["kind"], found["text"], found["name"] or "")


def readme_service() -> str:
    """The service that the README adds."""
    name = "src/sockd/services/shout.py"
    [text] = [one.text for one in blocks(README.read_text("utf-8")) if one.name == name]
    return text


def write_files(markdown: str, folder: Path) -> None:
    """Write the files that a page shows."""
    for block in blocks(markdown):
        if block.name:
            file = folder / block.name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, "utf-8")


def transcripts(markdown: str) -> Iterator[list[Step]]:
    """The transcripts of a page or a docstring: each is typed into one shell."""
    fenced = [block.text for block in blocks(markdown)]
    indented = [
        re.sub("^    ", "", found[0], flags=re.M)
        for found in _INDENTED.finditer(_FENCED.sub("", markdown) + "\n")
    ]
    for text in fenced + indented:
        if text.startswith("$ "):
            yield list(_steps(text))


def _steps(text: str) -> Iterator[Step]:
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        command, *output = part.splitlines()
        yield Step(command, tuple(output))


def is_as_said(output: str, said: tuple[str, ...]) -> bool:
    """Whether a command printed what its transcript says. Line ends count only as line ends."""
    pattern = "".join(map(_pattern, said))
    actual = "".join(f"{line}\n" for line in output.replace("\r\n", "\n").splitlines())
    return re.fullmatch(pattern, _any_figure(actual)) is not None


def _any_figure(text: str) -> str:
    """The text without what is another one each time."""
    return _FIGURE.sub(r"<\1\2>", _CTIME.sub("<time>", text))


def _pattern(line: str) -> str:
    if line == "...":
        return "(?:.*\n)+"
    return ".*".join(map(re.escape, _any_figure(line).split("..."))) + "\n"
