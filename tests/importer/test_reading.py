"""The files that are read, which name others."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sockd.cli import main
from sockd.importer import reading
from sockd.importer.entry import Note
from sockd.importer.reading import Reader, Unreadable, of_this_host
from tests.importer.host import lookups, service

INETD = "echo stream tcp nowait root internal\n"


def read(*paths: Path) -> Reader:
    reader = Reader(lookups())
    for path in paths:
        reader.read(path)
    return reader


def notes(reader: Reader) -> list[str]:
    return [f"{one.place.line}: {one.text}" for one in reader.result() if isinstance(one, Note)]


def test_of_a_folder_those_are_read_that_xinetd_reads(tmp_path: Path) -> None:
    for name in ("b", "a", "a.dpkg-old", "a~", ".hidden"):
        (tmp_path / name).write_text(service("finger"))
    (tmp_path / "folder").mkdir()
    assert read(tmp_path).files == [str(tmp_path / name) for name in ("a", "b")]


def test_a_file_names_others_and_each_is_read_once(tmp_path: Path) -> None:
    folder = tmp_path / "xinetd.d"
    folder.mkdir()
    (folder / "one").write_text(f"include {tmp_path}/conf\n{service('finger')}")
    conf = tmp_path / "conf"
    conf.write_text(
        f"includedir {folder}\ninclude {tmp_path}/none\nincludedir {tmp_path}/nothing\n"
        f"include other\n"
    )
    (tmp_path / "other").write_text(service("ftp"))
    reader = read(conf, folder)
    assert [block.name for block in reader.found_blocks] == ["finger", "ftp"]
    assert notes(reader) == [
        f"2: {tmp_path}/none: no such file or directory",
        f"3: there is no folder {tmp_path}/nothing",
    ]


def test_a_file_of_either_is_known_by_what_stands_there(tmp_path: Path) -> None:
    (tmp_path / "inetd.conf").write_text(f"# a comment\n\n{INETD}")
    (tmp_path / "finger").write_text(f"# a comment\n\n{service('finger')}")
    reader = read(tmp_path / "inetd.conf", tmp_path / "finger")
    assert (len(reader.found), len(reader.found_blocks)) == (1, 1)


def test_what_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unreadable, match="no such file"):
        read(tmp_path / "none")
    monkeypatch.setattr(reading, "MOST_BYTES", 10)
    (tmp_path / "long").write_text(INETD)
    with pytest.raises(Unreadable, match="more than 10 bytes: this is no configuration"):
        read(tmp_path / "long")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(Unreadable, match="not an ordinary file"):
        read(tmp_path / "fifo")


def test_no_more_than_so_many_files_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_FILES", 3)
    for number in range(4):
        (tmp_path / f"f{number}").write_text(INETD)
    with pytest.raises(Unreadable, match="more than 3 files"):
        read(tmp_path)


def test_this_host_knows_its_services_names_programs_and_users() -> None:
    host = of_this_host()
    assert (host.port("echo", "tcp"), host.port("no-such", "tcp")) == (7, None)
    assert host.port("\0", "tcp") is None
    assert host.addresses("127.0.0.1") == ("127.0.0.1",)
    assert host.addresses("::1") == ("::1",)
    assert host.addresses("\udcff" * 70) == ()
    assert host.program_mistake("/bin/sh") == ""
    assert "no program" in host.program_mistake("/no/such/program")
    assert (host.has_user("root"), host.has_user("0"), host.has_user("no-such")) == (
        True,
        True,
        False,
    )
    assert (host.has_group("tty"), host.has_group("no-such")) == (True, False)


def test_rules_of_tcp_wrappers_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "hosts.deny"
    monkeypatch.setattr(reading, "WRAPPERS", (str(file),))
    for text, has in ((None, False), ("# ALL: ALL\n\n", False), ("ALL: ALL\n", True)):
        if text is not None:
            file.write_text(text)
        assert of_this_host().has_wrappers is has


# the command


def sockd(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["import", *map(str, arguments)], prog_name="sockd")


def test_the_configuration_is_printed_and_what_was_lost_is_told_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "inetd.conf"
    file.write_text(
        f"{INETD}tftp dgram udp wait nobody /bin/cat \x1b[31mcat\nwhat is this\n"
        "#talk dgram udp wait nobody /bin/cat cat\n"
    )
    result = sockd(file)
    assert result.exit_code == 0
    assert tomllib.loads(result.stdout)["service"]["echo"]["kind"] == "echo"
    lines = result.stderr.splitlines()
    assert lines[0] == "sockd: not everything could be carried over:"
    assert re.match(rf"{file}:2: tftp: a program that reads datagrams", lines[1])
    assert lines[2:] == [f"{file}:3: not understood: what is this"]


@pytest.mark.parametrize("text", [None, "# nothing\n", "what is this\n"])
def test_without_a_service_to_print_it_ends_with_1(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "inetd.conf"
    if text is not None:
        file.write_text(text)
    result = sockd(file)
    assert result.exit_code == 1
    last = result.output.splitlines()[-1]
    assert re.match(rf"sockd: (no service to carry over in )?{file}", last)
