"""The page's table of names that a service overrides is what the bases have."""

from __future__ import annotations

import re
from inspect import getsource

import pytest

from sockd.net.datagram import Datagrams, Replies
from sockd.net.requests import Once, Requests
from sockd.net.stream import Stream
from tests.environments import ROOT

PAGE = (ROOT / "docs" / "writing-a-service.md").read_text("utf-8")
BASES: list[type] = [Stream, Requests, Datagrams, Replies]
MOST_NAMES = 8
"""That a service can override: more than that nobody keeps in mind."""


def in_table() -> dict[str, set[str]]:
    """The names that the page has for each base."""
    table = PAGE.partition("## What a service overrides\n")[2].partition("\n\n`Requests`")[0]
    found: dict[str, set[str]] = {}
    base = ""
    for row in table.splitlines():
        cells = [cell.strip() for cell in row.strip("|").split(" |")]
        if name := re.fullmatch(r"`(\w+)\(\w*\)`", cells[1] if len(cells) == 3 else ""):
            base = re.sub(r"^`(\w+)`.*", r"\1", cells[0]) or base
            found.setdefault(base, set()).add(name[1])
    return found


def in_code(base: type) -> set[str]:
    """The names that a base has for services to override."""
    sections = re.findall(
        r"^    # what a service overrides$(.*?)(?=^    # |\Z)", getsource(base), re.M | re.S
    )
    return set(re.findall(r"^    def (\w+)\(", "".join(sections), re.M))


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.__name__)
def test_the_page_names_what_a_base_has_to_override(base: type) -> None:
    assert in_table()[base.__name__] == in_code(base) != set()


def test_the_page_names_no_more_bases_and_few_names() -> None:
    assert set(in_table()) == {base.__name__ for base in BASES}
    assert len(set().union(*in_table().values())) <= MOST_NAMES
    assert not in_code(Once)
