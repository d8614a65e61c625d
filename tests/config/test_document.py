"""Configuration files are merged in order, and each value knows where it stands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sockd.config.document import ConfigError, Document, Mistake, Place, files_of, parse, read


def write(folder: Path, **texts: str) -> Path:
    """`sockd.toml`, and the others in `conf.d`; their names are the keywords."""
    (folder / "conf.d").mkdir()
    for name, text in texts.items():
        file = folder / "sockd.toml" if name == "sockd" else folder / "conf.d" / f"{name}.toml"
        file.write_text(text, "utf-8")
    return folder / "sockd.toml"


def test_conf_d_is_read_after_the_file_and_in_name_order(tmp_path: Path) -> None:
    file = write(tmp_path, sockd="a = 0\nb = 0\nc = 0", z="a = 3", m="a = 2\nb = 2", a="a = 1")
    assert [one.name for one in files_of(file)] == ["sockd.toml", "a.toml", "m.toml", "z.toml"]
    assert read(file).values == {"a": 3, "b": 2, "c": 0}


def test_only_toml_files_of_conf_d_are_read(tmp_path: Path) -> None:
    file = write(tmp_path, sockd="a = 0")
    (tmp_path / "conf.d" / "more.toml.bak").write_text("a = 1", "utf-8")
    # what editors leave behind
    for name in (".more.toml", ".#more.toml", "#more.toml#", "more.toml~", ".more.toml.swp"):
        (tmp_path / "conf.d" / name).write_text("a = 3", "utf-8")
    (tmp_path / "conf.d" / "README").write_text("not TOML", "utf-8")
    (tmp_path / "other.toml").write_text("a = 2", "utf-8")
    assert read(file).values == {"a": 0}


def test_a_mark_that_an_editor_begins_a_file_with_is_no_part_of_it(tmp_path: Path) -> None:
    file = write(tmp_path, sockd="\ufeffa = 0\r\nb = 1", more="\ufeffc = 2")
    document = read(file)
    assert document.values == {"a": 0, "b": 1, "c": 2}
    assert document.place(("b",)).line == 2


def test_a_document_knows_its_files_in_their_order(tmp_path: Path) -> None:
    file = write(tmp_path, sockd="a = 0", more="b = 1", also="c = 1")
    folder = tmp_path / "conf.d"
    assert read(file).files == [str(file), str(folder / "also.toml"), str(folder / "more.toml")]


def test_a_relative_path_starts_at_the_folder_of_its_file_and_without_one_at_the_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, sockd="a = 0\n[t]\nx = 1", more="b = 1\n[t]\ny = 2")
    monkeypatch.chdir(tmp_path)
    document = read(Path("sockd.toml"))
    document.set("c=1")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert document.folder(("a",)) == document.folder(("t", "x")) == str(tmp_path)
    assert document.folder(("b",)) == document.folder(("t", "y")) == str(tmp_path / "conf.d")
    assert document.folder(("c",)) == document.folder(("none",)) == str(elsewhere)


@pytest.mark.timeout(60)
def test_a_fifo_is_told_and_not_waited_for(tmp_path: Path) -> None:
    file = write(tmp_path, sockd="a = 0")
    os.mkfifo(tmp_path / "conf.d" / "more.toml")
    with pytest.raises(ConfigError, match=r"more\.toml: a FIFO, not a file"):
        read(file)


def test_a_file_alone_needs_no_conf_d(tmp_path: Path) -> None:
    file = tmp_path / "sockd.toml"
    file.write_text("a = 0", "utf-8")
    assert read(file).values == {"a": 0}


def test_tables_are_merged_and_all_else_is_replaced(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        sockd="[service.echo]\nlisten = ['a', 'b']\nmax_line = 1\n[service.ack]\nx = 1",
        more="[service.echo]\nlisten = ['c']\n[service.new]\nx = 2\n[service]\nack = 5",
    )
    assert read(file).values == {
        "service": {"echo": {"listen": ["c"], "max_line": 1}, "ack": 5, "new": {"x": 2}}
    }


def test_each_value_knows_the_file_and_the_line_it_came_from(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        sockd="[service.echo]\nidle_timeout = 1\nmax_line = 1",
        more="\n[service.echo]\nidle_timeout = 2",
    )
    document = read(file)
    beside = tmp_path / "conf.d" / "more.toml"
    assert str(document.place(("service", "echo", "idle_timeout"))) == f"{beside}:3"
    assert str(document.place(("service", "echo", "max_line"))) == f"{file}:3"


def test_what_has_no_line_of_its_own_stands_where_its_table_does() -> None:
    document = Document()
    parse(document, "[service.echo]\nx = 1", "F")
    assert document.place(("service", "echo", "listen", 0)) == Place("F", 1)
    assert document.place(("sockd",)) == Place()


def test_every_file_that_cannot_be_read_is_named_at_once(tmp_path: Path) -> None:
    file = write(tmp_path, sockd="a =", m="= 2", z="a = 1")
    (tmp_path / "conf.d" / "z.toml").unlink()
    (tmp_path / "conf.d" / "z.toml").mkdir()
    with pytest.raises(ConfigError) as caught:
        read(file)
    assert str(caught.value).splitlines() == [
        f"{file}:1: not TOML: Invalid value (at end of document)",
        f"{tmp_path}/conf.d/m.toml:1: not TOML: Invalid statement (at line 1, column 1)",
        f"{tmp_path}/conf.d/z.toml: a directory, not a file",
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("true", True),
        ('"5"', "5"),
        ("1.5", 1.5),
        ("5s", "5s"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("tcp:7800", "tcp:7800"),
        ("", ""),
        ("a=b", "a=b"),
        ('["a", "b"]', ["a", "b"]),
        ("[a, b]", "[a, b]"),
        ("{a = 1}", {"a": 1}),
        ("1\nmore = 2", "1\nmore = 2"),
        ("1" * 5000, "1" * 5000),
        ("[" * 100_000, "[" * 100_000),
    ],
    ids=lambda value: str(value)[:20],
)
def test_set_takes_toml_and_what_is_not_toml_as_a_text(text: str, value: Any) -> None:
    document = Document()
    document.set(f"service.echo.x={text}")
    assert document.values == {"service": {"echo": {"x": value}}}


@pytest.mark.parametrize("assignment", ["", "x", "=1", ".=1", "a..b=1", "a.=1", ".a=1"])
def test_set_without_a_key_or_a_value_is_a_mistake(assignment: str) -> None:
    document = Document({"a": 1})
    with pytest.raises(ConfigError) as caught:
        document.set(assignment)
    assert str(caught.value) == (
        f"--set {assignment}: expected KEY=VALUE, as in service.echo.max_connections=9"
    )
    assert document.values == {"a": 1}


def test_set_overrides_the_files_and_says_so_in_each_place_below_it() -> None:
    document = Document()
    parse(document, "[service.echo]\nlisten = ['tcp:1']\nmax_line = 1", "F")
    document.set("service.echo.listen=['tcp:2', 'tcp:3']")
    document.set("service.ack = {max_line = 5}")
    assert document.values["service"] == {
        "echo": {"listen": ["tcp:2", "tcp:3"], "max_line": 1},
        "ack": {"max_line": 5},
    }
    where = Place("--set service.echo.listen=['tcp:2', 'tcp:3']")
    assert document.place(("service", "echo", "listen")) == where
    assert document.place(("service", "echo", "listen", 1)) == where
    assert document.place(("service", "echo", "max_line")) == Place("F", 3)
    place = document.place(("service", "ack", "max_line"))
    assert place == Place("--set service.ack = {max_line = 5}")


def test_what_only_set_names_stands_there() -> None:
    document = Document()
    parse(document, "[service.echo]", "F")
    document.set("service.ecko.max_line=5")
    assert document.place(("service", "ecko")) == Place("--set service.ecko.max_line=5")
    assert document.place(("service", "echo")) == Place("F", 1)


def test_a_mistake_shows_nothing_that_a_terminal_would_act_on() -> None:
    mistake = Mistake(Place("\x1b[2Jsockd.toml", 1), "service.\u202e", "got '\x07\n'")
    assert str(mistake) == "\\x1b[2Jsockd.toml:1: service.\\u202e: got '\\x07\\x0a'"


SURROGATE = "\udcff"
"""As Python has a byte 0xff of a command line or a file's name, which is no UTF-8."""


@pytest.mark.parametrize("text", [f"service.said.x{SURROGATE}=1", f"service.said.x='{SURROGATE}'"])
def test_an_assignment_that_is_not_utf_8_is_a_mistake(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--set .*\\udcff.*: not UTF-8") as error:
        Document().set(text)
    assert error.value.is_usage


@pytest.mark.parametrize("name", [f"a{SURROGATE}.toml", f"conf.d/a{SURROGATE}.toml"])
def test_a_file_whose_name_is_not_utf_8_is_a_mistake(name: str, tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "sockd.toml").write_text("[service.said]\n", "utf-8")
    (tmp_path / name).write_text("[service.said]\n", "utf-8")
    path = tmp_path / (name if "/" not in name else "sockd.toml")
    with pytest.raises(ConfigError, match=r"\\udcff.toml: the name of the file is not UTF-8"):
        read(path)
