"""What holds is told, with where each value came from, and holds the same when it is read."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from sockd.config.document import ConfigError
from sockd.config.effective import effective_json, effective_toml
from sockd.config.load import load
from sockd.config.settings import Settings
from sockd.service import find

FOUND = find()
TEXT = """\
[sockd]
log_format = "json"
[defaults]
idle_timeout = "30 sec"
max_line = 99
[service.reverse]
listen = ["tcp:0"]
[service.hello]
kind = "greet"
listen = ["tcp:0", "unix:${RUNTIME}/hello.sock"]
template = "# {name}"
idle_timeout = "off"
[service.fortune]
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration, and more of it beside."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    file = tmp_path / "sockd.toml"
    file.write_text(TEXT, "utf-8")
    beside = tmp_path / "conf.d" / "more.toml"
    beside.parent.mkdir()
    beside.write_text("[service.reverse]\n\nallow = ['10.0.0.0/8']", "utf-8")
    return file


def loaded(file: Path, *assignments: str) -> Settings:
    return load(str(file), None, assignments, FOUND)


def test_what_is_printed_holds_the_same(file: Path, tmp_path: Path) -> None:
    settings = loaded(file)
    copy = tmp_path / "copy" / "sockd.toml"
    copy.parent.mkdir()
    copy.write_text(text := effective_toml(settings), "utf-8")
    again = loaded(copy)
    assert tomllib.loads(effective_toml(again)) == tomllib.loads(text)
    assert [one.listen for one in again.instances] == [one.listen for one in settings.instances]
    assert again.warnings == settings.warnings == ()


def test_a_door_that_is_shut_stays_shut(tmp_path: Path) -> None:
    file = tmp_path / "sockd.toml"
    file.write_text("[service.chat]\nlisten_multicast = []\n", "utf-8")
    copy = tmp_path / "copy.toml"
    copy.write_text(effective_toml(loaded(file)), "utf-8")
    for one in (file, copy):
        [instance] = loaded(one).instances
        assert {listen.role for listen in instance.listen} == {""}
        assert {listen.transport for listen in instance.listen} == {"udp", "tcp"}


def test_the_main_door_is_not_to_be_shut(tmp_path: Path) -> None:
    file = tmp_path / "sockd.toml"
    file.write_text("[service.chat]\nlisten = []\n", "utf-8")
    with pytest.raises(ConfigError, match=r"service\.chat\.listen: expected a list such as"):
        loaded(file)


def test_the_built_in_configuration_holds_the_same_too(tmp_path: Path) -> None:
    settings = load(None, None, (), FOUND)
    copy = tmp_path / "sockd.toml"
    copy.write_text(effective_toml(settings), "utf-8")
    assert loaded(copy) == settings


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("sockd", 'log_format = "json"  # {folder}/sockd.toml:2'),
        ("sockd", 'certificate_check = "10s"  # default'),
        ("service.reverse", 'idle_timeout = "30s"  # [defaults] {folder}/sockd.toml:4'),
        ("service.reverse", 'allow = ["10.0.0.0/8"]  # {folder}/conf.d/more.toml:3'),
        ("service.reverse", 'kind = "reverse"  # default'),
        ("service.reverse", "max_line = 99  # [defaults] {folder}/sockd.toml:5"),
        ("service.reverse", 'write_timeout = "5s"  # --set service.reverse.write_timeout=5s'),
        ("service.hello", 'kind = "greet"  # {folder}/sockd.toml:9'),
        ("service.hello", 'template = "# {{name}}"  # {folder}/sockd.toml:11'),
        ("service.hello", 'idle_timeout = "off"  # {folder}/sockd.toml:12'),
        ("service.fortune", 'command = ["/usr/games/fortune"]  # default'),
    ],
)
def test_each_value_says_where_it_came_from(table: str, line: str, file: Path) -> None:
    text = effective_toml(loaded(file, "service.reverse.write_timeout=5s"))
    lines = text.partition(f"\n[{table}]\n")[2].partition("\n\n")[0].splitlines()
    assert line.format(folder=file.parent) in [
        "  # ".join(part.rstrip() for part in one.rsplit("  # ", 1)) for one in lines
    ]


def test_what_is_printed_has_nothing_in_it_that_a_terminal_would_act_on(file: Path) -> None:
    shown = r"a\u009bb\u202e\u007f\U000e0001"
    file.write_text(f'[service.greet]\ntemplate = "{shown}"', "utf-8")
    text = effective_toml(loaded(file))
    assert all(line.isprintable() for line in text.splitlines())
    assert f'template = "{shown}" ' in text


def test_what_has_no_effect_is_left_out(file: Path) -> None:
    assert "max_line" not in tomllib.loads(effective_toml(loaded(file)))["service"]["hello"]


def test_programs_get_value_file_and_line_apart(file: Path) -> None:
    found = effective_json(loaded(file))
    assert found["files"] == [str(file), str(file.parent / "conf.d" / "more.toml")]
    assert found["service.hello"]["idle_timeout"] == {
        "value": "off",
        "from": f"{file}:12",
        "file": str(file),
        "line": 12,
    }
    assert found["service.reverse"]["max_line"] == {
        "value": 99,
        "from": f"[defaults] {file}:5",
        "file": str(file),
        "line": 5,
    }
    assert found["service.reverse"]["deny"] == {
        "value": [],
        "from": "default",
        "file": None,
        "line": None,
    }
