"""A configuration selects instances of kinds and sets what each of them allows and does."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sockd.access.limits import Limits
from sockd.access.prefixes import Prefix, parse_prefix
from sockd.chat.legacy import Legacy
from sockd.config.annotated import default_config
from sockd.config.build import build
from sockd.config.document import ConfigError, Document, parse
from sockd.config.load import load, names_of
from sockd.config.settings import DaemonSettings, InstanceSettings, Settings, field_names
from sockd.config.toml import toml
from sockd.config.uses import limits_for, uses_at
from sockd.formats.template import Template
from sockd.listen.strings import expand
from sockd.options.files import FilePath
from sockd.options.units import Duration, Maximum, Pace, Rate, Size, SizeLimit, Timeout
from sockd.options.user import User
from sockd.service import find

FOUND = find()
RUNTIME = "/run/sockd"


def settings(*texts: str, only: list[str] | None = None, assign: tuple[str, ...] = ()) -> Settings:
    """The settings of files that say this, one laid over the other."""
    document = Document()
    for text in texts:
        parse(document, text, "F")
    for assignment in assign:
        document.set(assignment)
    return build(document, FOUND, RUNTIME, only)


def instance(*texts: str) -> InstanceSettings:
    """The settings of the only instance."""
    [one] = settings(*texts).instances
    return one


# selection


def test_what_has_a_table_runs_and_nothing_else_does() -> None:
    names = [one.name for one in settings("[service.time]\n[service.echo]").instances]
    assert names == ["time", "echo"]


def test_the_kind_defaults_to_the_name_and_one_kind_can_run_many_times() -> None:
    found = settings(
        "[service.echo]\n"
        "[service.loud]\nkind = 'echo'\nlisten = ['tcp:1']\n"
        "[service.loud-2]\nkind = 'echo'\nlisten = ['tcp:2']"
    )
    assert {one.kind.name for one in found.instances} == {"echo"}
    assert [one.name for one in found.instances] == ["echo", "loud", "loud-2"]


def test_a_default_instance_brings_its_kind_its_addresses_and_its_options() -> None:
    welcome = instance("[service.welcome]")
    assert welcome.kind.name == "greet"
    assert welcome.options.template == "Hello client how are you"
    assert [str(listen.address) for listen in welcome.listen] == ["127.0.0.1:8887", "[::1]:8887"]


def test_what_is_set_in_a_default_instance_leaves_its_other_settings() -> None:
    fortune = instance("[service.fortune]\nlisten = ['tcp:5']\nmax_children = 3")
    assert fortune.kind.name == "exec"
    assert fortune.options.command == ("/usr/games/fortune",)
    assert fortune.options.max_children == 3
    assert [listen.port for listen in fortune.listen] == [5]


def test_a_default_instance_of_another_kind_brings_nothing() -> None:
    with pytest.raises(ConfigError, match=r"service\.fortune\.listen: missing"):
        settings("[service.fortune]\nkind = 'echo'")


def test_the_runtime_directory_replaces_its_name_in_a_path() -> None:
    [listen] = instance("[service.wrap]").listen
    assert listen.path == f"{RUNTIME}/wrap.sock"


def test_a_runtime_directory_with_a_colon_is_still_one_path(tmp_path: Path) -> None:
    folder = tmp_path / "a:b"
    folder.mkdir()
    document = Document({"service": {"wrap": {}}})
    [one] = build(document, FOUND, str(folder)).instances
    assert one.listen[0].path == f"{folder}/wrap.sock"


def test_only_keeps_the_instances_that_it_names() -> None:
    found = settings("[service.echo]\n[service.ack]\n[service.time]", only=["time", "echo"])
    assert [one.name for one in found.instances] == ["echo", "time"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [("ecko", "; did you mean 'echo'?"), ("chat", "; there are echo, time")],
)
def test_only_names_instances_that_there_are(name: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings("[service.echo]\n[service.time]", only=["echo", name])
    [mistake] = caught.value.mistakes
    assert (str(mistake.place), mistake.key) == ("--only", name)
    assert mistake.message == f"no such instance{hint}"


@pytest.mark.parametrize("given", ["", "echo,,time"])
def test_only_without_a_name_is_a_mistake_that_shows_what_was_given(given: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, names_of(given), (), FOUND)
    assert caught.value.is_usage
    assert str(caught.value) == f"--only: expected names, as in echo,time; got {given!r}"


def test_only_may_have_spaces_and_a_name_twice() -> None:
    found = load(None, names_of("echo, time ,echo"), (), FOUND)
    assert [one.name for one in found.instances] == ["echo", "time"]


# defaults


def test_defaults_hold_for_every_instance_and_each_can_override_them() -> None:
    found = settings(
        "[defaults]\nidle_timeout = '5s'\nallow = ['10.0.0.0/8']\nmax_line = '1k'\n"
        "[service.echo]\n"
        "[service.ack]\nidle_timeout = '7s'\nallow = []"
    )
    echo, ack = (one.limits for one in found.instances)
    assert (echo.idle_timeout, ack.idle_timeout) == (Duration(5), Duration(7))
    assert (echo.allow, ack.allow) == ((parse_prefix("10.0.0.0/8"),), ())
    assert echo.max_line == ack.max_line == Size(1024)
    assert ack.line_timeout == Limits().line_timeout


def test_set_comes_after_every_file() -> None:
    found = settings(
        "[defaults]\nidle_timeout = '5s'\n[service.echo]\n[service.ack]\nidle_timeout = '6s'",
        "[service.ack]\nidle_timeout = '7s'",
        assign=("service.ack.idle_timeout=8s", "sockd.log_format=json", "defaults.max_line=99"),
    )
    assert [one.limits.idle_timeout for one in found.instances] == [Duration(5), Duration(8)]
    assert [one.limits.max_line for one in found.instances] == [Size(99)] * 2
    assert found.daemon.log_format == "json"


def test_a_service_of_everybody_over_udp_is_warned_of_unless_it_says_who_may_come() -> None:
    wild = "[service.echo]\nlisten = ['udp:7:interface=*', 'tcp:7:interface=*']"
    [warning] = settings(wild).warnings
    assert warning == (
        "service.echo: udp:7:interface=* answers datagrams of everybody, and "
        "their sources can be forged: listen on one address, or set allow"
    )
    assert settings(wild + "\nallow = ['10.0.0.0/8']").warnings == ()


# the annotated default

ANNOTATED = default_config(FOUND)


def load_text(text: str, folder: Path) -> Settings:
    file = folder / "sockd.toml"
    file.write_text(text, "utf-8")
    return load(str(file), None, (), FOUND)


def test_the_annotated_default_says_what_runs_without_a_file(tmp_path: Path) -> None:
    assert load_text(ANNOTATED, tmp_path) == load(None, None, (), FOUND)


def test_every_default_that_it_comments_out_is_the_one_that_holds(tmp_path: Path) -> None:
    text, count = re.subn(r"^#(\w+ = )", r"\1", ANNOTATED, flags=re.MULTILINE)
    assert count > 30
    assert load_text(text, tmp_path) == load(None, None, (), FOUND)


def table(name: str) -> str:
    """What stands below a table's heading."""
    return ANNOTATED.partition(f"\n[{name}]\n")[2].partition("\n\n")[0]


