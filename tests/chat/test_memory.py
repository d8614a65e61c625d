"""What is remembered over a start: the secret and the names, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.chat import memory
from sockd.chat.secret import SECRET_BYTES

SECRET = bytes(range(SECRET_BYTES))  # has a newline in it
NAMES = st.sets(st.text("abcxyz_-09", min_size=1, max_size=32).map(str.encode), max_size=50)


@given(st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES), NAMES)
def test_what_is_written_is_read(secret: bytes, names: set[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state"
        memory.write(path, secret, names)
        assert memory.read(path) == (secret, names)


def test_the_file_is_as_it_is_documented_and_for_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "state"
    memory.write(path, SECRET, [b"ada", b"bob"])
    assert path.read_bytes() == b"sockd chat 1\n" + SECRET + b"\nada\nbob"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_where_there_is_no_file_or_an_empty_one_nothing_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "state"
    assert memory.read(path) is None
    path.touch()
    assert memory.read(path) is None


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"sockd chat 1",
        b"sockd chat 1\n",
        b"sockd chat 1\n" + SECRET[:-1],
        b"sockd chat 2\n" + SECRET,
        b"sockd chat 1\n" + SECRET + b"\nx" * (memory.MOST_BYTES // 2),
    ],
)
def test_a_file_that_is_none_of_ours_is_an_error_for_it_would_be_written_over(
    tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "state"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="is no state of a chat"):
        memory.read(path)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"):
        memory.read(tmp_path)


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "state"
    memory.write(path, SECRET, [b"ada"])
    (tmp_path / "state.new").mkdir()
    with pytest.raises(OSError, match="directory"):
        memory.write(path, SECRET, [b"bob"])
    assert memory.read(path) == (SECRET, {b"ada"})


def test_what_is_left_beside_the_file_is_replaced_and_no_link_is_followed(tmp_path: Path) -> None:
    path, beside, other = tmp_path / "state", tmp_path / "state.new", tmp_path / "other"
    other.write_bytes(b"mine")
    beside.symlink_to(other)
    memory.write(path, SECRET, [])
    beside.touch(0o666)
    memory.write(path, SECRET, [b"ada"])
    assert (other.read_bytes(), memory.read(path)) == (b"mine", (SECRET, {b"ada"}))
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_directory_of_the_file_is_made(tmp_path: Path) -> None:
    path = tmp_path / "run" / "chat.state"
    memory.write(path, SECRET, [])
    assert memory.read(path) == (SECRET, set())
    assert path.parent.stat().st_mode & 0o022 == 0


def test_a_file_of_another_user_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state"
    memory.write(path, SECRET, [])
    if os.getuid() == 0:
        os.chown(path, 12345, 12345)
    else:
        other = os.getuid() + 1
        monkeypatch.setattr(os, "getuid", lambda: other)
    with pytest.raises(PermissionError, match="another user's"):
        memory.read(path)
