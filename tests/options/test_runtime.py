"""Where the socket files of the default configuration lie."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from sockd.options.runtime import runtime_directory


@pytest.mark.parametrize(
    ("environment", "uid", "name"),
    [
        ({"RUNTIME_DIRECTORY": "/run/given"}, 0, "/run/given"),
        ({"RUNTIME_DIRECTORY": "/run/given", "XDG_RUNTIME_DIR": "/run/user/7"}, 7, "/run/given"),
        ({"RUNTIME_DIRECTORY": "/run/first:/run/second"}, 7, "/run/first"),
        ({"RUNTIME_DIRECTORY": "", "XDG_RUNTIME_DIR": "/run/user/7"}, 7, "/run/user/7/sockd"),
        ({"XDG_RUNTIME_DIR": "/run/user/7"}, 7, "/run/user/7/sockd"),
        ({"XDG_RUNTIME_DIR": "/run/user/7/"}, 7, "/run/user/7/sockd"),
        ({"XDG_RUNTIME_DIR": ""}, 0, "/run/sockd"),
        ({}, 0, "/run/sockd"),
    ],
)
def test_the_service_managers_directory_comes_first_then_the_sessions_then_roots(
    environment: Mapping[str, str], uid: int, name: str
) -> None:
    assert runtime_directory(environment, uid) == name


def test_who_has_none_of_them_gets_a_directory_of_his_own_below_the_temporary_one() -> None:
    assert runtime_directory({}, 1000) == "/tmp/sockd-1000"
    assert runtime_directory({}, 1001) == "/tmp/sockd-1001"
    assert runtime_directory({"TMPDIR": "/var/tmp"}, 1000) == "/var/tmp/sockd-1000"


def test_where_nothing_can_be_written_it_is_named_all_the_same() -> None:
    assert runtime_directory({"TMPDIR": "/no/such/folder"}, 7) == "/no/such/folder/sockd-7"
