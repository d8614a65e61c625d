"""Files that are analyzed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from sockd.client.errors import UsageFault
from sockd.client.travesty.files import open_file
from sockd.testing.running import running_reactor, until


async def whole(name: str) -> bytes:
    """All that a file has; and then its descriptor is closed."""
    file = open_file(name)
    source = file.source(running_reactor())
    found = bytearray()
    while data := await source.read():
        found += data
    source.close()
    await until(lambda: not is_open(file.descriptor))
    return bytes(found)


def is_open(descriptor: int) -> bool:
    """Whether there is such a descriptor."""
    return Path(f"/proc/self/fd/{descriptor}").exists()


@pytest_twisted.ensureDeferred
async def test_a_file_is_read_whole_and_closed(tmp_path: Path) -> None:
    file = tmp_path / 'it\'s a "text"'
    file.write_bytes(bytes(range(256)) * 1000)
    assert open_and_forget(str(file)) == 256_000
    assert await whole(str(file)) == file.read_bytes()


def open_and_forget(name: str) -> int | None:
    """Its size; a source that nobody reads closes it, too."""
    file = open_file(name)
    source = file.source(running_reactor())
    source.close()
    source.close()
    assert not is_open(file.descriptor)
    return file.size


@pytest_twisted.ensureDeferred
async def test_the_home_of_a_user_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "text").write_bytes(b"words")
    assert await whole("~/text") == b"words"


@pytest_twisted.ensureDeferred
async def test_a_pipe_has_no_size_and_is_read_as_it_comes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert open_and_forget(str(tmp_path / "pipe")) is None
    writing = os.open(tmp_path / "pipe", os.O_RDWR)
    file = open_file(str(tmp_path / "pipe"))
    source = file.source(running_reactor())
    os.write(writing, b"one")
    assert await source.read() == b"one"
    os.write(writing, b"two")
    assert await source.read() == b"two"
    os.close(writing)
    assert await source.read() == b""


@pytest_twisted.ensureDeferred
async def test_a_pipe_is_at_its_end_when_somebody_has_written_to_it(tmp_path: Path) -> None:
    names = [tmp_path / f"pipe{number}" for number in range(20)]  # not all threads are late
    for name in names:
        os.mkfifo(name)
    sources = [open_file(str(name)).source(running_reactor()) for name in names]
    reading = [Deferred.fromCoroutine(source.read()) for source in sources]
    for name in names:
        name.write_bytes(b"late")
    assert [await one for one in reading] == [b"late"] * len(names)
    assert [await source.read() for source in sources] == [b""] * len(names)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nothing", "cannot read nothing: no such file or directory"),
        ("/", "cannot read /: is a directory"),
        ("a\0b", "cannot read a\0b: embedded null byte"),
        ("~nobody-of-this-name/x", "cannot read ~nobody-of-this-name/x: no such home"),
    ],
)
def test_what_cannot_be_read_is_told(name: str, why: str) -> None:
    with pytest.raises(UsageFault) as raised:
        open_file(name)
    assert str(raised.value).startswith(why)


@pytest_twisted.ensureDeferred
async def test_a_file_that_fails_later_is_told_by_its_name() -> None:
    source = open_file("/proc/self/mem").source(running_reactor())
    with pytest.raises(UsageFault, match="cannot read /proc/self/mem: "):
        await source.read()
