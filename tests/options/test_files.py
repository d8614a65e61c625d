"""Files that a configuration names: only regular ones are read, and nothing is waited for."""

from __future__ import annotations

import os
import socket
from io import BufferedReader, RawIOBase
from pathlib import Path

import pytest

from sockd.options import files
from sockd.options.files import FilePath, read_file


def test_a_relative_name_starts_at_a_folder_and_an_absolute_one_stays() -> None:
    assert FilePath.parse("a/b").beside("/etc/sockd") == "/etc/sockd/a/b"
    assert FilePath.parse("/a/b").beside("/etc/sockd") == "/a/b"
    assert FilePath.parse("").beside("/etc/sockd") == ""
    assert isinstance(FilePath("a").beside("/"), FilePath)


@pytest.mark.parametrize("value", [3, None, ["a"], "a\0b"])
def test_what_is_no_name_of_a_file_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected the name of a file, got "):
        FilePath.parse(value)


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert read_file(str(file), 5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_file(str(file), 4)


class NothingYet(RawIOBase):
    """What comes of `/proc/kmsg` before the kernel says more."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> None:
        return None


def test_a_file_that_has_nothing_yet_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    opened = BufferedReader(NothingYet())
    monkeypatch.setattr(files, "open", lambda *_, **__: opened, raising=False)
    assert read_file(str(tmp_path / "file"), 9) == b""


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("fifo", "a FIFO, not a file"),
        ("socket", "a socket, not a file"),
        ("folder", "a directory, not a file"),
        ("/dev/zero", "a device, not a file"),
        ("none", "No such file or directory"),
        ("a\0b", "not the name of a file"),
    ],
)
def test_what_is_not_a_file_is_told_and_not_waited_for(name: str, why: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "socket"))
        with pytest.raises(OSError) as caught:  # noqa: PT011 - strerror is what is looked at
            read_file(str(tmp_path / name), 9)
    assert caught.value.strerror == why
