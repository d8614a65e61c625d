"""What becomes of the lines of inetd.conf."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.importer.tables import UNBOUND
from tests.importer.host import changed, lost, of_all, of_inetd, only, printed

PROGRAM = "finger stream tcp nowait nobody /usr/bin/prog prog -w"


def test_a_program_runs_as_it_did() -> None:
    imported = of_inetd(PROGRAM)
    assert only(imported) == {
        "kind": "exec",
        "listen": ["tcp:79:interface=*"],
        "command": ["/usr/bin/prog", "-w"],
        "user": "nobody",
        "socket": True,
        "privileged": True,
        "max_children": 1000,
        "descriptors": 1024,
        **UNBOUND,
    }
    assert [table.name for table in imported.tables] == ["finger"]
    assert not [*imported.all_notes]


@pytest.mark.parametrize("name", ["echo", "discard", "daytime", "chargen", "time"])
@pytest.mark.parametrize("kind", ["stream tcp nowait", "dgram udp wait"])
def test_what_inetd_has_built_in_is_built_in_here_too(name: str, kind: str) -> None:
    protocol = kind.split()[1]
    values = only(of_inetd(f"{name} {kind} root internal"))
    port = {"echo": 7, "discard": 9, "daytime": 13, "chargen": 19, "time": 37}[name]
    assert values == {"kind": name, "listen": [f"{protocol}:{port}:interface=*"]}


@pytest.mark.parametrize(
    "line",
    [
        "#echo\t\tstream\ttcp\tnowait\troot\tinternal",
        "# echo stream tcp nowait root internal",
        "#<off># echo stream tcp nowait root internal",
        "#<off>#echo stream tcp nowait root internal",
    ],
)
def test_a_line_that_is_commented_out_is_a_service_that_is_off(line: str) -> None:
    assert only(of_inetd(line)) == {
        "enabled": False,
        "kind": "echo",
        "listen": ["tcp:7:interface=*"],
    }


def test_other_comments_are_comments() -> None:
    text = ["# <service_name> <sock_type> <proto> <flags> <user> <server_path> <args>", "#", ""]
    assert of_inetd(*text, "#:MAIL: Mail, news and uucp services.").tables == ()


@pytest.mark.parametrize(
    ("where", "listens"),
    [
        ("79 stream tcp", ["tcp:79:interface=*"]),
        ("79 stream tcp4", ["tcp:79"]),
        ("79 stream tcp6", ["tcp6:79"]),
        ("79 stream tcp46", ["tcp:79:interface=*"]),
        ("*:79 stream tcp", ["tcp:79:interface=*"]),
        ("localhost:79 stream tcp", ["tcp:79:interface=localhost"]),
        ("10.0.0.2,[::1]:79 stream tcp", ["tcp:79:interface=10.0.0.2", "tcp:79:interface=[::1]"]),
        ("inside:79 stream tcp", ["tcp:79:interface=10.0.0.1", "tcp:79:interface=[fd00::1]"]),
        ("/run/a:b.sock stream unix", [r"unix:/run/a\:b.sock:mode=666"]),
    ],
)
def test_a_service_listens_where_it_did(where: str, listens: list[str]) -> None:
    imported = of_inetd(f"{where} nowait nobody /usr/bin/prog prog")
    assert only(imported)["listen"] == listens
    looked_up = ["inside is looked up now, and not at each start"] if "inside" in where else []
    assert changed(imported) == looked_up


def test_addresses_alone_in_a_line_are_for_those_that_follow() -> None:
    lines = ["10.0.0.2:", PROGRAM, f"*:{PROGRAM}", "*:", PROGRAM]
    listens = [table.values["listen"] for table in of_inetd(*lines).tables]
    everywhere = ["tcp:79:interface=*"]
    assert listens == [["tcp:79:interface=10.0.0.2"], everywhere, everywhere]


@pytest.mark.parametrize(
    ("wait", "settings"),
    [
        ("nowait.30", {"total_connect_rate": "30/m"}),
        ("nowait/5", {"max_connections": 5, "max_children": 5}),
        ("nowait/0/20", {"connect_rate": "20/m"}),
        ("nowait/0/0/3", {"max_connections_per_source": 3}),
    ],
)
def test_limits_behind_nowait_are_limits(wait: str, settings: dict[str, Any]) -> None:
    imported = of_inetd(PROGRAM.replace("nowait", wait))
    assert only(imported).items() >= settings.items()
    assert len(changed(imported)) == ("30" in wait)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("tftp dgram udp wait nobody /usr/bin/prog prog", "reads datagrams itself"),
        ("finger stream tcp wait nobody /usr/bin/prog prog", "accepts connections itself"),
        ("walld/1 dgram rpc/udp wait root /usr/bin/prog prog", "no portmapper"),
        ("nobody-knows stream tcp nowait root /usr/bin/prog prog", "no service nobody-knows"),
        ("nowhere:79 stream tcp nowait root /usr/bin/prog prog", "nowhere has no address"),
        ("uucp stream tcp nowait root internal", "nothing like inetd's own uucp"),
        ("this is not a line of it at all", "not understood: this is not"),
        ("echo", "not understood: echo"),
    ],
)
def test_what_cannot_be_carried_over_is_named_with_its_place(line: str, why: str) -> None:
    imported = of_inetd("", line)
    assert imported.tables == ()
    [(_, note)] = imported.all_notes
    assert why in note.text
    assert str(note.place) == "inetd.conf:2"


def test_behind_tcpd_stands_the_program_and_its_rules_are_named() -> None:
    for words, path in (("in.prog -x", "/usr/sbin/in.prog"), ("/opt/prog -x", "/opt/prog")):
        imported = of_inetd(f"finger stream tcp nowait nobody /usr/sbin/tcpd {words}")
        assert only(imported)["command"] == [path, "-x"]
        assert [text.partition(":")[0] for text in lost(imported)] == ["tcpd"]


def test_what_a_program_is_told_of_itself_is_named() -> None:
    imported = of_inetd("finger stream tcp nowait nobody /usr/bin/busybox fingerd")
    assert "is not told that it is called fingerd" in changed(imported)[0]
    assert only(imported)["command"] == ["/usr/bin/busybox"]


@pytest.mark.parametrize(
    ("user", "why"),
    [
        ("nobody.nobody", ""),
        ("nobody:tty", ""),
        (
            "nobody:no-such",
            "there is no group no-such on this host: it is commented out",
        ),
        ("nemo", "there is no user nemo on this host: it is commented out"),
    ],
)
def test_a_user_and_a_group_are_looked_at(user: str, why: str) -> None:
    imported = of_inetd(PROGRAM.replace("nobody", user))
    assert lost(imported) == ([why] if why else [])
    assert only(imported)["user"] == user[:6].rstrip(".:")
    assert only(imported).get("group") == (user[7:] or None)
    assert bool(printed(imported).get("service")) == ("commented" not in why)


def test_without_its_program_a_service_is_a_comment_and_only_lost_where_it_was_on() -> None:
    line = PROGRAM.replace("/usr/bin/prog prog", "/usr/bin/missing missing")
    assert lost(of_inetd(line)) == ["no program: it is commented out"]
    assert lost(of_inetd(f"#{line}")) == []
    assert changed(of_inetd(f"#{line}")) == ["no program: it is commented out"]
    for imported in (of_inetd(line), of_inetd(f"#{line}")):
        assert "service" not in printed(imported)
    # and takes no address from others
    [_, second] = of_inetd(line, PROGRAM).tables
    assert second.values.get("enabled", True)


def test_buffers_of_datagrams_are_carried_over_and_others_named() -> None:
    values = only(of_inetd("echo dgram udp,rcvbuf=64k wait root internal"))
    assert values["receive_buffer"] == "64k"
    imported = of_inetd("echo stream tcp,sndbuf=64k,rcvbuf=1m nowait root internal")
    assert [text.partition(":")[0] for text in lost(imported)] == ["sndbuf=64k", "rcvbuf=1m"]


WORDS = st.text(st.characters(exclude_categories=()), max_size=12)
LINES = st.lists(
    st.one_of(
        st.sampled_from([*PROGRAM.split(), "internal", "dgram", "udp,rcvbuf=9", "#", "*:", "x:y:"]),
        WORDS,
    ),
    max_size=9,
).map(" ".join)


@given(st.lists(LINES, max_size=5))
def test_whatever_stands_there_the_text_is_toml_with_one_table_for_each(lines: list[str]) -> None:
    imported = of_inetd(*lines)
    read = printed(imported)
    assert read.get("service", {}) == of_all(imported)
