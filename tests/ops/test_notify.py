"""What the service manager is told, and when its watchdog is."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.ops import notify
from sockd.ops.notify import (
    AGAIN_SECONDS,
    TICKS,
    Notifier,
    address_of,
    message,
    watchdog_seconds,
)
from tests.memory import Loop
from tests.ops.managing import Manager, manager
from tests.processes import PATIENCE

WATCHDOG = 20.0


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Manager]:
    with manager(tmp_path) as found:
        yield found


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def tells(told: Manager, loop: Loop) -> Iterator[Notifier]:
    found = Notifier(loop, str(told.path), WATCHDOG)
    yield found
    found.close()


def test_ready_is_said_with_a_status(tells: Notifier, told: Manager) -> None:
    tells.ready("serving 3 services")
    assert told.hear_all() == [{"READY": "1", "STATUS": "serving 3 services"}]


def test_reloading_has_the_moment_in_the_same_datagram(tells: Notifier, told: Manager) -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    tells.reloading("reads its configuration")
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    [heard] = told.hear_all()
    assert heard["RELOADING"] == "1"
    assert before <= int(heard["MONOTONIC_USEC"]) <= after


@given(st.lists(st.text(), min_size=1))
def test_no_text_looks_like_another_field(texts: list[str]) -> None:
    lines = message(*(f"STATUS={text}" for text in texts)).split(b"\n")
    assert len(lines) == len(texts)
    assert all(line.startswith(b"STATUS=") for line in lines)


def test_a_status_is_one_line_that_is_not_too_long(tells: Notifier, told: Manager) -> None:
    tells.status("a\nREADY=1\n" + "x" * 1000)
    [heard] = told.hear_all()
    assert list(heard) == ["STATUS"]
    assert len(heard["STATUS"]) == notify.LONGEST_STATUS


def test_signs_of_life_come_four_times_in_the_watchdogs_time_once_it_is_ready(
    tells: Notifier, told: Manager, loop: Loop
) -> None:
    loop.advance(WATCHDOG)
    assert told.hear_all() == []
    tells.ready("serving")
    tells.ready("serving")  # after a reload: there is one timer all the same
    told.hear_all()
    loop.pump([WATCHDOG / notify.TICKS] * 8)
    assert told.hear_all() == [{"WATCHDOG": "1"}] * 8


def test_a_loop_that_is_late_all_the_time_gives_no_sign_of_life(
    tells: Notifier, told: Manager, loop: Loop
) -> None:
    tells.ready("serving")
    told.hear_all()
    tick = WATCHDOG / notify.TICKS
    for _ in range(5):
        loop.rightNow += 2 * tick + 0.1
        loop.settle()
    assert told.hear_all() == []
    loop.pump([tick, tick])
    assert told.hear_all() == [{"WATCHDOG": "1"}] * 2


def test_without_a_watchdog_there_is_no_timer(told: Manager, loop: Loop) -> None:
    tells = Notifier(loop, str(told.path))
    tells.ready("serving")
    assert loop.getDelayedCalls() == []
    tells.close()


def test_without_a_manager_nothing_is_done(loop: Loop) -> None:
    tells = Notifier(loop)
    tells.ready("serving")
    with socket.socket() as sock:
        tells.keep("one", sock)
    tells.close()
    assert loop.getDelayedCalls() == []


def test_a_manager_that_is_gone_stops_nothing(tmp_path: Path, loop: Loop) -> None:
    tells = Notifier(loop, str(tmp_path / "nobody"))
    tells.ready("serving")
    with manager(tmp_path) as other:
        other.path.rename(tmp_path / "nobody")
        tells.status("still here")
        assert other.hear_all() == [{"STATUS": "still here"}]
        (tmp_path / "nobody").rename(other.path)
    tells.close()


def fill(tells: Notifier) -> None:
    """Say more than the kernel holds for any socket."""
    for number in range(2000):
        tells.status(str(number))


def test_messages_for_which_the_manager_has_no_room_wait_in_their_order(
    tells: Notifier, told: Manager, loop: Loop
) -> None:
    fill(tells)
    assert len(loop.getDelayedCalls()) == 1
    found: list[dict[str, str]] = []
    while len(found) < 2000:
        found += told.hear_all()
        loop.advance(AGAIN_SECONDS)
    assert [heard["STATUS"] for heard in found] == [str(number) for number in range(2000)]
    assert loop.getDelayedCalls() == []


def test_signs_of_life_do_not_wait_for_room(tells: Notifier, told: Manager, loop: Loop) -> None:
    fill(tells)
    tells.ready("")
    for _ in range(TICKS):
        loop.advance(WATCHDOG / TICKS)
    found: list[dict[str, str]] = []
    while "READY" not in (found := told.hear_all() or found)[-1]:
        loop.advance(AGAIN_SECONDS)
    assert found[-1] == {"READY": "1", "STATUS": ""}
    loop.advance(WATCHDOG / TICKS)
    assert told.hear_all() == [{"WATCHDOG": "1"}]


def test_an_end_waits_for_room_for_what_it_has_to_tell(
    tells: Notifier, told: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "LAST_SECONDS", PATIENCE)
    fill(tells)
    tells.stopping("it ends")
    with ThreadPoolExecutor() as threads:
        heard = threads.submit(told.hear_until, "STOPPING")
        tells.close()
        assert heard.result(PATIENCE)["STATUS"] == "it ends"


def test_an_end_does_not_wait_for_a_manager_that_reads_nothing(
    tells: Notifier, told: Manager
) -> None:
    fill(tells)
    tells.stopping("it ends")
    tells.close()
    assert not [one for one in told.hear_all() if "STOPPING" in one]


def test_more_messages_than_may_wait_cost_the_oldest(
    tells: Notifier, told: Manager, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "WAITING", 2)
    fill(tells)
    before = told.hear_all()
    loop.advance(AGAIN_SECONDS)
    assert [heard["STATUS"] for heard in told.hear_all()] == ["1998", "1999"]
    assert len(before) < 1998


def test_a_socket_is_kept_by_its_name_and_let_go_of(tells: Notifier, told: Manager) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        tells.keep("one", sock)
        assert told.hear_all() == [{"FDSTORE": "1", "FDNAME": "one"}]
        [kept] = told.store["one"]
        assert os.path.samestat(os.fstat(kept), os.fstat(sock.fileno()))
        assert kept != sock.fileno()
    tells.forget("one")
    assert told.hear_all() == [{"FDSTOREREMOVE": "1", "FDNAME": "one"}]
    assert told.store == {}


def test_errors_at_a_datagram_socket_do_not_have_it_let_go_of(
    tells: Notifier, told: Manager
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        tells.keep("one", sock)
    assert told.hear_all() == [{"FDSTORE": "1", "FDNAME": "one", "FDPOLL": "0"}]


def test_descriptors_that_could_not_be_sent_are_closed(told: Manager, loop: Loop) -> None:
    tells = Notifier(loop, str(told.path))
    for number in range(2000):
        tells.status(str(number))
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough
    with socket.socket() as sock:
        tells.keep("one", sock)
    tells.close()
    # the notifier's own is closed, too
    assert len(os.listdir("/proc/self/fd")) == before - 1  # noqa: PTH208
    assert loop.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("/run/systemd/notify", "/run/systemd/notify"),
        ("@notify", "\0notify"),
        ("", ""),
        ("@", ""),
        ("vsock:2:1234", ""),
        ("relative", ""),
    ],
)
def test_the_managers_address_is_a_file_or_an_abstract_name(given: str, address: str) -> None:
    assert address_of({"NOTIFY_SOCKET": given}) == address


def test_where_there_is_no_manager_there_is_no_address() -> None:
    assert address_of({}) == ""


def test_an_abstract_name_is_told(loop: Loop) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("")  # the kernel chooses one
        tells = Notifier(loop, address_of({"NOTIFY_SOCKET": "@" + sock.getsockname()[1:].decode()}))
        tells.status("here")
        assert sock.recv(100) == b"STATUS=here"
        tells.close()


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, 0),
        ({"WATCHDOG_USEC": "30000000"}, 30),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, 0),
        ({"WATCHDOG_USEC": "soon"}, 0),
        ({"WATCHDOG_USEC": "-1"}, 0),
    ],
)
def test_the_watchdog_is_told_by_the_process_that_is_meant(
    given: dict[str, str], seconds: float
) -> None:
    assert watchdog_seconds(given, 7) == seconds