def test_every_setting_of_every_kind_is_named_with_its_default_and_its_help() -> None:
    tables: list[tuple[str, type, dict[str, Any]]] = [
        ("sockd", DaemonSettings, {}),
        ("defaults", Limits, {}),
    ]
    for kind in FOUND.kinds.values():
        has_options = bool(attrs.fields(kind.options))
        assert kind.instances or not has_options, f"{kind.name} shows its options nowhere"
        for one in kind.instances:
            given: dict[str, Any] = {"listen": list(one.listen), **one.settings}
            tables.append((f"service.{one.name}", kind.options, given))
    for name, options, given in tables:
        text = table(name)
        words = " ".join(text.replace("\n# ", " ").split())
        for one_option in attrs.fields(options):
            if one_option.name not in given:
                assert f"#{one_option.name} = {toml(one_option.default)}\n" in text + "\n"
                assert " ".join(one_option.metadata["help"].split()) in words
        for key, value in given.items():
            assert f"\n{key} = {toml(value)}\n" in f"\n{text}\n"


def test_defaults_with_a_unit_are_written_with_it() -> None:
    assert '#idle_timeout = "2m"' in ANNOTATED
    assert '#max_line = "16k"' in ANNOTATED
    assert '#connect_rate = "50/s"' in ANNOTATED


def test_every_line_of_it_fits_the_screen() -> None:
    assert max(map(len, ANNOTATED.splitlines())) <= 160
    assert all(len(line) <= 100 for line in ANNOTATED.splitlines() if line.startswith("# "))


# any configuration that is right

