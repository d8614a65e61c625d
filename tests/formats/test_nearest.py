"""What may have been meant is told."""

from sockd.formats.nearest import near_miss


def test_the_nearest_known_word_is_suggested_whatever_its_case() -> None:
    assert near_miss("PRIVATEKEY", ["privateKey", "port"]) == "; did you mean 'privateKey'?"
    assert near_miss("colums", {"columns", "max_text"}) == "; did you mean 'columns'?"


def test_where_none_is_near_nothing_is_said_or_all_are_in_their_order() -> None:
    assert near_miss("zzz", ["udp", "tcp"]) == ""
    assert near_miss("zzz", ["udp", "tcp"], or_all=True) == "; there are udp, tcp"
