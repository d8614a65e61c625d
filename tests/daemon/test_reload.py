"""A reload: one at a time, read in a thread, all of it or nothing."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred

from sockd.config.document import ConfigError, Mistake, Place
from sockd.config.settings import Settings
from sockd.daemon.daemon import Daemon, StartError
from sockd.daemon.reload import MOST_TOLD, TOLD_SECONDS, Outcome, Reloader
from sockd.net import certificate
from sockd.options.units import Duration
from tests.daemon.running import LOOPBACK, daemon_of, inodes, listeners, said_at, says, settings
from tests.helpers import LogRecorder, until
from tests.net.test_listener import Full, taken

TEXT = f"tcp:0:{LOOPBACK}"


@define
class File:
    """A configuration file: what is read from it, and how often, and in which thread."""

    wanted: Settings | Exception
    reads: list[threading.Thread] = field(factory=list)
    gate: threading.Event | None = None
    """It is read once this is set, for a slow disk."""

    def load(self) -> Settings:
        self.reads.append(threading.current_thread())
        if self.gate is not None:
            assert self.gate.wait(60)
        if isinstance(self.wanted, Exception):
            raise self.wanted
        return self.wanted


@asynccontextmanager
async def reloader(file: File) -> AsyncIterator[tuple[Daemon, Reloader]]:
    async with daemon_of(says(TEXT)) as daemon:
        yield daemon, Reloader(daemon, file.load, lambda: 1_000.0)


def broken(*whys: str) -> ConfigError:
    return ConfigError([Mistake(Place("file"), "", why) for why in whys])


@define
class Mover:
    """What changes beside the services, and tells what became of it."""

    told: list[str] = field(factory=list)
    fails: bool = False

    def prepare(self, settings: Settings) -> Mover:
        if self.fails:
            raise StartError("sockd: it cannot be moved")
        self.told.append("prepare")
        return self

    def switch(self) -> None:
        self.told.append("switch")

    def undo(self) -> None:
        self.told.append("undo")


@ensureDeferred
async def test_the_file_is_read_in_a_thread_and_what_it_says_holds(log: LogRecorder) -> None:
    file = File(settings(says(TEXT, word="two"), says(TEXT, name="more")))
    async with reloader(file) as (daemon, one):
        outcome = await one.reload()
        assert file.reads[0] is not threading.main_thread()
        assert [await said_at(listener) for listener in listeners(daemon)] == [b"two", b"one"]
        assert outcome.ok
        assert outcome.steps == (
            'says: changed: word "one" -> "two"',
            "more: added: + tcp 127.0.0.1:0",
        )
        assert (one.last, one.last_failure, one.succeeded, one.failed) == (outcome, None, 1, 0)
        assert outcome.at == 1_000
    assert [event["step"] for event in log.events("reload-step")] == list(outcome.steps)
    assert [len(log.events(name)) for name in ("reloading", "reloaded", "reload-failed")] == [
        1,
        1,
        0,
    ]


@ensureDeferred
async def test_what_fails_is_told_and_remembered_until_the_next_success(log: LogRecorder) -> None:
    file = File(broken("this is wrong", "that too"))
    async with reloader(file) as (daemon, one):
        before = inodes(daemon)
        outcome = await one.reload()
        assert not outcome.ok
        assert outcome.reasons == ("file: this is wrong", "file: that too")
        assert inodes(daemon) == before
        assert (one.last_failure, one.succeeded, one.failed) == (outcome, 0, 1)
        told = [str(event["reason"]) for event in log.events("reload-failed")]
        assert told == list(outcome.reasons)
        file.wanted = settings(says(TEXT))
        assert (await one.reload()).steps == ()
        assert (one.last_failure, one.succeeded, one.failed) == (None, 1, 1)


@ensureDeferred
async def test_the_log_has_some_of_many_reasons_and_how_many_more_there_are(
    log: LogRecorder,
) -> None:
    file = File(broken(*map(str, range(MOST_TOLD + 5))))
    async with reloader(file) as (_, one):
        assert len((await one.reload()).reasons) == MOST_TOLD + 5
    told = [str(event["reason"]) for event in log.events("reload-failed")]
    assert len(told) == MOST_TOLD + 1
    assert told[-1] == "and 5 more"


@ensureDeferred
async def test_a_fault_of_ours_fails_the_reload_and_not_the_next(log: LogRecorder) -> None:
    file = File(ZeroDivisionError("by nothing"))
    async with reloader(file) as (_, one):
        assert (await one.reload()).reasons == ("ZeroDivisionError: by nothing",)
        file.wanted = settings(says(TEXT))
        assert (await one.reload()).ok
    assert {fault["log_failure"].type for fault in log.flush_faults()} == {ZeroDivisionError}


@ensureDeferred
async def test_what_is_asked_for_meanwhile_comes_after_it_once_and_reads_anew() -> None:
    gate = threading.Event()
    file = File(settings(says(TEXT, word="two")), gate=gate)
    async with reloader(file) as (daemon, one):
        first = one.reload()
        await until(lambda: len(file.reads) == 1)
        second, third, dry = one.reload(), one.reload(), one.reload(dry_run=True)
        gate.set()
        outcome = await first
        assert outcome.steps == ('says: changed: word "one" -> "two"',)
        file.wanted = settings(says(TEXT, word="six"))
        again = await second
        assert again is await third
        assert again.steps in {('says: changed: word "two" -> "six"',), ()}  # by when it was read
        await dry
        assert len(file.reads) == 3
        assert (await one.reload()).ok
        assert await said_at(listeners(daemon)[0]) == b"six"


@ensureDeferred
async def test_a_dry_run_says_what_would_be_done_and_does_nothing(log: LogRecorder) -> None:
    file = File(settings(says(TEXT, word="two", drain="1s"), certificate_check=Duration(99)))
    async with reloader(file) as (daemon, one):
        outcome = await one.reload(dry_run=True)
        assert outcome.steps == (
            'sockd: changed: certificate_check "10s" -> "99s"',
            'says: changed: drain "3s" -> "1s", word "one" -> "two"',
        )
        assert await said_at(listeners(daemon)[0]) == b"one"
        file.wanted = broken("no")
        assert (await one.reload(dry_run=True)).reasons == ("file: no",)
        assert (one.last, one.succeeded, one.failed) == (None, 0, 0)
    assert not log.events("reloading")


@ensureDeferred
async def test_what_changes_beside_the_services_does_so_with_them_or_not_at_all() -> None:
    file, mover = File(settings(says(TEXT, word="two"))), Mover()
    async with reloader(file) as (daemon, one):
        one.parts += [mover, unwilling := Mover(fails=True)]
        assert (await one.reload()).reasons == ("sockd: it cannot be moved",)
        assert mover.told == ["prepare", "undo"]
        assert await said_at(listeners(daemon)[0]) == b"one"
        one.parts.remove(unwilling)
        with taken() as sock:
            port = sock.getsockname()[1]
            file.wanted = settings(says(TEXT, f"tcp:{port}:{LOOPBACK}", word="two"))
            assert "address in use" in (await one.reload()).reasons[0]
        assert mover.told == ["prepare", "undo"] * 2
        file.wanted = settings(says(TEXT, word="two"))
        assert (await one.reload()).ok
        assert mover.told[4:] == ["prepare", "switch"]


@pytest.mark.parametrize("wanted", [settings(says(TEXT)), broken("no")])
@ensureDeferred
async def test_who_is_told_of_the_end_is_waited_for(wanted: Any, log: LogRecorder) -> None:
    told: list[str] = []
    slow: Deferred[None] = Deferred()

    def ended(outcome: Outcome) -> Deferred[None]:
        told.append("end")
        return slow

    async with reloader(File(wanted)) as (_, one):
        one.on_begin += [lambda: told.append("begin"), lambda: 1 // 0]
        one.on_end += [ended, lambda outcome: 1 // 0]
        done = one.reload().addCallback(lambda _: told.append("told"))
        await until(lambda: told == ["begin", "end"])
        slow.callback(None)
        await done
        assert told == ["begin", "end", "told"]
    assert {fault["log_failure"].type for fault in log.flush_faults()} == {ZeroDivisionError}


@ensureDeferred
async def test_who_does_not_end_is_not_waited_for_for_ever() -> None:
    reactor = Full()
    reactor.is_full = False
    async with daemon_of(says(TEXT), reactor=reactor) as daemon:
        one = Reloader(daemon, File(settings(says(TEXT))).load)
        told: list[Outcome] = []
        one.on_end += [told.append, lambda _: Deferred()]
        for number in (1, 2):
            done = one.reload()
            await until(lambda number=number: len(told) == number)  # type: ignore[misc]
            assert not done.called
            reactor.clock.advance(TOLD_SECONDS)
            assert await done == told[-1]


@ensureDeferred
async def test_a_daemon_that_stops_is_not_reloaded_any_more() -> None:
    gate = threading.Event()
    file = File(settings(says(TEXT, name="second")), gate=gate)
    async with reloader(file) as (daemon, one):
        done = one.reload()
        await daemon.stopService()
        gate.set()
        assert (await done).reasons == ("the daemon stops",)
        assert (await one.reload()).reasons == ("the daemon stops",)
        assert (await one.reload(dry_run=True)).reasons == ("the daemon stops",)
        assert len(file.reads) == 1  # it might wait for a disk, and the stop for it
        assert [name.name for name, _ in daemon.instances] == ["says"]


@ensureDeferred
async def test_tls_files_are_read_in_the_thread_and_not_again(
    tls_files: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[threading.Thread] = []
    read: Callable[..., Any] = certificate.load

    def load(terms: Any) -> Any:
        reads.append(threading.current_thread())
        return read(terms)

    monkeypatch.setattr(certificate, "load", load)
    monkeypatch.setattr("sockd.daemon.reload.load", load)
    certificate_file, key, _ = tls_files
    secure = f"tls:0:privateKey={key}:certKey={certificate_file}:{LOOPBACK}"
    async with reloader(File(settings(says(TEXT, secure)))) as (_, one):
        assert (await one.reload()).ok
        assert len(reads) == 1
        assert reads[0] is not threading.main_thread()
