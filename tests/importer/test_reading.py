"""The files that are read, which name others."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sockd.cli import main
from sockd.importer import reading
from sockd.importer.entry import Note
from sockd.importer.reading import MOST_DEEP, Reader, of_this_host
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


def test_what_cannot_be_read_is_told_and_the_rest_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 100)
    (tmp_path / "long").write_text(3 * INETD)
    (tmp_path / "circle").symlink_to("circle")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "usual").write_text(INETD)
    reader = Reader(lookups())
    unread = {
        "none": "no such file or directory",
        "long": "more than 100 bytes: this is no configuration",
        "circle": "too many levels of symbolic links",
        "fifo": "not an ordinary file",
    }
    assert [reader.read(tmp_path / name) for name in (*unread, "usual")] == [*4 * [False], True]
    assert reader.unread == [f"{tmp_path}/{name}: {why}" for name, why in unread.items()]
    assert len(reader.found) == 1


def test_a_file_of_a_folder_that_cannot_be_read_costs_no_other_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 200)
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(service("finger") + ("#" * 200 if name == "b" else ""))
    reader = read(tmp_path)
    assert reader.files == [str(tmp_path / name) for name in ("a", "c")]
    assert reader.unread == [f"{tmp_path}/b: more than 200 bytes: this is no configuration"]


def test_a_line_that_includes_what_no_file_can_be_is_told(tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    conf.write_text("include a\0b\nincludedir a\0b\ninclude circle\nincludedir circle\n")
    (tmp_path / "circle").symlink_to("circle")
    assert notes(read(conf)) == [
        "1: not understood: a\0b",
        "2: not understood: a\0b",
        f"3: {tmp_path}/circle: too many levels of symbolic links",
        "4: there is no folder circle",
    ]


def test_files_that_name_each_other_are_read_so_deep(tmp_path: Path) -> None:
    for number in range(MOST_DEEP + 2):
        (tmp_path / f"{number}").write_text(f"include {number + 1}\n")
    reader = read(tmp_path / "0")
    assert reader.files[-1] == str(tmp_path / f"{MOST_DEEP}")
    assert notes(reader) == [f"1: more than {MOST_DEEP} files, each included by another: not read"]


def test_no_more_than_so_many_files_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_FILES", 3)
    for number in range(4):
        (tmp_path / f"f{number}").write_text(INETD)
    reader = read(tmp_path)
    assert (len(reader.files), reader.unread) == (3, [f"{tmp_path}/f3: more than 3 files"])


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


def test_what_can_be_read_is_printed_and_what_not_is_told_there_and_beside_it(
    tmp_path: Path,
) -> None:
    """As on a host that has one of the two super-servers."""
    file, folder = tmp_path / "inetd.conf", tmp_path / "xinetd.d\x1b[31m"
    file.write_text(INETD)
    result = sockd(file, folder)
    assert result.exit_code == 1
    why = f"{tmp_path}/xinetd.d\\x1b[31m: no such file or directory"
    assert result.stderr == f"sockd: {why}\n"
    assert tomllib.loads(result.stdout)["service"].keys() == {"echo"}
    head = result.stdout.partition("\n[defaults]")[0].replace("\n# ", " ")
    assert f"made from {file}. " in head
    assert f"Not read: {why}" in head


def test_a_folder_without_a_file_is_one_without_a_service(tmp_path: Path) -> None:
    result = sockd(tmp_path)
    assert (result.exit_code, result.stderr) == (
        1,
        f"sockd: no service to carry over in {tmp_path}\n",
    )


def test_where_all_that_is_there_is_switched_off_and_no_more_that_is_told(tmp_path: Path) -> None:
    file = tmp_path / "finger"
    file.write_text("service finger\n{\n\tdisable = yes\n}\n")
    result = sockd(file)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[1:] == [
        f"{file}:1: finger: it is disabled, and has nothing that could be carried over",
        f"sockd: no service to carry over in {file}",
    ]


def test_json_has_the_configuration_what_was_lost_and_what_was_not_read(tmp_path: Path) -> None:
    file, none = tmp_path / "inetd.conf", tmp_path / "none"
    file.write_text(f"{INETD}tftp dgram udp wait nobody /bin/cat cat\nwhat is this\n")
    result = sockd(file, none, "--json")
    assert (result.exit_code, result.stderr) == (1, "")
    told = json.loads(result.stdout)
    assert told["toml"] == sockd(file, none).stdout
    of_tftp, of_line = told["notes"]
    assert of_tftp.pop("text").startswith("a program that reads datagrams itself")
    assert of_tftp == {"place": f"{file}:2", "service": "tftp", "is_lost": True}
    assert (of_line["place"], of_line["service"]) == (f"{file}:3", None)
    assert told["unread"] == [f"{none}: no such file or directory"]
    whole = sockd(file, "--json")
    assert (whole.exit_code, json.loads(whole.stdout)["unread"]) == (0, [])
    nothing = sockd(none, "--json")
    assert (nothing.exit_code, json.loads(nothing.stdout)["toml"]) == (1, None)
