"""Names of tables, addresses that two want, and the text of all."""

from __future__ import annotations

from sockd.importer.toml import WIDTH, text
from tests.importer.host import lost, of_inetd, of_xinetd, printed, service

ECHO = "echo stream tcp nowait root internal"


def names(*lines: str) -> list[str]:
    return [table.name for table in of_inetd(*lines).tables]


def test_each_table_has_a_name_of_its_own_that_tells_what_it_is() -> None:
    datagrams = "echo dgram udp wait root internal"
    assert names(ECHO, datagrams) == ["echo", "echo-udp"]
    of_6 = ECHO.replace("tcp", "tcp6")
    assert names(ECHO, of_6, ECHO) == ["echo", "echo-ipv6", "echo-2"]
    assert names("/run/a b.c/x.sock stream unix nowait root /bin/prog prog") == []
    assert names("/run/x.y.sock stream unix nowait root /bin/prog prog") == ["x-y"]
    long = "n" * 100
    imported = of_inetd(f"{long} stream tcp nowait root /bin/prog", port=lambda *_: 1)
    assert [len(table.name) <= 64 for table in imported.tables] == [True]


def test_a_program_has_not_the_settings_of_a_built_in_instance_of_its_name() -> None:
    imported = of_xinetd(service("welcome", "port = 1", "type = UNLISTED"), service("daytime"))
    assert [table.name for table in imported.tables] == ["welcome-2", "daytime-2"]


def test_the_second_of_two_at_one_address_is_off() -> None:
    imported = of_inetd(ECHO, ECHO, f"#{ECHO}")
    assert [table.values.get("enabled", True) for table in imported.tables] == [True, False, False]
    assert lost(imported) == ["service.echo listens there already: it is switched off"]


def test_all_that_was_lost_stands_in_the_text_and_no_line_is_longer_than_a_screen() -> None:
    lines = [ECHO, "tftp dgram udp wait nobody /usr/bin/prog prog", "\x1b[31m what is this"]
    imported = of_inetd(*lines, "finger stream tcp nowait.9 nobody /usr/sbin/tcpd prog")
    whole = text(imported, ["/etc/inetd.conf"], has_wrappers=True)
    comments = [line.removeprefix("# ") for line in whole.splitlines() if line.startswith("#")]
    flowing = " ".join(comments)
    for _, note in imported.all_notes:
        assert note.text.replace("\x1b", "\\x1b") in flowing
        assert str(note.place) in flowing
    assert "/etc/hosts.deny" in flowing
    assert "\x1b" not in whole
    assert all(len(line) <= WIDTH + 2 for line in comments)
    assert printed(imported)["defaults"]["idle_timeout"] == "off"
