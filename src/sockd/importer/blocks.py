"""The grammar of xinetd.conf: blocks of attributes, and files that it includes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from attrs import define, field, frozen

from sockd.importer.entry import Note, Place

_HEAD = re.compile(r"(?:service[ \t]+(\S+)|(defaults))[ \t]*(\{)?")
_ATTRIBUTE = re.compile(r"([A-Za-z_]+)\s*(\+=|-=|=)\s*(.*)")


@frozen
class Attribute:
    """A line of a block."""

    place: Place
    name: str
    operator: str
    values: Sequence[str]


@define
class Block:
    """`service NAME { ... }`, or `defaults { ... }`, which has no name."""

    place: Place
    name: str
    attributes: list[Attribute] = field(factory=list)


@frozen
class Include:
    """Another file, or a folder of them, that is to be read here."""

    place: Place
    path: str
    is_folder: bool


Part = Block | Include | Note


def is_xinetd(text: str) -> bool:
    """Whether this is a file of xinetd, and not of inetd."""
    for line in _lines(text):
        return bool(_HEAD.fullmatch(line[1]) or line[1].split()[0] in ("include", "includedir"))
    return False


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """What is not empty and no comment, with the number of its line."""
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if line and not line.startswith("#"):
            yield number, line


def parse(text: str, file: str) -> Iterator[Part]:
    """The parts of a file, in its order."""
    block: Block | None = None
    is_inside = False
    for number, line in _lines(text):
        place = Place(file, number)
        if block is None:
            words = line.split()
            head = _HEAD.fullmatch(line)
            if head is not None:
                block, is_inside = Block(place, head[1] or ""), bool(head[3])
            elif words[0] in ("include", "includedir") and len(words) == 2:
                yield Include(place, words[1], words[0] == "includedir")
            else:
                yield Note(place, f"not understood: {line}")
        elif not is_inside:
            is_inside = line == "{"
            if not is_inside:
                yield Note(place, f'expected "{{", got {line}')
                block = None
        elif line == "}":
            yield block
            block = None
        elif attribute := _ATTRIBUTE.fullmatch(line):
            name, operator, values = attribute.groups()
            block.attributes.append(Attribute(place, name, operator, values.split()))
        else:
            yield Note(place, f"not understood: {line}")
    if block is not None:
        yield Note(block.place, 'its "}" is missing')
