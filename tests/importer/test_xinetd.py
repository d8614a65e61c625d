"""What becomes of the services of xinetd."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.importer.attributes import CARRIED
from sockd.importer.prefixes import EVERYBODY
from sockd.importer.tables import UNBOUND
from tests.importer.host import changed, lost, of_all, of_xinetd, only, printed, service

INTERNAL = ("type = INTERNAL", "socket_type = stream")


def test_a_program_runs_as_it_did() -> None:
    imported = of_xinetd(service("finger", "server_args = -w x"))
    assert only(imported) == {
        "kind": "exec",
        "listen": ["tcp:79:interface=*"],
        "command": ["/usr/bin/prog", "-w", "x"],
        "user": "nobody",
        "socket": True,
        "privileged": True,
        "max_children": 1000,
        "descriptors": 1024,
        **UNBOUND,
        "total_connect_rate": "50/s",
    }
    assert not [*imported.all_notes]


@pytest.mark.parametrize("name", ["echo", "discard", "time"])
def test_what_xinetd_has_built_in_is_built_in_here_too(name: str) -> None:
    port = {"echo": 7, "discard": 9, "time": 37}[name]
    values = only(of_xinetd(service(name, *INTERNAL)))
    assert values["kind"] == name
    datagrams = only(of_xinetd(service(name, "type = INTERNAL", "socket_type = dgram")))
    assert datagrams == {"kind": name, "listen": [f"udp:{port}:interface=*"]}


@pytest.mark.parametrize(("name", "how"), [("daytime", "17 JUN 2000"), ("chargen", "RFC 864")])
def test_where_its_own_say_something_else_that_is_told(name: str, how: str) -> None:
    [text] = changed(of_xinetd(service(name, *INTERNAL)))
    assert how in text


@pytest.mark.parametrize(
    ("line", "settings"),
    [
        ("cps = 10 30", {"total_connect_rate": "10/s"}),
        ("per_source = 3", {"max_connections_per_source": 3, "trusted": []}),
        ("instances = 7", {"max_connections": 7, "max_children": 7}),
        ("instances = UNLIMITED", {"max_children": 1000}),
        ("only_from = 10.1.0.0 ::1", {"allow": ["10.1.0.0/16", "::1"]}),
        ("only_from =", {"deny": [*EVERYBODY]}),
        ("only_from = example.org", {"deny": [*EVERYBODY]}),
        ("no_access = 10.1.1.1", {"deny": ["10.1.1.1"]}),
        ("bind = 10.0.0.2", {"listen": ["tcp:79:interface=10.0.0.2"]}),
        ("interface = ::1", {"listen": ["tcp:79:interface=[::1]"]}),
        ("port = 7979", {"listen": ["tcp:7979:interface=*"]}),
        ("flags = IPv4 NODELAY", {"listen": ["tcp:79"]}),
        ("flags = IPv6 REUSE", {"listen": ["tcp6:79"]}),
        ("rlimit_as = 64M", {"memory": "64m"}),
        ("rlimit_as = UNLIMITED", {"memory": "off"}),
        ("rlimit_as = 4M", {"memory": "16m"}),
        ("rlimit_cpu = 20", {"cpu": "20s"}),
        ("rlimit_files = 64", {"descriptors": 64}),
        ("env = A=b C=d=e", {"environment": {"A": "b", "C": "d=e"}}),
        ("group = tty", {"user": "nobody", "group": "tty"}),
        ("nice = 10", {"command": ["nice", "-n", "10", "/usr/bin/prog"]}),
        ("disable = yes", {"enabled": False}),
    ],
)
def test_an_attribute_is_a_setting(line: str, settings: dict[str, Any]) -> None:
    assert only(of_xinetd(service("finger", line))).items() >= settings.items()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("access_times = 2:00-9:00", "knows no hours"),
        ("no_access = .example.org", "looks no names up, and lets them in"),
        ("only_from = example.org 10.1.1.1", "looks no names up"),
        ("max_load = 2.5", "load of the host"),
        ("flags = IDONLY", "identification server"),
        ("flags = KEEPALIVE", "signs of life"),
        ("flags = WHATEVER", "no such flag"),
        ("log_on_success = PID USERID", "identification server"),
        ("log_type = FILE /var/log/x", "one log for all"),
        ("banner = /etc/motd", "only speaker"),
        ("banner_fail = /etc/motd", "told nothing"),
        ("rlimit_stack = 1M", "no such limit"),
        ("umask = 077", "has the daemon's"),
        ("group = no-such", "commented out"),
        ("passenv = PATH", "the daemon's environment"),
        ("bind = nowhere", "has no address"),
        ("server = /usr/bin/missing", "commented out"),
        ("user = nemo", "commented out"),
        ("colour = blue", "no such attribute"),
    ],
)
def test_what_cannot_be_carried_over_is_named_with_its_place(line: str, why: str) -> None:
    imported = of_xinetd(service("finger", line))
    [text] = lost(imported)
    assert why in text
    [(name, note)] = imported.all_notes
    assert name == "finger"
    if "commented out" not in why:
        assert str(note.place) == "xinetd.conf:3"


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (("wait = yes",), "accepts connections itself"),
        (("socket_type = dgram",), "reads datagrams itself"),
        (("redirect = 10.0.0.9 80",), '["socat", "-", "TCP:10.0.0.9:80"]'),
        (("type = RPC",), "portmapper"),
        (("type = TCPMUX",), "TCPMUX"),
        (("flags = SENSOR",), "watches"),
        (("socket_type = raw", "protocol = icmp"), "sockets of type raw over icmp"),
        (("type = UNLISTED", "port = nobody-knows"), "no service nobody-knows"),
    ],
)
def test_a_service_that_cannot_be_had_here_is_named(lines: tuple[str, ...], why: str) -> None:
    imported = of_xinetd(service("finger", *lines))
    assert imported.tables == ()
    [text] = lost(imported)
    assert why in text


def test_one_that_is_only_switched_off_is_told_to_be_that() -> None:
    """Without what its service would need, which xinetd would not ask for."""
    imported = of_xinetd("service finger\n{\n disable = yes\n}")
    assert [one.note.text for one in imported.lost] == [
        "it is disabled, and has nothing that could be carried over"
    ]
    assert not [*imported.all_notes]  # nobody had it
    [one] = of_xinetd("service finger\n{\n socket_type = stream\n}").lost
    assert one.note.text == "it has no server"


def test_services_of_its_own_that_sockd_has_not_are_named() -> None:
    [text] = lost(of_xinetd(service("servers", *INTERNAL, "port = 9099")))
    assert text == "sockd has nothing like xinetd's own servers"


def test_no_attribute_that_its_manual_has_is_forgotten() -> None:
    manual = """id type flags disable socket_type protocol wait user group instances nice server
        server_args libwrap only_from no_access access_times log_type log_on_success log_on_failure
        rpc_version rpc_number env passenv port redirect bind interface banner banner_success
        banner_fail per_source cps max_load groups mdns umask enabled disabled rlimit_as
        rlimit_files rlimit_cpu rlimit_data rlimit_rss rlimit_stack deny_time"""
    assert set(manual.split()) == CARRIED.keys()


def test_lists_are_added_to_and_taken_from_those_of_the_defaults() -> None:
    defaults = "defaults\n{\n only_from = 10.1.0.0\n only_from = 10.2.0.0\n}"
    cases = {
        "no_access = 10.3.3.3": ["10.1.0.0/16", "10.2.0.0/16"],
        "only_from += 10.3.0.0": ["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"],
        "only_from -= 10.1.0.0": ["10.2.0.0/16"],
        "only_from = 10.9.0.0": ["10.9.0.0/16"],
    }
    for line, allow in cases.items():
        assert only(of_xinetd(defaults, service("finger", line)))["allow"] == allow


def test_what_is_lost_of_the_defaults_is_told_once() -> None:
    defaults = "defaults\n{\n log_type = FILE /var/log/x\n}"
    imported = of_xinetd(defaults, service("finger"), service("ftp"))
    [(name, note)] = imported.all_notes
    assert (name, str(note.place)) == ("", "xinetd.conf:3")


@pytest.mark.parametrize(
    ("line", "on"),
    [("disabled = ftp", ["a"]), ("enabled = ftp", ["ftp"]), ("enabled = a ftp", ["a", "ftp"])],
)
def test_defaults_switch_services_on_and_off(line: str, on: list[str]) -> None:
    defaults = f"defaults\n{{\n {line}\n}}"
    imported = of_xinetd(defaults, service("finger", "id = a"), service("ftp"))
    tables = [table.name for table in imported.tables if table.values.get("enabled", True)]
    assert tables == on


def test_tcpd_is_left_out_and_named() -> None:
    lines = ("server = /usr/sbin/tcpd", "flags = NAMEINARGS", "server_args = in.prog -x")
    imported = of_xinetd(service("finger", *lines))
    assert only(imported)["command"] == ["/usr/sbin/in.prog", "-x"]
    assert [text.partition(":")[0] for text in lost(imported)] == ["tcpd"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("service finger\n{\n port = 7\n", 'its "}" is missing'),
        ("service finger\nport = 7\n", 'expected "{", got port = 7'),
        ("service finger\n{\n what is this\n socket_type = dgram\n}", "not understood: what is"),
        ("something else\n", "not understood: something else"),
    ],
)
def test_what_is_not_its_grammar_is_named(text: str, why: str) -> None:
    assert any(why in told for told in lost(of_xinetd(text)))


LINES = st.one_of(
    st.sampled_from([f"{name} = " for name in CARRIED]),
    st.sampled_from(["service finger", "service echo {", "{", "}", "defaults", "cps += 1"]),
)
TEXTS = st.lists(st.tuples(LINES, st.text(max_size=8)).map("".join)).map("\n".join)


@given(TEXTS)
def test_whatever_stands_there_the_text_is_toml_with_one_table_for_each(text: str) -> None:
    imported = of_xinetd(text, service("finger", "type = UNLISTED"))
    read = printed(imported)
    assert read["service"] == of_all(imported)
