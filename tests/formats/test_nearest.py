"""What may have been meant is told."""

import pytest

from sockd.formats.nearest import near_miss


def test_the_nearest_known_word_is_suggested_whatever_its_case() -> None:
    assert near_miss("PRIVATEKEY", ["privateKey", "port"]) == "; did you mean 'privateKey'?"
    assert near_miss("colums", {"columns", "max_text"}) == "; did you mean 'columns'?"


@pytest.mark.parametrize(
    ("word", "known"),
    [("template", "reply_rate"), ("chat", "echo"), ("udp", "tcp"), ("x" * 1_000_000, "listen")],
)
def test_a_word_is_not_near_that_shares_a_few_letters(word: str, known: str) -> None:
    assert near_miss(word, [known]) == ""


@pytest.mark.parametrize(
    ("word", "known"),
    [("tpc", "tcp"), ("ecko", "echo"), ("idel_timout", "idle_timeout"), ("listens", "listen")],
)
def test_a_slip_of_the_keyboard_is_near(word: str, known: str) -> None:
    assert near_miss(word, ["kind", known]) == f"; did you mean {known!r}?"


def test_where_none_is_near_nothing_is_said_or_all_are_in_their_order() -> None:
    assert near_miss("zzz", ["udp", "tcp"]) == ""
    assert near_miss("zzz", ["udp", "tcp"], or_all=True) == "; there are udp, tcp"
