import re
import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sockd.config.positions import Path, positions

# Each key as it may be written: bare, quoted, escaped; one that needs its quotes.
SPELLINGS = {
    "a": ["a", '"a"', "'a'", r'"\u0061"'],
    "bc": ["bc", '"bc"', "'bc'"],
    "d-1": ["d-1", '"d-1"'],
    "x.y = [z]#": ['"x.y = [z]#"', "'x.y = [z]#'"],
    'q"': [r'"q\""', "'q\"'"],
    "": ['""', "''"],
    "e": ["e"],
    "f": ["f"],
}
SCALARS = [
    "true",
    "1979-05-27 07:32:00",
    "-1.5e3",
    '""',
    "''",
    r'"a\"b # [c]"',
    r"'\'",
    '"""\n[a]\nbc = "1" # no\n"""',
    '"""""quoted"""""',
    r'"""\""""',
    '"""one \\\n  two"""',
    "'''\n[[e]]\n'quoted''''",
    "''''''",
]
KEYS = st.sampled_from(list(SPELLINGS)).flatmap(lambda key: st.sampled_from(SPELLINGS[key]))
DOTTED = st.lists(KEYS, min_size=1, max_size=3).flatmap(
    lambda parts: st.sampled_from([".", " . ", "\t."]).map(lambda dot: dot.join(parts))
)
GAPS = st.sampled_from(["", " ", "\n", "\n\n", " # it's ] } \"\n ", "\t"])


@st.composite
def values(draw: st.DrawFn, depth: int = 3) -> str:
    kind = draw(st.sampled_from(["integer", "scalar", "array", "table"] if depth else ["integer"]))
    if kind == "integer":
        return str(draw(st.integers(100, 10**9)))
    if kind == "scalar":
        return draw(st.sampled_from(SCALARS))
    if kind == "array":
        items = draw(st.lists(values(depth=depth - 1), max_size=3))
        gapped = [f"{draw(GAPS)}{item}{draw(GAPS)}" for item in items]
        end = draw(st.sampled_from(["", ","])) if items else ""
        return f"[{','.join(gapped)}{end}{draw(GAPS)}]"
    pairs = draw(st.lists(st.tuples(DOTTED, values(depth=depth - 1)), max_size=3))
    return "{ " + " , ".join(f"{key} = {value}" for key, value in pairs) + " }"


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A document built statement by statement; one that would make it invalid is left out."""
    text = ""
    for _ in range(draw(st.integers(0, 12))):
        key = draw(DOTTED)
        statement = draw(
            st.sampled_from(["[{}]", "[[{}]]", "[ {} ] # [x]", "{} = ", "{}=", "# {}"])
        )
        line = statement.format(key)
        if statement.rstrip().endswith("="):
            line += draw(values())
        longer = text + draw(st.sampled_from(["", "  ", "\n", "# [no]\n"])) + line + "\n"
        try:
            tomllib.loads(longer)
        except tomllib.TOMLDecodeError:
            continue
        text = longer
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


def paths(value: object, at: Path = ()) -> Iterator[tuple[Path, object]]:
    """Every path of a parsed document and what it holds, but the document itself."""
    if at:
        yield at, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, (*at, key))
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from paths(item, (*at, index))


@given(documents())
def test_every_path_of_a_document_has_a_line_that_holds_it(text: str) -> None:
    found = positions(text)
    parsed = dict(paths(tomllib.loads(text)))
    assert found.keys() == parsed.keys()
    lines = text.split("\n")
    for path, line in found.items():
        last = path[-1]
        if isinstance(last, str):
            assert any(spelling in lines[line - 1] for spelling in SPELLINGS[last])
        elif type(parsed[path]) is int:
            assert re.search(rf"\b{parsed[path]}\b", lines[line - 1])


DOCUMENT = """\
top = 1
[service.echo]  # a comment
listen = [
    "tcp:7",

    "udp:7",
]
limits.rate = { burst = 5, per.second = 2 }
text = '''
[not.a.table]
'''
[service]
"odd key" = [[1, 2], { a = 3 }]

[[user]]
name = "a"
[user.home]
path = "/"
[[user]]
name = "b"
[[user.key]]
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 1),
        (("service",), 12),
        (("service", "echo"), 2),
        (("service", "echo", "listen"), 3),
        (("service", "echo", "listen", 0), 4),
        (("service", "echo", "listen", 1), 6),
        (("service", "echo", "limits"), 8),
        (("service", "echo", "limits", "rate"), 8),
        (("service", "echo", "limits", "rate", "burst"), 8),
        (("service", "echo", "limits", "rate", "per", "second"), 8),
        (("service", "echo", "text"), 9),
        (("service", "odd key"), 13),
        (("service", "odd key", 0, 1), 13),
        (("service", "odd key", 1, "a"), 13),
        (("user",), 15),
        (("user", 0), 15),
        (("user", 0, "name"), 16),
        (("user", 0, "home", "path"), 18),
        (("user", 1), 19),
        (("user", 1, "name"), 20),
        (("user", 1, "key", 0), 21),
    ],
)
def test_a_path_has_the_line_where_it_stands(path: Path, line: int) -> None:
    assert positions(DOCUMENT)[path] == line
    assert positions(DOCUMENT.replace("\n", "\r\n"))[path] == line


def test_an_empty_document_has_no_positions() -> None:
    assert positions("") == positions(" # nothing") == {}


@given(st.text(alphabet="ab.=[]{},\"'#\\\n 1"))
def test_what_is_not_toml_raises_value_error_or_is_read(text: str) -> None:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        try:
            positions(text)
        except ValueError:
            return
    else:
        assume(text.strip())
        assert positions(text).keys() == dict(paths(tomllib.loads(text))).keys()
