"""The same process becomes the code that is installed now, and goes on with its sockets.

What is bound stays bound, so who comes meanwhile waits in the kernel: connections in the queue of
their address, datagrams in its receive buffer. Connections that are open end as at a stop.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

from twisted.internet.defer import Deferred, DeferredList, fail
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from sockd import events
from sockd.config.document import ConfigError
from sockd.config.settings import Settings
from sockd.daemon.daemon import Daemon
from sockd.daemon.keeping import Keeping
from sockd.daemon.trial import try_new
from sockd.listen.inherited import inheritance
from sockd.listen.kept_names import PREFIX
from sockd.listen.sockets import FIRST_HANDED_OVER, handed_over
from sockd.net.leaving import ARRIVAL_SECONDS
from sockd.ops.manager import ServiceManager
from sockd.ops.restart import Restart
from sockd.ops.signals import REQUESTS, ignore

CHECK = "--check"
"""The option with which each command that runs a daemon only says whether it could."""
CHECK_SECONDS = 60.0
"""How long the new code may take to say that it can start: a loaded machine is slow, and whoever
asked for the upgrade waits."""
ANSWER_SECONDS = 0.1
"""Between the answer that it goes ahead and the end of all connections, that of who asked too."""
MOMENT_SECONDS = 0.5
"""How long those who have come already may take before the daemon begins to stop: most ask one
question. Who comes meanwhile waits."""
LOOK_SECONDS = 0.01
SAID = 2000
"""Characters of what the new code says where it cannot start."""
UNCHANGED = "not upgraded: the daemon goes on as it was"
OTHER_COMES = "another daemon takes the place of this one, and reads the configuration as it starts"
ENDING = (signal.SIGINT, signal.SIGTERM)
"""They end what begins, too. (What is ignored stays ignored, until it is handled.)"""


class UpgradeRefused(Exception):
    """Why there is no upgrade; all is as it was."""


class Upgrade:
    """Has a daemon end, and the process go on as another one."""

    def __init__(
        self,
        daemon: Daemon,
        keeping: Keeping,
        manager: ServiceManager,
        load: Callable[[], Settings],
    ) -> None:
        """`load` reads the configuration, in a thread. It raises ConfigError."""
        self._daemon = daemon
        self._load = load
        self._keeping = keeping
        self._manager = manager
        self.restart = Restart()
        self.is_going = False
        """Whether this daemon ends for another one."""
        self._is_begun = False
        self._trial: subprocess.Popen[bytes] | None = None

    def begin(self) -> Deferred[None]:
        """Find out whether what is installed now can start; if so, all else follows by itself.

        Fails with UpgradeRefused, and then all is as it was.
        """
        if self._is_begun:
            return fail(UpgradeRefused("an upgrade is going on already"))
        if why := self.restart.refusal():
            return fail(UpgradeRefused(why))
        self._is_begun = True
        reactor = self._daemon.world.reactor
        pool = reactor.getThreadPool()
        checked: Deferred[str] = deferToThreadPool(reactor, pool, self._why_not)
        return checked.addCallback(self._checked).addErrback(self._give_up)

    def stop(self) -> None:
        """The daemon stops, and the reactor waits for its threads: for none that waits for more."""
        if self._trial is not None:
            self._trial.kill()

    def _why_not(self) -> str:
        """In a thread: why it cannot be; empty where it can."""
        if why := check(self.restart, self._tries):
            return why
        try:
            wanted = self._load()
        except ConfigError:
            return ""  # the new code has taken it, which is what counts
        reasons = try_new(self._daemon.settings, wanted)
        return "\n".join([UNCHANGED, *reasons]) if reasons else ""

    def _tries(self, trial: subprocess.Popen[bytes]) -> None:
        """From the thread: this is the new code, which says whether it can start."""
        self._trial = trial
        if not self._daemon.running:
            trial.kill()

    def _checked(self, why: str) -> None:
        if why or not self._daemon.running:
            raise UpgradeRefused(why or "the daemon is being stopped")
        try:
            given = to_hand_over(self._keeping.sockets())
        except OSError as error:
            raise UpgradeRefused(f"sockets cannot be handed over: {error.strerror}") from None
        # what comes from now on is not handed over, and what goes is
        self._daemon.why_final = OTHER_COMES
        self._daemon.world.reactor.callLater(ANSWER_SECONDS, self._wait_for_arrivals, given)

    def _give_up(self, failure: Failure) -> Failure:
        self._is_begun = False
        return failure

    def _wait_for_arrivals(self, given: Sequence[tuple[str, int]]) -> None:
        """Let those in who are on the way to an address that the last reload has let go of: it is
        not handed over."""
        reactor = self._daemon.world.reactor
        until = reactor.seconds() + ARRIVAL_SECONDS

        def look() -> None:
            if self._daemon.running and self._daemon.leaving and reactor.seconds() < until:
                reactor.callLater(LOOK_SECONDS, look)
            else:
                self._settle(given)

        look()

    def _settle(self, given: Sequence[tuple[str, int]]) -> None:
        """Let nobody in any more, and give those who are in a moment to be answered."""
        if not self._daemon.running:
            self._end(given)
            return
        events.emit("upgrading")
        instances = [running for _, running in self._daemon.instances]
        listeners = [one for running in instances for one in running.listeners]
        for listener in listeners:
            if listener.port is not None:
                listener.port.stopReading()
        answered = DeferredList([listener.when_answered() for listener in listeners])
        reactor = self._daemon.world.reactor
        begun = reactor.seconds()

        def look() -> None:
            is_quiet = not any(running.guard.sessions for running in instances)
            if (is_quiet and answered.called) or reactor.seconds() - begun >= MOMENT_SECONDS:
                self._end(given)
            else:
                reactor.callLater(LOOK_SECONDS, look)

        look()

    def _end(self, given: Sequence[tuple[str, int]]) -> None:
        if not self._daemon.running:  # a signal was quicker
            for _, number in given:  # who came would wait at these for nobody
                os.close(number)
            return
        self.is_going = True
        self._manager.upgrades()
        self._keeping.leave([name for name, _ in given])
        reactor = self._daemon.world.reactor
        # after the log has been written
        reactor.addSystemEventTrigger("after", "shutdown", self._become, given)
        self._daemon.end()

    def _become(self, given: Sequence[tuple[str, int]]) -> None:
        for number in ENDING:  # what has come until now is handled by this call
            signal.signal(number, signal.SIG_DFL)
        if not self._daemon.was_signalled:
            become(self.restart, given)
        elif not self._manager.holds:
            inheritance(given).end_rest(())  # it is to end after all, and so are these


def to_hand_over(sockets: Mapping[str, socket.socket]) -> list[tuple[str, int]]:
    """Names and descriptors for the next daemon: the service manager's first, which are also known
    by their number. They stay when the sockets are closed. Raises OSError, and leaves nothing."""
    managers = [(name, number) for name, number in handed_over() if not name.startswith(PREFIX)]
    ours = [(name, sock.fileno()) for name, sock in sockets.items()]
    lowest = FIRST_HANDED_OVER + len(managers) + len(ours)
    found: list[tuple[str, int]] = []
    try:
        for name, number in (*managers, *ours):
            found.append((name, fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, lowest)))
    except OSError:
        for _, number in found:
            os.close(number)
        raise
    return found


def become(restart: Restart, given: Sequence[tuple[str, int]]) -> NoReturn:
    """Be what is installed now, or end: there is no way back, and a service manager knows one."""
    try:
        _become(restart, given)
    except OSError as error:
        with suppress(OSError, ValueError, AttributeError):
            sys.__stderr__.write(f"sockd: {restart.argv[0]}: {error.strerror}\n")  # type: ignore[union-attr]
            sys.__stderr__.flush()  # type: ignore[union-attr]
    os._exit(1)


def _become(restart: Restart, given: Sequence[tuple[str, int]]) -> NoReturn:
    """Every descriptor that is not handed over is closed by the kernel. Raises OSError."""
    os.chdir(restart.folder)
    restart.prepare()
    for place, (_, number) in enumerate(given):
        os.dup2(number, FIRST_HANDED_OVER + place, inheritable=True)
    environment = _without(restart.environment, "LISTEN_")
    if given:
        environment["LISTEN_PID"] = str(os.getpid())
        environment["LISTEN_FDS"] = str(len(given))
        environment["LISTEN_FDNAMES"] = ":".join(name for name, _ in given)
    ignore(*REQUESTS)  # they must not end what does not handle them yet
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os.execve(restart.argv[0], [*restart.argv], environment)


def check(
    restart: Restart, begun: Callable[[subprocess.Popen[bytes]], object] = lambda _: None
) -> str:
    """Why what is installed now does not start with this command; empty where it does.

    `begun` gets the process that finds it out, and may end it.
    """
    try:
        with subprocess.Popen(
            [*restart.argv, CHECK],
            env=_without(restart.environment, "LISTEN_", "NOTIFY_", "WATCHDOG_"),
            cwd=restart.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as trial:
            begun(trial)
            try:
                out, error = trial.communicate(timeout=CHECK_SECONDS)
            except subprocess.TimeoutExpired:
                trial.kill()
                return f"the new code has not said within {CHECK_SECONDS:.0f} s that it can start"
    except OSError as failure:
        return f"{restart.argv[0]}: {failure.strerror}"
    return "" if trial.returncode == 0 else _said(error or out, trial.returncode)


def _said(output: bytes, code: int) -> str:
    said = output.decode("utf-8", "backslashreplace").strip()
    if len(said) > SAID:  # the end says what has happened
        said = said[-SAID:].partition("\n")[2]
    if not said:
        return f"the new code ends with {code} and says nothing"
    return f"{UNCHANGED}\n{said.removeprefix('sockd: ')}"


def _without(environment: Mapping[str, str], *prefixes: str) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(prefixes)}
