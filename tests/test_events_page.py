"""docs/events.md has every event, every field and every reason, and no others."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.logger import LogLevel

from sockd import events
from sockd.access.entrance import Entrance
from sockd.access.peer import Peer
from sockd.access.reasons import SENTENCES
from sockd.formats.template import names_in

PAGE = (Path(__file__).parents[1] / "docs" / "events.md").read_text("utf-8")
PARTS = {
    "local": {"transport", "role", "local_address", "local_port", "local_path"},
    "peer": {"peer_address", "peer_port", "peer_pid", "peer_uid", "via"},
}
"""What the fields of several parts are told as."""


def rows(heading: str) -> dict[str, list[str]]:
    """The rows of the table below a heading, by their first cell."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.findall(r"^\| `([^`]+)` \| (.*) \|$", section, re.MULTILINE)
    return {name: rest.split(" | ") for name, rest in found}


def names(cell: str) -> set[str]:
    """What stands in backquotes."""
    return set(re.findall(r"`([^`]+)`", cell))


def test_every_event_is_there_with_its_fields() -> None:
    assert {name: names(cells[0]) for name, cells in rows("Events").items()} == events.FIELDS


def test_every_field_is_there_with_what_it_is() -> None:
    whole = {name for event in events.FIELDS.values() for name in event}
    parts = set().union(*(PARTS.get(name, {name}) for name in whole))
    assert rows("Fields").keys() == parts


def test_the_parts_of_a_field_are_those_that_it_is_told_as() -> None:
    peer = Peer("192.0.2.7", 7, via=Peer("::1", 80))
    locals_ = Entrance("tcp", "192.0.2.1", 7, role="door"), Entrance("unix", path="/run/x")
    assert PARTS["peer"] == {*peer.fields("peer"), *Peer("", 0, 12, 34).fields("peer")}
    assert PARTS["local"] == {name for one in locals_ for name in one.fields("local")}


def test_every_reason_is_there_with_its_fields() -> None:
    fields = {name: names_in(text) for name, text in SENTENCES.items()}
    assert {name: names(cells[0]) for name, cells in rows("Reasons").items()} == fields


def test_no_field_of_a_reason_hides_one_of_an_event_that_has_a_reason() -> None:
    of_reasons = {field for text in SENTENCES.values() for field in names_in(text)}
    for name, fields in events.FIELDS.items():
        if "reason" in fields:
            told = set().union(*(PARTS.get(field, {field}) for field in fields))
            assert not told & of_reasons, name


def test_everything_is_explained_in_a_sentence() -> None:
    for heading in ("Events", "Fields", "Reasons"):
        for name, cells in rows(heading).items():
            assert cells[-1].endswith("."), name


def test_every_level_is_there() -> None:
    [told] = re.findall(r"`level` \((.*?)\)", PAGE.replace("\n", " "))
    assert names(told) == {level.name for level in LogLevel.iterconstants()}
