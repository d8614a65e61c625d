"""What comes with a request: each argument is what it should be, and none is left."""

from __future__ import annotations

from typing import Any

import pytest

from sockd.ops.control.arguments import Arguments
from sockd.ops.control.frames import ControlError


def test_an_argument_is_taken_once_by_name_and_type() -> None:
    arguments = Arguments({"name": "echo", "count": 3, "all": True, "names": ["a", "b"], "idle": 5})
    assert arguments.take("name", str) == "echo"
    assert arguments.take("count", int) == 3
    assert arguments.take("all", bool) is True
    assert arguments.texts("names") == ("a", "b")
    assert arguments.seconds("idle") == 5.0
    arguments.done()


def test_what_is_not_given_has_its_default() -> None:
    arguments = Arguments({"name": None})
    assert arguments.take("name", str, "") == ""
    assert arguments.texts("names") == ()
    assert arguments.seconds("idle") == 0
    arguments.done()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "`name` is missing: a text"),
        ({"name": 7}, "`name` is a text, not 7"),
        ({"name": ["x"]}, r"`name` is a text, not \['x'\]"),
    ],
)
def test_what_is_of_another_type_is_told(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ControlError, match=why) as caught:
        Arguments(given).take("name", str)
    assert caught.value.kind == "usage"


def test_true_is_no_number() -> None:
    with pytest.raises(ControlError, match="`count` is a whole number, not True"):
        Arguments({"count": True}).take("count", int)


def test_a_list_of_texts_has_texts_only() -> None:
    with pytest.raises(ControlError, match="`names` is a list of texts"):
        Arguments({"names": ["a", 1]}).texts("names")


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan"), 10**400])
def test_seconds_are_a_time_that_passes(seconds: float) -> None:
    with pytest.raises(ControlError, match="`idle` is a number"):
        Arguments({"idle": seconds}).seconds("idle")


def test_what_no_command_knows_is_told_with_what_was_meant() -> None:
    arguments = Arguments({"servise": "echo"})
    arguments.take("service", str, "")
    with pytest.raises(ControlError, match="no argument 'servise'; did you mean 'service'"):
        arguments.done()


def test_of_a_command_that_takes_nothing_that_is_said() -> None:
    with pytest.raises(ControlError, match=r"^there is no argument 'x': it takes none$"):
        Arguments({"x": 1}).done()
