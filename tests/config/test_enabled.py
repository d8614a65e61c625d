"""Services that are switched off: from conf.d too, checked all the same, and easy to see."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from attrs import evolve

from sockd.config.document import ConfigError
from sockd.config.effective import effective_json, effective_toml
from sockd.config.load import load, load_alone
from sockd.config.settings import Settings
from sockd.daemon.plan import plan
from sockd.ops.report import check_json, check_text
from sockd.service import find

FOUND = find()
TWO = """[service.echo]
listen = ["tcp:0"]
[service.wrap]
listen = ["tcp:0"]
"""
OFF = "[service.wrap]\nenabled = false\n"

Read = Callable[..., Settings]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads a configuration and what lies over it."""

    def loaded(text: str, over: str = "", only: Sequence[str] | None = None) -> Settings:
        (tmp_path / "conf.d").mkdir(exist_ok=True)
        (tmp_path / "sockd.toml").write_text(text, "utf-8")
        (tmp_path / "conf.d" / "50-site.toml").write_text(over, "utf-8")
        return load(str(tmp_path / "sockd.toml"), only, (), FOUND)

    return loaded


def mistakes(read: Read, *args: object) -> list[str]:
    """What is said of a configuration, without the folder."""
    with pytest.raises(ConfigError) as error:
        read(*args)
    return [str(one).rpartition("/")[2] for one in error.value.mistakes]


def names(settings: Settings) -> tuple[list[str], list[str]]:
    """What runs, and what does not."""
    return [one.name for one in settings.instances], [one.name for one in settings.disabled]


def test_a_service_that_is_off_does_not_run(read: Read) -> None:
    assert names(read(TWO + "enabled = false\n")) == (["echo"], ["wrap"])
    assert names(read(TWO + "enabled = true\n")) == (["echo", "wrap"], [])


def test_conf_d_switches_off_and_on(read: Read) -> None:
    assert names(read(TWO, OFF)) == (["echo"], ["wrap"])
    assert names(read(TWO + "enabled = false\n", OFF.replace("false", "true"))) == (
        ["echo", "wrap"],
        [],
    )


def test_a_built_in_service_can_be_off_by_its_name_alone(read: Read) -> None:
    assert names(read(TWO, "[service.daytime]\nenabled = false\n"))[1] == ["daytime"]


def test_one_may_be_off_because_its_program_is_not_there(read: Read) -> None:
    text = '[service.x]\nkind = "exec"\ncommand = ["/no/such"]\nlisten = ["tcp:7"]\n'
    assert names(read(TWO + text + "enabled = false\n")) == (["echo", "wrap"], ["x"])
    assert len(mistakes(read, TWO + text)) == 1


def test_where_all_are_off_there_is_nothing_to_run(read: Read) -> None:
    told = mistakes(read, "[service.echo]\nenabled = false\n")
    assert told == ["sockd.toml: nothing to run: every [service.NAME] table has enabled = false"]
    with pytest.raises(ConfigError, match="nothing to run"):
        load_alone("echo", ("tcp:0",), ("enabled=false",), FOUND)


def test_it_is_true_or_false(read: Read) -> None:
    assert mistakes(read, '[service.echo]\nenabled = "no"\n') == [
        "sockd.toml:2: service.echo.enabled: expected true or false, got 'no'"
    ]


def test_it_is_no_default_of_all(read: Read) -> None:
    assert len(mistakes(read, "[defaults]\nenabled = false\n[service.echo]\n")) == 1


def test_only_does_not_bring_back_what_is_off_and_says_where_that_stands(read: Read) -> None:
    [told] = mistakes(read, TWO, OFF, ["wrap"])
    assert told == "50-site.toml:2"
    with pytest.raises(ConfigError, match=r"wrap: it is switched off, by enabled = false: .*:2"):
        read(TWO, OFF, ["wrap"])


def test_what_is_off_is_checked_but_for_what_it_would_take(read: Read) -> None:
    """Its keys and values; not its files, which may not be there, nor who shares its address."""
    assert len(mistakes(read, TWO + "colums = 3\nenabled = false\n")) == 1
    tls = 'listen = ["tls:0:/nowhere/key.pem", "unix:/nowhere/socket"]\n'
    settings = read(f"[service.echo]\n[service.wrap]\nenabled = false\n{tls}")
    assert names(settings) == (["echo"], ["wrap"])
    there = 'listen = ["tcp:7800"]\n'
    twice = f"[service.echo]\n{there}[service.reverse]\nenabled = false\n{there}"
    assert names(read(twice)) == (["echo"], ["reverse"])
    assert read(twice).warnings == read(f"[service.echo]\n{there}").warnings


def test_a_kind_whose_file_is_broken_can_be_switched_off(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "sockd.toml"
    broken = evolve(FOUND, broken={"sockd.services.mine": "SyntaxError"})
    path.write_text('[service.echo]\n[service.mine]\nlisten = ["tcp:0"]\n', "utf-8")
    with pytest.raises(ConfigError, match="its file is broken: SyntaxError"):
        load(str(path), None, (), broken)
    settings = load(str(path), None, ("service.mine.enabled=false",), broken)
    assert names(settings) == (["echo"], [])


def test_it_is_seen_in_what_holds_and_in_a_check(read: Read) -> None:
    settings = read(TWO, OFF)
    text = effective_toml(settings)
    assert "enabled = false" in text.partition("[service.wrap]")[2]
    assert "conf.d/50-site.toml:2" in text.partition("[service.wrap]")[2].partition("listen")[0]
    assert effective_json(settings)["service.wrap"]["enabled"]["value"] is False
    assert "wrap: off (enabled = false)\n" in check_text(settings)
    assert json.loads(check_json(settings, ()))["disabled"] == ["wrap"]


def test_what_holds_is_a_configuration_that_holds_the_same(read: Read) -> None:
    settings = read(TWO, OFF)
    again = read(effective_toml(settings))
    assert (again.instances, again.disabled) == (settings.instances, settings.disabled)


def test_a_reload_adds_and_removes_it(read: Read) -> None:
    both, one = read(TWO), read(TWO, OFF)
    assert [(part.name, part.step) for part in plan(both, one).instances] == [
        ("echo", "keep"),
        ("wrap", "drain"),
    ]
    assert [(part.name, part.step) for part in plan(one, both).instances][1] == ("wrap", "add")
    assert plan(both, one).settings.disabled == one.disabled
