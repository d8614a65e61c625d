"""The lines of the control socket."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.ops.control.frames import (
    LONGEST_REQUEST,
    ControlError,
    NotSockdError,
    Request,
    Told,
    answer_line,
    error_line,
    item_line,
    joined,
    part_line,
    read_line,
    read_request,
    request_line,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(), JSON)


@given(st.text(), OBJECTS, st.booleans())
def test_a_request_is_read_as_it_was_sent(command: str, arguments: dict, follow: bool) -> None:  # type: ignore[type-arg]
    request = Request(command, arguments, follow)
    line = request_line(request)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert read_request(line[:-1]) == request


@given(OBJECTS)
def test_what_a_daemon_says_is_read_as_it_was_sent(told: dict) -> None:  # type: ignore[type-arg]
    assert read_line(answer_line(told)) == Told("answer", told)
    assert read_line(item_line(told)) == Told("item", told)
    assert read_line(part_line(told)) == Told("part", told)


@given(st.lists(st.integers()), st.integers(1, 5))
def test_an_answer_in_parts_is_the_answer_that_it_was_cut_from(
    numbers: list[int], size: int
) -> None:
    cuts = range(0, len(numbers) + 1, size)
    parts = [{"numbers": numbers[cut : cut + size], "at": cut} for cut in cuts]
    assert joined(parts) == {"numbers": numbers, "at": cuts[-1]}
    assert all(len(part["numbers"]) <= size for part in parts)  # type: ignore[arg-type]


@given(st.text())
def test_nothing_on_the_wire_acts_on_a_terminal(text: str) -> None:
    for line in (answer_line({"text": text}), error_line(ControlError(text))):
        assert line.isascii()
        assert all(byte >= 0x20 and byte != 0x7F for byte in line[:-1])


@pytest.mark.parametrize("kind", ["usage", "refused", "failed"])
def test_an_error_keeps_its_text_and_its_kind(kind: str) -> None:
    with pytest.raises(ControlError, match="no such thing") as caught:
        read_line(error_line(ControlError("no such thing", kind)))  # type: ignore[arg-type]
    assert caught.value.kind == kind


@given(st.binary())
def test_whatever_comes_is_a_request_or_an_error(line: bytes) -> None:
    with suppress(ControlError):
        assert isinstance(read_request(line), Request)


def test_what_is_nested_too_deeply_is_no_request() -> None:
    with pytest.raises(ControlError, match="a JSON object in one line"):
        read_request(b"[" * LONGEST_REQUEST)


@given(st.binary() | JSON.map(lambda whole: json.dumps(whole).encode()))
def test_whatever_answers_is_read_or_is_an_error(line: bytes) -> None:
    with suppress(ControlError):
        assert isinstance(read_line(line), Told)


@pytest.mark.parametrize("line", [b"hello", b"[]", b"\xff\x00", b"{}", b'{"ok": 1}', b"[" * 10**5])
def test_what_is_no_answer_is_no_fault_of_who_has_asked(line: bytes) -> None:
    with pytest.raises(NotSockdError, match="what answers there is no sockd") as caught:
        read_line(line)
    assert caught.value.kind == "failed"


@pytest.mark.parametrize(
    ("whole", "why"),
    [
        ({"command": "status"}, "version 1"),
        ({"version": 2, "command": "status"}, "not 2"),
        ({"version": 1}, "names its command"),
        ({"version": 1, "command": "status", "arguments": []}, "are an object"),
        ({"version": 1, "command": "status", "follow": 1}, "true or false"),
        ({"version": 1, "command": "status", "argument": {}}, "has no argument"),
        ([], "a JSON object in one line"),
    ],
)
def test_a_request_that_is_wrong_is_told_what_is(whole: object, why: str) -> None:
    with pytest.raises(ControlError, match=why):
        read_request(json.dumps(whole).encode())
