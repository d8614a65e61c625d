"""Socket files of other users and groups: from the first moment, and changed while they listen."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sockd.listen import socket_files
from sockd.listen.socket_files import file_identity
from sockd.listen.socket_terms import check_file, set_file
from sockd.listen.sockets import ListenError, bound, bound_file
from sockd.listen.strings import parse
from tests.processes import NOBODY

GROUP = 4711
"""One that nobody is of."""


@contextmanager
def as_nobody(*groups: int) -> Iterator[None]:
    """This process is a user without rights, and of these groups."""
    before = os.getgroups()
    os.setgroups(groups)
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a socket file is made, in a folder that everybody may write to."""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    return tmp_path / "open" / "socket"


def state(path: Path) -> tuple[int, int, int]:
    """User, group and mode of a file."""
    found = path.stat()
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


@pytest.mark.parametrize("transport", ["unix", "unixgram"])
@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("", (0, 0, 0o660)),
        (f":user={NOBODY}", (NOBODY, 0, 0o660)),
        (f":group={GROUP}:mode=620", (0, GROUP, 0o620)),
        (f":user={NOBODY}:group={GROUP}:mode=600", (NOBODY, GROUP, 0o600)),
    ],
)
def test_a_file_is_whose_it_is_said_to_be(
    transport: str, given: str, found: tuple[int, int, int], path: Path
) -> None:
    with bound(parse(f"{transport}:{path}{given}")):
        assert state(path) == found


def watch_chown(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """How a file was whenever it was to get another owner, and had got it."""
    seen: list[tuple[int, int, int]] = []
    chown = os.chown

    def watched(file: Path, uid: int, gid: int) -> None:
        seen.append(state(path))
        chown(file, uid, gid)
        seen.append(state(path))

    monkeypatch.setattr(socket_files.os, "chown", watched)  # type: ignore[attr-defined]
    return seen


def test_until_it_is_his_nobody_may_connect(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the group that it had, nor the one that it gets under another user."""
    seen = watch_chown(path, monkeypatch)
    with bound(parse(f"unix:{path}:user={NOBODY}:group={GROUP}")):
        assert seen == [(0, 0, 0), (NOBODY, GROUP, 0)]


def test_while_it_becomes_anothers_nobody_may_connect(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = parse(f"unix:{path}:mode=666")
    with bound(before):
        seen = watch_chown(path, monkeypatch)
        after = parse(f"unix:{path}:user={NOBODY}:group={GROUP}:mode=660")
        assert set_file(after, before.terms.owner, file_identity(str(path))) == ""
        assert seen == [(0, 0, 0), (NOBODY, GROUP, 0)]
        assert state(path) == (NOBODY, GROUP, 0o660)


def test_a_group_that_one_is_of_can_be_had_without_being_root(path: Path) -> None:
    with as_nobody(GROUP), bound(parse(f"unix:{path}:group={GROUP}")):
        assert state(path) == (NOBODY, GROUP, 0o660)


@pytest.mark.parametrize(
    ("given", "whom"),
    [("user=0", "user 0"), ("group=0", "group 0"), ("user=0:group=0", "user 0 and group 0")],
)
def test_who_may_not_give_it_away_is_told_and_nothing_is_left(
    given: str, whom: str, path: Path
) -> None:
    with as_nobody(), pytest.raises(ListenError) as error:
        bound(parse(f"unix:{path}:{given}"))
    assert error.value.why == (
        f"its file cannot be given to {whom}: only root may, or for a group one of its members"
    )
    assert not path.exists()


# while it listens


def changed(path: Path, before: str, after: str) -> tuple[int, int, int]:
    """What becomes of a file where the one listen string is replaced by the other."""
    old, new = (parse(f"unix:{path}{options}") for options in (before, after))
    sock, identity = bound_file(old)
    with sock:
        check_file(old.terms.owner, new, identity)
        assert set_file(new, old.terms.owner, identity) == ""
        return state(path)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("", f":user={NOBODY}:group={GROUP}", (NOBODY, GROUP, 0o660)),
        (f":user={NOBODY}:group={GROUP}", "", (0, 0, 0o660)),
        (f":user={NOBODY}", f":user={NOBODY}:mode=600", (NOBODY, 0, 0o600)),
        (f":group={GROUP}", f":group={GROUP + 1}", (0, GROUP + 1, 0o660)),
    ],
)
def test_another_owner_holds_while_it_listens(
    before: str, after: str, found: tuple[int, int, int], path: Path
) -> None:
    assert changed(path, before, after) == found


@pytest.mark.parametrize("after", [":user=0", f":group={GROUP + 1}"])
def test_what_one_may_not_change_is_refused_before_anything_is(after: str, path: Path) -> None:
    with as_nobody(GROUP):
        assert changed(path, "", f":group={GROUP}") == (NOBODY, GROUP, 0o660)
        path.unlink()
        with pytest.raises(ListenError, match="its file cannot be given to"):
            changed(path, "", after)
        assert state(path) == (NOBODY, NOBODY, 0o660)


def test_where_it_cannot_be_given_away_after_all_the_mode_stays(path: Path) -> None:
    """Such as where this process is no member of a group any more that it was one of."""
    with as_nobody():
        sock, identity = bound_file(parse(f"unix:{path}:mode=640"))
        with sock:
            wanted = parse(f"unix:{path}:group={GROUP}")
            assert set_file(wanted, (None, None), identity) == "Operation not permitted"
            assert state(path) == (NOBODY, NOBODY, 0o640)


def test_one_that_is_as_it_is_wanted_needs_no_right_to_change_it(path: Path) -> None:
    wanted = parse(f"unix:{path}:user=12:group={GROUP}")
    sock, identity = bound_file(wanted)
    with sock, as_nobody():
        check_file((None, None), wanted, identity)
        assert set_file(wanted, (None, None), identity) == ""
        assert state(path) == (12, GROUP, 0o660)


def test_a_file_that_was_given_away_is_another_users(path: Path) -> None:
    old, new = parse(f"unix:{path}:user=12"), parse(f"unix:{path}:user=12:mode=600")
    sock, identity = bound_file(old)
    with sock, as_nobody(), pytest.raises(ListenError, match="its file is another user's"):
        check_file(old.terms.owner, new, identity)


def test_a_file_that_is_another_ones_by_now_is_left_alone(path: Path) -> None:
    listen = parse(f"unix:{path}")
    sock, identity = bound_file(listen)
    with sock, socket.socket(socket.AF_UNIX) as other:
        path.rename(path.with_name("moved"))
        other.bind(str(path))
        before = state(path)
        wanted = parse(f"unix:{path}:user={NOBODY}:mode=666")
        assert set_file(wanted, (None, None), identity) == "it has been replaced by another"
        assert state(path) == before
        assert file_identity(str(path)) != identity
