"""Every mistake of a configuration is named at once: file, line, key, and what to do about it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sockd.config.build import build
from sockd.config.document import MAX_FILE, ConfigError, read
from sockd.ops.report import check_json, check_text
from sockd.service import Found, find
from tests.config.samples import MISTAKES
from tests.processes import NOBODY

FOUND = find()
BROKEN = Found(FOUND.kinds, {"sockd.services.shout": "SyntaxError: invalid syntax"})
"""The registry, with a file in it that cannot be used."""


def mistakes(path: Path) -> list[str]:
    """What is said of a configuration file that cannot be used."""
    with pytest.raises(ConfigError) as caught:
        build(read(path), BROKEN, "/run/sockd")
    return str(caught.value).splitlines()


@pytest.mark.parametrize(("config", "expected"), MISTAKES)
def test_a_mistake_is_named_with_its_file_line_and_key(
    config: str, expected: str, tmp_path: Path
) -> None:
    file = tmp_path / "sockd.toml"
    file.write_text(f"{config}\n", "utf-8")
    assert mistakes(file) == [f"{file}:{line}" for line in expected.splitlines()]


def test_all_mistakes_of_all_tables_and_files_are_named_at_once(tmp_path: Path) -> None:
    file, beside = tmp_path / "sockd.toml", tmp_path / "conf.d" / "more.toml"
    beside.parent.mkdir()
    expected = []
    texts = ["", ""]
    names = iter(range(1000))
    for config, message in MISTAKES:
        if not re.match(r"\[service\.echo\]\n(?!listen|'a)", config) or "[" in config[14:]:
            continue
        # every second one in the other file, each in an instance of its own
        name = f"echo{next(names)}"
        which = int(name[4:]) % 2
        lines = texts[which].count("\n")
        head = f"[service.{name}]\nkind = 'echo'\nlisten = ['tcp:0']\n"
        texts[which] += head + config.removeprefix("[service.echo]\n") + "\n"
        for line in message.splitlines():
            number, rest = line.split(":", 1)
            place = f"{(file, beside)[which]}:{lines + int(number) + 2}"
            expected.append(f"{place}:{rest.replace('service.echo', f'service.{name}', 1)}")
    file.write_text(texts[0], "utf-8")
    beside.write_text(texts[1], "utf-8")
    assert len(expected) > 15
    assert sorted(mistakes(file)) == sorted(expected)


def test_mistakes_are_named_in_the_order_of_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "sockd.toml"
    lines = ["[service.echo]", *(f"unknown{name} = 1" for name in "cbadefghijkl")]
    file.write_text("\n".join([*lines, "[defaults]", "more = 1"]), "utf-8")
    assert [int(line.split(":")[1]) for line in mistakes(file)] == [*range(2, 14), 15]


def test_a_kind_that_there_is_not_hides_no_other_mistake(tmp_path: Path) -> None:
    file = tmp_path / "sockd.toml"
    file.write_text("[service.mine]\nkind = 'none'\nmax_connections = 'x'\nallow = [1]", "utf-8")
    assert [line.split(": ")[1] for line in mistakes(file)] == [
        "service.mine.kind",
        "service.mine.max_connections",
        "service.mine.allow[0]",
    ]


def test_mistakes_of_one_line_are_named_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    file = tmp_path / "sockd.toml"
    file.write_text(f"[service.echo]\nlisten = [{', '.join(12 * ['1'])}]", "utf-8")
    keys = [line.split(": ")[1] for line in mistakes(file)]
    assert keys == [f"service.echo.listen[{number}]" for number in range(12)]


def test_a_certificate_that_may_be_missing_is_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "sockd.toml"
    listen = "ssl:0:privateKey=/nowhere/k:certKey=/nowhere/c:interface=localhost"
    file.write_text(f"[service.echo]\nrequired = false\nlisten = ['{listen}']", "utf-8")
    settings = build(read(file), FOUND, "/run/sockd")
    why = f"service.echo: {listen}: /nowhere/c: No such file or directory"
    assert (settings.warnings, settings.unavailable) == ((), (why,))
    assert f"\nwarning: {why}\n" in check_text(settings)
    assert json.loads(check_json(settings, []))["warnings"] == [why]


@pytest.mark.parametrize("config", ["", "# nothing\n", "[service]", "[sockd]\nlog_format = 'json'"])
def test_a_configuration_without_a_service_is_a_mistake(config: str, tmp_path: Path) -> None:
    file = tmp_path / "sockd.toml"
    file.write_text(config, "utf-8")
    assert mistakes(file) == [f"{file}: nothing to run: there is no [service.NAME] table"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert mistakes(tmp_path / "none.toml") == [f"{tmp_path}/none.toml: No such file or directory"]


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    assert mistakes(tmp_path) == [f"{tmp_path}: a directory, not a file"]


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "sockd.toml"
    file.write_bytes(b"#" * (MAX_FILE + 1))
    assert mistakes(file) == [f"{file}: larger than 1048576 bytes"]
    file.write_bytes(b"[service.echo]\n#".ljust(MAX_FILE, b"#"))
    assert [one.name for one in build(read(file), FOUND, "/run/sockd").instances] == ["echo"]


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    file = tmp_path / "sockd.toml"
    file.write_bytes(b"[service.echo]\n# \xff\n")
    [line] = mistakes(file)
    assert line == f"{file}: not UTF-8 (at byte 17)"


def test_what_is_nested_without_end_is_a_mistake(tmp_path: Path) -> None:
    file = tmp_path / "sockd.toml"
    file.write_text("a = " + "[" * 100_000, "utf-8")
    [line] = mistakes(file)
    assert line.startswith(f"{file}")
    assert "not TOML" in line


@contextmanager
def without_privilege() -> Iterator[None]:
    """Files are opened as somebody whom they do not belong to."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good configuration, by a name that is read without a look at the folders above."""
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    file = Path("sockd.toml")
    file.write_text("[service.echo]", "utf-8")
    return file


def test_a_file_that_may_not_be_read_is_named(config: Path) -> None:
    config.chmod(0)
    with without_privilege():
        assert mistakes(config) == ["sockd.toml: Permission denied"]


def test_a_conf_d_that_may_not_be_read_is_not_taken_for_an_empty_one(config: Path) -> None:
    Path("conf.d").mkdir(mode=0)
    with without_privilege():
        assert mistakes(config) == ["conf.d: Permission denied"]
