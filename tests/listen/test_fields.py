import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.listen.fields import split


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("tcp:7800", [("", "tcp"), ("", "7800")]),
        ("a:k=v", [("", "a"), ("k", "v")]),
        ("a:k=v=w", [("", "a"), ("k", "v=w")]),
        (r"a:x\:y\=z\\", [("", "a"), ("", "x:y=z\\")]),
        ("a:k=[::1]:b", [("", "a"), ("k", "[::1]"), ("", "b")]),
        ("a:[ff02::1]:b", [("", "a"), ("", "[ff02::1]"), ("", "b")]),
        ("a:k=10.0.0.0/8,[::1]/128:b", [("", "a"), ("k", "10.0.0.0/8,[::1]/128"), ("", "b")]),
        (r"a:k=\[x:b", [("", "a"), ("k", "[x"), ("", "b")]),
        ("a:x[y:b", [("", "a"), ("", "x[y"), ("", "b")]),
    ],
)
def test_a_text_is_split_at_colons(text: str, fields: list[tuple[str, str]]) -> None:
    assert split(text) == fields


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a:\\", "ends in a backslash"),
        ("a:[::1", r"has a '\[' without its '\]'"),
        ("a::b", "a field is empty"),
        ("a:b:", "a field is empty"),
        ("a:k=", "k is empty"),
    ],
)
def test_a_field_that_is_empty_or_has_no_end_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        split(text)


@given(st.lists(st.tuples(st.text(alphabet="abc"), st.text(min_size=1)), min_size=1))
def test_what_is_escaped_is_read_as_it_was(fields: list[tuple[str, str]]) -> None:
    def escaped(value: str) -> str:
        return "".join(f"\\{character}" for character in value)

    text = ":".join(f"{key}={escaped(value)}" if key else escaped(value) for key, value in fields)
    assert split(text) == fields


@given(st.text(alphabet="a:=[],\\", max_size=12))
def test_any_text_is_split_or_refused(text: str) -> None:
    try:
        fields = split(text)
    except ValueError:
        return
    assert all(value for _, value in fields)
