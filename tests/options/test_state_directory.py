"""Where a daemon keeps what outlives it."""

from __future__ import annotations

import pytest

from sockd.options.state import BansPath, state_directory

HOME = {"HOME": "/users/anna"}


@pytest.mark.parametrize(
    ("environment", "uid", "directory"),
    [
        ({**HOME, "STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, 5, "/var/lib/a"),
        ({**HOME, "XDG_STATE_HOME": "/state"}, 5, "/state/sockd"),
        ({**HOME, "XDG_STATE_HOME": "/state"}, 0, "/state/sockd"),
        ({**HOME, "XDG_STATE_HOME": "state"}, 5, "/users/anna/.local/state/sockd"),
        (HOME, 0, "/var/lib/sockd"),
        ({"XDG_RUNTIME_DIR": "/run/user/5"}, 5, "/run/user/5/sockd"),
    ],
)
def test_it_is_the_service_managers_or_the_users_or_roots(
    environment: dict[str, str], uid: int, directory: str
) -> None:
    assert state_directory(environment, uid) == directory


def test_a_relative_path_starts_there_and_off_is_none() -> None:
    assert BansPath.parse("bans.sqlite3").within("/state") == "/state/bans.sqlite3"
    assert BansPath.parse("/x/y").within("/state") == "/x/y"
    assert BansPath.parse("off").within("/state") == ""
    assert str(BansPath.parse("off")) == "off"
    with pytest.raises(ValueError, match='expected a path or "off"'):
        BansPath.parse("")
