"""What a line that is being typed may become."""

from __future__ import annotations

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from sockd.client.chat.completing import MOST_KNOWN, Names
from sockd.client.chat.told import ChannelRow, Joined, Message, Presence, UserRow


def lines(names: Names, text: str) -> list[str]:
    """What it may be then."""
    found = names.get_completions(Document(text), CompleteEvent(completion_requested=True))
    return [text[: len(text) + one.start_position] + one.text for one in found]


@pytest.fixture
def names() -> Names:
    found = Names()
    for event in (
        Message("bert", "hi", "Weather"),
        Presence("Pets", "carl", True),
        ChannelRow("Pets", 1, "all"),
        Joined("Gardening", 1, True),
        UserRow("Bertha", 5, ["Pets", "Politics"]),
    ):
        found.see(event)
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/jo", ["/join "]),
        ("/JO", ["/join "]),
        ("/u", ["/users"]),
        ("/no", ["/notify ", "/notices"]),
        ("/join p", ["/join Politics", "/join Pets"]),
        ("/leave g", ["/leave Gardening"]),
        ("/private be", ["/private Bertha ", "/private bert "]),
        ("/msg c", ["/msg carl "]),
        ("/msg carl tell be", ["/msg carl tell Bertha", "/msg carl tell bert"]),
        ("/ignore ca", ["/ignore carl"]),
        ("/join pets x", []),
        ("/nonsense x", []),
        ("/login x", []),
        ("be", ["Bertha: ", "bert: "]),
        ("ask be", ["ask Bertha", "ask bert"]),
        ("", []),
        ("word ", []),
        ("zz", []),
    ],
)
def test_the_word_before_the_cursor_is_completed(
    names: Names, text: str, expected: list[str]
) -> None:
    assert lines(names, text) == expected


def test_who_spoke_last_comes_first(names: Names) -> None:
    names.see(Message("bert", "hi", "Weather"))
    assert lines(names, "be") == ["bert: ", "Bertha: "]


def test_a_name_that_would_act_on_a_terminal_is_not_completed(names: Names) -> None:
    names.see(Message("be\x1b[2J", "hi", "We\u202ex"))
    assert lines(names, "be") == ["Bertha: ", "bert: "]
    assert lines(names, "/join we") == ["/join Weather"]


def test_strangers_cannot_fill_the_memory(names: Names) -> None:
    for number in range(MOST_KNOWN + 5):
        names.see(Message(f"user{number}", "hi", f"channel{number}"))
    assert len(names.users) == len(names.channels) == MOST_KNOWN
    assert lines(names, "user0") == []
    assert lines(names, f"user{MOST_KNOWN + 4}") == [f"user{MOST_KNOWN + 4}: "]