DURATIONS = st.integers(1, 10**9).map(lambda number: Duration(number / 1000))
PREFIXES = st.builds(
    lambda address, bits: parse_prefix(f"{address}/{address.max_prefixlen - bits}"),
    st.ip_addresses().map(lambda address: type(address)(int(address) >> 20 << 20)),
    st.integers(0, 20),
)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: st.integers(1, 1000),
    str: st.text(st.characters(codec="utf-8")) | st.sampled_from(["", "quote", "json", "text"]),
    Duration: DURATIONS,
    Timeout: st.integers(1, 10**9).map(lambda number: Timeout(number / 1000))
    | st.just(Timeout(math.inf)),
    Maximum: st.integers(1, 1000).map(Maximum) | st.just(Maximum.parse("off")),
    FilePath: st.just(FilePath("")),
    Size: st.integers(0, 2**30).map(Size) | st.integers(0, 40).map(lambda bits: Size(1 << bits)),
    SizeLimit: st.integers(0, 2**30).map(SizeLimit) | st.just(SizeLimit.parse("off")),
    Rate: st.builds(Rate, st.integers(1, 10**6), DURATIONS) | st.just(Rate.parse("off")),
    Pace: st.builds(Pace, st.integers(1, 2**30), st.integers(1, 10**6))
    | st.just(Pace.parse("off")),
    User: st.integers(0, 65535).map(User),
    Template: st.lists(st.sampled_from(["{name}", "{{", "}}", "\\", '"', "é", "\x7f"])).map(
        lambda parts: Template("".join(parts))
    ),
    tuple[Prefix, ...]: st.lists(PREFIXES, max_size=4).map(tuple),
    tuple[User, ...]: st.lists(st.integers(0, 65535).map(User), max_size=4).map(tuple),
    tuple[str, ...]: st.lists(st.text(st.characters(codec="utf-8")), max_size=4).map(tuple),
}
VALUES[Legacy] = st.sampled_from(Legacy)
VALUES[User | None] = st.none() | VALUES[User]
VALUES[int | None] = st.none() | VALUES[int]


def values_of(field: attrs.Attribute[Any]) -> st.SearchStrategy[Any]:
    """Values of a setting's type that its validator takes."""
    if field.type in VALUES:
        strategy = VALUES[field.type]
    elif str(field.type).startswith("collections.abc.Mapping"):
        text = st.text(st.characters(codec="utf-8"))
        strategy = st.dictionaries(text, text, max_size=3)
    else:  # a type of one kind: its default, and what it reads as that
        parse_one: Any = field.type
        strategy = st.sampled_from([field.default, parse_one.parse("Europe/Warsaw")])

    def is_valid(value: Any) -> bool:
        try:
            if field.validator is not None:
                field.validator(None, field, value)
        except ValueError:
            return False
        return True

    return strategy.filter(is_valid)


@st.composite
def tables(draw: st.DrawFn, *classes: type, idle: Collection[str] = ()) -> dict[str, Any]:
    """Some of the settings of these classes but the idle ones, with valid values."""
    fields = [one for of in classes for one in attrs.fields(attrs.resolve_types(of))]
    fields = [one for one in fields if one.name not in idle]
    chosen = draw(st.lists(st.sampled_from(fields), unique_by=lambda one: one.name, max_size=6))
    return {one.name: draw(values_of(one)) for one in chosen}


LISTENS = {"tcp": "tcp:0", "udp": "udp:0", "multicast": "multicast:224.0.0.9:5"}


def runnable(own: dict[str, Any]) -> dict[str, Any]:
    """The same for a kind that runs programs: with one, as a user of this host."""
    words = [word.replace("\0", "") for word in own.get("command", ())]
    values = [value.replace("\0", "") for value in own.get("environment", {}).values()]
    variables = {f"V{number}": value for number, value in enumerate(values)}
    return {**own, "command": ("fortune", *words), "environment": variables, "user": User(0)}


TOGETHER = {
    *("channels", "groups", "first_group", "first_group6", "group_interface"),
    *("tls_ciphers", "tls_versions"),
}
"""What is checked together: tests/services/test_chat_options.py, tests/config/test_tls.py."""


@given(st.data(), st.sampled_from(sorted(FOUND.kinds)))
def test_every_configuration_of_valid_values_is_accepted_and_comes_back_equal(
    data: st.DataObject, kind: str
) -> None:
    declared = FOUND.kinds[kind]
    assume(field_names(declared.options).isdisjoint(field_names(Limits)))
    defaults = data.draw(tables(Limits, idle=TOGETHER))
    first = LISTENS[declared.transports[0]]
    effective = {one.name for one in limits_for(uses_at(declared, expand(first)))}
    idle = (field_names(Limits) - effective) | TOGETHER
    own = data.draw(tables(Limits, declared.options, idle=idle))
    if "command" in field_names(declared.options):
        own = runnable(own)
    text = "".join(
        f"[{name}]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in pairs.items())
        for name, pairs in [("defaults", defaults), ("service.x", own)]
    )
    one = instance(text, f"[service.x]\nkind = '{kind}'\nlisten = ['{first}']")
    for field in attrs.fields(Limits):
        wanted = own.get(field.name, defaults.get(field.name, field.default))
        assert getattr(one.limits, field.name) == wanted
    for field in attrs.fields(declared.options):
        assert getattr(one.options, field.name) == own.get(field.name, field.default)
