"""The directory of the default configuration's socket files, and who else may write there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from sockd.listen.runtime import make_runtime_directory
from sockd.listen.sockets import ListenError, bound
from sockd.listen.strings import parse

NOBODY = 65_534


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_the_directory_is_made_so_that_nobody_else_can_write_there(
    mask: int, tmp_path: Path
) -> None:
    path = tmp_path / "above" / "sockd"
    before = os.umask(mask)
    try:
        make_runtime_directory(str(path))
    finally:
        os.umask(before)
    wanted = 0o755 if os.getuid() == 0 else 0o700
    assert stat.S_IMODE(path.stat().st_mode) == wanted & ~mask
    assert path.stat().st_uid == os.getuid()
    make_runtime_directory(str(path))  # it is there now


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755, 0o2755])
def test_a_directory_that_others_can_only_read_is_used(mode: int, tmp_path: Path) -> None:
    tmp_path.chmod(mode)
    make_runtime_directory(str(tmp_path))
    assert stat.S_IMODE(tmp_path.stat().st_mode) == mode


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o1777])
def test_a_directory_that_others_can_write_is_refused(mode: int, tmp_path: Path) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(PermissionError, match="can be written by others"):
        make_runtime_directory(str(tmp_path))


def test_a_directory_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.getuid() == 0:
        os.chown(tmp_path, NOBODY, -1)
    else:  # the other one is us
        monkeypatch.setattr(os, "getuid", lambda: NOBODY)
    with pytest.raises(PermissionError, match=r"can be written by others: it is user .+'s"):
        make_runtime_directory(str(tmp_path))


def test_a_link_of_roots_is_followed_and_no_other(tmp_path: Path) -> None:
    there, link = tmp_path / "there", tmp_path / "link"
    there.mkdir(mode=0o700)
    link.symlink_to(there)
    if os.getuid() == 0:
        make_runtime_directory(str(link))
        there.chmod(0o777)
        with pytest.raises(PermissionError, match="can be written by others"):
            make_runtime_directory(str(link))
        there.chmod(0o700)
        os.lchown(link, NOBODY, -1)
    with pytest.raises(NotADirectoryError, match="is not a directory"):
        make_runtime_directory(str(link))


@pytest.mark.parametrize("kind", ["a file", "a link to nothing"])
def test_what_is_no_directory_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "sockd"
    if kind == "a file":
        path.touch()
    else:
        path.symlink_to("nothing")
    with pytest.raises(FileExistsError):
        make_runtime_directory(str(path))
    assert path.is_symlink() or path.is_file()


def test_a_socket_in_the_runtime_directory_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sockd"
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
    with bound(parse(f"unix:{folder}/wrap.sock")):
        assert stat.S_ISSOCK((folder / "wrap.sock").stat().st_mode)


def test_no_socket_is_made_where_others_could_replace_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    tmp_path.chmod(0o777)
    with pytest.raises(ListenError, match="can be written by others"):
        bound(parse(f"unix:{tmp_path}/wrap.sock"))
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_somebody_else_makes_is_not_made_here(tmp_path: Path) -> None:
    with pytest.raises(ListenError, match=r"No such file or directory: .*/missing is not there"):
        bound(parse(f"unix:{tmp_path}/missing/wrap.sock"))
