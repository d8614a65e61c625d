"""Text in man pages: it is shown as it is, whatever it is."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from sockd.ops.manual.roff import argument, document, example, items, literal, prose, section
from tests.processes import finish

HOSTILE = (
    ".Sh NAME",
    "'br",
    "\\fBx\\fP",
    "Sh",
    "Fl",
    "a -b --long",
    '"quoted"',
    "\\",
    "`",
    "~/.^x",
)
"""What means something to roff."""


def shown(*lines: str) -> str:
    """What a reader sees of the lines of a section, in one line."""
    head = [".Dd November 29, 2026", ".Dt X 1", ".Os", ".Sh NAME", ".Nm x", ".Nd y", ".Sh ABOUT"]
    source = "\n".join([*head, *lines, ""])
    done = finish(["mandoc", "-T", "utf8", "-O", "width=1000"], stdin=source.encode())
    text = re.sub(".\b", "", done.stdout.decode())
    return " ".join(text.partition("ABOUT")[2].strip().rpartition("\n")[0].split())  # but its foot


def test_what_means_something_to_roff_is_shown_as_it_is() -> None:
    assert shown(*prose(" ".join(HOSTILE).replace("`", ""))) == " ".join(HOSTILE).replace("` ", "")
    assert shown(*example(HOSTILE)) == " ".join(HOSTILE)
    for text in HOSTILE:
        assert shown(*items([(f"Ic {argument(text)}", "Means it.")])) == f"{text} Means it."


@given(st.text(st.characters(exclude_categories=["C", "Z"])))
def test_no_text_begins_a_line_as_a_request(text: str) -> None:
    for line in (*prose(text), *example([text])[1:-1]):
        assert not line.startswith((".", "'"))
        assert line.isascii()
    assert literal(text).isascii()


@given(st.text(st.characters(exclude_categories=["C"]), min_size=1))
def test_an_argument_is_one_word_and_no_macro(text: str) -> None:
    made = argument(text)
    assert " " not in made or made.startswith('"')
    assert made.count('"') in (0, 2)
    assert not re.fullmatch("[A-Z][a-z]", made)


def test_paragraphs_lists_and_examples_are_what_they_look_like() -> None:
    assert document("One. Two `x-y`.\n\n    $ sock\n\n- a\n- b") == [
        "One.",
        r"Two \fBx\-y\fP.",
        *(".Bd -literal -offset indent", "$ sock", ".Ed"),
        *(".Bl -bullet", ".It", "a", ".It", "b", ".El"),
    ]
    assert section("EMPTY", []) == []
