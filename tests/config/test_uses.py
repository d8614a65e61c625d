"""A setting that has no effect where an instance listens is told; in `[defaults]` it is silent."""

from __future__ import annotations

import attrs
import pytest

from sockd.access.limits import Limits
from sockd.config.build import build
from sockd.config.document import ConfigError, Document, parse
from sockd.config.settings import DaemonSettings, field_names
from sockd.config.uses import limits_for, uses_of
from sockd.options.option import Change, option
from sockd.service import Found, Kind, find
from sockd.services.echo import EchoReplies

FOUND = find()


def warnings(text: str) -> tuple[str, ...]:
    """What is warned of in a configuration."""
    document = Document()
    parse(document, text, "F")
    return build(document, FOUND, "/run/sockd").warnings


# where an instance listens, and what has no effect there
IDLE = [
    ("echo", "tcp:5", {"reply_rate", "reply_burst", "receive_buffer", "max_line", "line_timeout"}),
    ("echo", "tcp:5", {"handshake_timeout"}),
    ("time", "tcp:5", {"reply_rate", "reply_burst"}),
    ("echo", "udp:5:interface=127.0.0.1", {"max_connections", "max_connections_per_source"}),
    ("echo", "udp:5:interface=127.0.0.1", {"connect_rate", "idle_timeout", "write_timeout"}),
    ("echo", "udp:5:interface=127.0.0.1", {"log_connections", "reply_rate", "trusted"}),
    ("beacon", "multicast:224.0.0.9:5", {"max_connections", "trusted", "receive_buffer"}),
    ("echo", "udp:5:interface=127.0.0.1", {"total_connect_rate", "total_timeout", "min_rate"}),
    ("echo", "tcp:5", {"text_timeout", "trusted_users"}),
    ("wrap", "unix:/tmp/x", {"trusted", "line_timeout"}),
    ("localtime", "unixgram:/tmp/x", {"trusted_users"}),
    ("said", "unix:/tmp/x", {"handshake_timeout"}),
]
# and what has
BUSY = [
    ("time", "udp:5:interface=127.0.0.1", {"reply_rate", "reply_burst", "trusted", "allow"}),
    ("said", "unix:/tmp/x", {"max_line", "line_timeout", "allow_users", "max_connections"}),
    ("wrap", "unix:/tmp/x", {"trusted_users", "max_connections_per_source", "connect_rate"}),
    ("wrap", "unix:/tmp/x", {"text_timeout", "total_timeout", "min_rate", "total_connect_rate"}),
    ("travesty", "tcp:5", {"text_timeout", "line_timeout", "min_rate"}),
    ("chat", "tcp:5", {"line_timeout"}),
    ("reverse", "tcp:5", {"max_line", "line_timeout", "deny", "connect_rate"}),
    ("said", "haproxy:tcp:5:proxies=127.0.0.1", {"handshake_timeout"}),
    ("echo", "unixgram:/tmp/x", {"allow_users", "receive_buffer"}),
]
VALUES = {
    "allow": "['10.0.0.0/8']",
    "deny": "['10.0.0.0/8']",
    "trusted": "[]",
    "allow_users": "[0]",
    "log_connections": "false",
    "connect_rate": "'9/s'",
    "total_connect_rate": "'9/s'",
    "trusted_users": "[0]",
    "min_rate": "'9/s'",
    "reply_rate": "'9/s'",
}


@pytest.mark.parametrize(("kind", "listen", "names"), IDLE)
def test_a_limit_that_has_no_effect_is_warned_of(kind: str, listen: str, names: set[str]) -> None:
    for name in sorted(names):
        settings = f"{name} = {VALUES.get(name, '9')}\n"
        table = f"[service.x]\nkind = '{kind}'\nlisten = ['{listen}']\n"
        [warning] = warnings(table + settings)
        assert warning.startswith(f"service.x.{name}: without effect: it is for ")
        assert warnings(f"[defaults]\n{settings}{table}") == ()


@pytest.mark.parametrize(("kind", "listen", "names"), BUSY)
def test_a_limit_that_has_an_effect_is_not(kind: str, listen: str, names: set[str]) -> None:
    settings = "".join(f"{name} = {VALUES.get(name, '9')}\n" for name in sorted(names))
    assert warnings(f"[service.x]\nkind = '{kind}'\nlisten = ['{listen}']\n{settings}") == ()


