"""Where no socket file can be made, told without making one."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from sockd.listen.socket_files import path_mistake

NOBODY = 65_534


def test_a_path_in_a_directory_that_can_be_written_is_right(tmp_path: Path) -> None:
    assert path_mistake(str(tmp_path / "one.sock")) == ""
    assert list(tmp_path.iterdir()) == []


def test_a_socket_that_is_there_is_no_mistake(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(tmp_path / "one.sock"))
        assert path_mistake(str(tmp_path / "one.sock")) == ""


def test_a_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    assert path_mistake(str(tmp_path / "no" / "one.sock")) == f"{tmp_path}/no is not there"


def test_a_file_in_the_directorys_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert (
        path_mistake(str(tmp_path / "file" / "one.sock")) == f"{tmp_path}/file is not a directory"
    )
    assert path_mistake(str(tmp_path / "file" / "a" / "one.sock")) == (
        f"{tmp_path}/file/a: Not a directory"
    )


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "one.sock").write_text("precious")
    assert "not a socket" in path_mistake(str(tmp_path / "one.sock"))
    assert (tmp_path / "one.sock").read_text() == "precious"


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    own = os.geteuid()
    if own == 0:  # root may write anywhere
        os.seteuid(NOBODY)
    try:
        assert path_mistake("/one.sock") == "/ cannot be written to"
    finally:
        os.seteuid(own)


def test_the_runtime_directory_need_not_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "a" / "sockd"))
    assert path_mistake(str(tmp_path / "a" / "sockd" / "one.sock")) == ""
    (tmp_path / "a").touch()
    assert path_mistake(str(tmp_path / "a" / "sockd" / "one.sock")) == (
        f"{tmp_path}/a is not a directory"
    )