def test_an_option_of_a_kind_may_have_the_name_of_a_limit() -> None:
    @attrs.frozen
    class Options:
        max_line: int = option(5, "lines of its own")

    own = Kind(name="own", doc="Own.", datagram=EchoReplies, options=Options)
    document = Document({"service": {"own": {"listen": ["udp:0"], "max_line": 3}}})
    found = build(document, Found({"own": own}), "/run/sockd")
    assert not any("max_line" in warning for warning in found.warnings)


def test_one_address_where_it_has_an_effect_is_enough() -> None:
    listen = "['unix:/tmp/x', 'tcp:5']"
    rules = "allow = ['10.0.0.0/8']\nallow_users = [0]"
    assert warnings(f"[service.x]\nkind = 'said'\nlisten = {listen}\n{rules}") == ()


@pytest.mark.parametrize("name", ["allow", "deny", "allow_users"])
def test_an_access_rule_without_effect_is_a_mistake(name: str) -> None:
    listen = "tcp:5" if name == "allow_users" else "unix:/tmp/x"
    table = f"[service.x]\nkind = 'said'\nlisten = ['{listen}']\n{name} = {VALUES[name]}"
    with pytest.raises(ConfigError, match=f"service.x.{name}: without effect"):
        warnings(table)
    assert warnings(f"[defaults]\n{name} = {VALUES[name]}\n[service.said]") == ()


ALL = "listen = ['tcp:5:interface=*']"


@pytest.mark.parametrize(
    ("rules", "version", "every"),
    [
        ("deny = ['0.0.0.0/0']", 6, "::/0"),
        ("deny = ['::/0']", 4, "0.0.0.0/0"),
        ("deny = ['0.0.0.0/0', '2001:db8::/32']", 6, "::/0"),
    ],
)
def test_one_family_denied_and_the_other_left_open_is_warned_of(
    rules: str, version: int, every: str
) -> None:
    [warning] = warnings(f"[service.said]\n{ALL}\n{rules}")
    assert warning == (
        f"service.said: deny leaves IPv{version} open: deny {every} too, or set allow"
    )


@pytest.mark.parametrize(
    "table",
    [
        f"{ALL}\ndeny = ['0.0.0.0/0']\nallow = ['10.0.0.0/8']",
        f"{ALL}\ndeny = ['10.0.0.0/8']",
        f"{ALL}\ndeny = ['0.0.0.0/0', '::/0']\nallow = ['10.0.0.0/8']",
    ],
)
def test_where_only_some_are_denied_or_some_allowed_nothing_is_warned_of(table: str) -> None:
    assert warnings(f"[service.said]\n{table}") == ()


@pytest.mark.parametrize(
    "table",
    [
        f"{ALL}\ndeny = ['0.0.0.0/0', '::/0']",
        "listen = ['tcp:5:interface=0.0.0.0']\ndeny = ['0.0.0.0/0']",
        "listen = ['tcp:5:interface=[::1]']\ndeny = ['::/0', '10.0.0.0/8']",
    ],
)
def test_that_nobody_may_come_is_warned_of(table: str) -> None:
    why = "nobody over IP may come in: deny has everybody, and allow nobody"
    assert warnings(f"[service.said]\n{table}") == (f"service.said: {why}",)


@pytest.mark.parametrize("kind", sorted(FOUND.kinds))
def test_every_kind_has_the_limits_that_its_default_instances_can_use(kind: str) -> None:
    declared = FOUND.kinds[kind]
    names = {one.name for one in limits_for(uses_of(declared))}
    assert "required" in names
    assert ("reply_rate" in names) == bool(declared.datagram and declared.datagram.amplifies)
    assert ("allow_users" in names) == (
        "unix" in declared.transports or "unixgram" in declared.transports
    )
    assert names <= field_names(Limits)


def test_every_option_says_when_a_change_of_it_applies() -> None:
    for options in (Limits, DaemonSettings, *(kind.options for kind in FOUND.kinds.values())):
        for one in attrs.fields(options):
            assert isinstance(one.metadata["change"], Change), one.name
