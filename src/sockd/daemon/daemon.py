"""The container of all instances: starts them together or not at all, and stops them."""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, gatherResults

from sockd import __version__, events
from sockd.access.reasons import because
from sockd.config.settings import InstanceSettings, Settings
from sockd.daemon.instance import InstanceError, Preparation, RunningInstance, make_instance
from sockd.daemon.plan import Identity, InstancePlan, Plan, plan, shares_port
from sockd.listen.inherited import Inherited, inheritance
from sockd.listen.listen import Listen
from sockd.listen.runtime import give_runtime_directory
from sockd.listen.socket_terms import Taken
from sockd.net.certificate import Certificate, Look
from sockd.net.context import World
from sockd.net.listener import Listener
from sockd.net.names import Names
from sockd.net.stream_listener import StreamListener
from sockd.net.waiting import within
from sockd.options.runtime import runtime_directory

HURRY_SECONDS = 1.0
"""Of the time that a stop may take, what is left for those that are cut off."""


class StartError(Exception):
    """The daemon cannot start: a line for each reason."""


class Daemon(Service):
    """All instances of a configuration."""

    def __init__(self, settings: Settings, world: World) -> None:
        self.settings = settings
        self.world = world
        self.is_stopping = False
        self.why_final = ""
        """Why nothing of it changes any more; empty while it can be changed."""
        self.unclaimed: list[str] = []
        """Names of sockets of the last daemon's that nobody wants any more: they have ended."""
        self.was_signalled = False
        """Whether a signal has asked it to stop."""
        self._is_ending = False
        self._running: dict[str, RunningInstance] = {}
        self._draining: dict[RunningInstance, Deferred[Any]] = {}

    def privilegedStartService(self) -> None:
        """Bind everything. Raises StartError with every failure, and then nothing is bound."""
        super().privilegedStartService()
        self.apply(plan(None, self.settings))

    def hand_over(self, uid: int, gid: int, also: str = "") -> None:
        """Make socket files this user's, who the process is to become and who removes them.

        `also` is a socket file of the daemon's that is no service's.
        """
        directory = runtime_directory(os.environ, os.getuid())
        listeners = [one for _, running in self.instances for one in running.listeners]
        for listener in listeners:
            listener.give(uid, gid)
        # a reload is to find it where this start did, whoever it is by then
        os.environ["RUNTIME_DIRECTORY"] = directory
        paths = [*(one.listen.path for one in listeners), also]
        if any(str(Path(path).parent) == directory for path in paths):
            give_runtime_directory(directory, 0, uid, gid)

    def apply(self, plan: Plan) -> None:
        """Do what a plan says: all of it, or nothing and StartError with a line for each reason."""
        self.check_changeable()
        steps = [self._step(part) for part in plan.steps("keep", "change", "add")]
        going = self._going(plan)
        handed_over = {
            new: taken
            for new, old in plan.moves.items()
            if (taken := going[old].to_take_over) is not None
        }
        inherited = self._inherited(plan, handed_over)
        handed_over |= {identity: Taken(one.sock, one.file) for identity, one in inherited.items()}
        unclaimed = [one for one in self.world.inherited.lasts if one not in inherited.values()]
        moved = set(plan.moves.values())
        left = [old for identity, old in going.items() if identity not in moved]
        in_the_way = partial(_in_the_way, [*left, *self.leaving])

        def beside(listen: Listen) -> list[socket.socket]:
            sockets = [one.bound_socket for one in in_the_way(listen)]
            sockets += [one.sock for one in unclaimed if shares_port(one.address, listen)]
            return [sock for sock in sockets if sock is not None]

        _get_ready(steps, [*left, *unclaimed], handed_over, beside)
        for step in steps:
            for listener in step.listeners.values():
                for old in in_the_way(listener.listen):
                    old.is_followed = True
        self._switch(plan, steps, going)
        self._settle_inheritance(inherited)

    def check_changeable(self) -> None:
        """Raise StartError where it ends: what would come now would be nobody's."""
        if self.why_final:
            raise StartError(self.why_final)

    def _inherited(
        self, plan: Plan, handed_over: Mapping[Identity, Taken]
    ) -> dict[Identity, Inherited]:
        """Sockets that were there before this process, for addresses that nobody hands over."""
        found = {}
        for part in plan.instances:
            for identity, listen in part.addresses.add.items():
                one = self.world.inherited.find(identity.instance, identity.nth, listen)
                if one is not None and identity not in handed_over:
                    found[identity] = one
        return found

    def _settle_inheritance(self, found: Mapping[Identity, Inherited]) -> None:
        taken = []
        for identity, one in found.items():
            listener = self._running[identity.instance].by_identity[identity]
            if listener.has_taken_over:  # else it cannot be as it is wanted, and is bound later
                listener.inherit(one.file, is_managers=one.kept is None)
                taken.append(one)
        self.unclaimed += self.world.inherited.end_rest(taken)

    @property
    def leaving(self) -> list[Listener]:
        """Addresses that were let go of by an earlier plan, and are not closed yet."""
        instances = (*self._running.values(), *self._draining)
        return [listener for instance in instances for listener in instance.leaving]

    def _step(self, part: InstancePlan) -> Preparation:
        if part.step == "add":
            return Preparation(make_instance(part.settings, self.world), part)
        return Preparation(self._running[part.name], part)

    def _going(self, plan: Plan) -> dict[Identity, Listener]:
        """The listeners that a plan lets go of."""
        return {
            identity: self._running[part.name].by_identity[identity]
            for part in plan.instances
            for identity in part.addresses.drain
        }

    def _switch(
        self, plan: Plan, steps: Sequence[Preparation], going: Mapping[Identity, Listener]
    ) -> None:
        """Have the new hold. All of it is there: nothing here fails."""
        new = {
            identity: listener for step in steps for identity, listener in step.listeners.items()
        }
        for identity, old in plan.moves.items():
            if new[identity].has_taken_over:
                new[identity].take_over(going[old])
        for part in plan.steps("drain"):
            self._drain(self._running[part.name])
        for step in steps:
            step.switch()
        settings = plan.settings
        every = {**self._running, **{step.plan.name: step.instance for step in steps}}
        self._running = {instance.name: every[instance.name] for instance in settings.instances}
        self.settings = settings
        if self.world.certificate_check != settings.daemon.certificate_check:
            self.world.certificate_check = settings.daemon.certificate_check
            for certificate in self._certificates():
                certificate.watch()

    def _drain(self, instance: RunningInstance) -> None:
        """Have an instance end that is no longer wanted."""
        ended = instance.drain(because("service_removed"))
        if not ended.called:
            self._draining[instance] = ended
            ended.addCallback(partial(self._has_ended, instance))

    def _has_ended(self, instance: RunningInstance, _: Any) -> None:
        del self._draining[instance]

    def startService(self) -> None:
        """Serve."""
        for warning in self.settings.warnings:
            reason = because("configuration", detail=warning)
            events.warn("warning", service="sockd", reason=reason)
        super().startService()
        reactor = self.world.reactor
        # what the reactor handles signals with when it begins to run
        for name in ("sigInt", "sigBreak", "sigTerm"):
            setattr(reactor, name, partial(self._asked_to_stop, getattr(reactor, name)))
        # not before: whoever reads it may send a signal, which the running reactor handles
        reactor.callWhenRunning(self._report_start)

    def _report_start(self) -> None:
        events.emit(
            "started",
            version=__version__,
            services=self.count,
            reactor=type(self.world.reactor).__name__,
        )

    def _asked_to_stop(self, stop: Callable[[int, Any], object], number: int, frame: Any) -> None:
        """A signal: the first stops the reactor, to which a second stop would be an error."""
        is_ending, self._is_ending, self.was_signalled = self._is_ending, True, True
        if is_ending:
            self.world.reactor.callFromThread(self.hurry)
        else:
            # not here: it logs, and what is interrupted may be writing to the log
            self.world.reactor.callFromThread(stop, number, frame)

    def end(self) -> None:
        """Stop the reactor, unless a signal has done so."""
        if not self._is_ending:
            self._is_ending = True
            self.world.reactor.stop()

    def hurry(self) -> None:
        """Do not wait for connections to end."""
        for instance in (*self._running.values(), *self._draining):
            instance.hurry()

    def stopService(self) -> Deferred[Any]:
        """Stop every instance; fires when all of them have, and after `stop_timeout` at the latest.

        One second before that is over nobody is waited for any more.
        """
        super().stopService()
        self.is_stopping, self.why_final = True, "the daemon stops"
        for instance in tuple(self._draining):  # one that waits for nobody else ends at once
            instance.hasten()
            instance.guard.stop_sessions(because("daemon_stops"))  # of who was let in last
        stopped = [instance.stop() for instance in self._running.values()]
        every: Deferred[Any] = DeferredList([*stopped, *self._draining.values()])
        limit, clock = self.settings.daemon.stop_timeout, self.world.reactor
        if not every.called:
            cut = clock.callLater(max(0.0, limit - HURRY_SECONDS), self.hurry)
            every.addCallback(lambda _: cut.cancel() if cut.active() else None)
        return within(limit, every, clock).addCallback(lambda _: events.emit("stopped"))

    @property
    def count(self) -> events.Services:
        """How many services it runs."""
        return events.Services(len(self.settings.instances))

    @property
    def instances(self) -> tuple[tuple[InstanceSettings, RunningInstance], ...]:
        """What runs, in the order of the configuration: settings and instance of each."""
        return tuple((instance.settings, instance) for instance in self._running.values())

    @property
    def draining(self) -> tuple[RunningInstance, ...]:
        """What is no longer wanted, and has connections that have not ended yet."""
        return tuple(self._draining)

    def _certificates(self) -> list[Certificate]:
        return [
            listener.certificate
            for instance in self._running.values()
            for listener in instance.listeners
            if isinstance(listener, StreamListener) and listener.certificate is not None
        ]

    def check_certificates(self) -> Deferred[Counter[Look]]:
        """Look at every certificate now, and tell what came of it, where there are any.

        Fires with how many there are of each.
        """
        looks = [certificate.look() for certificate in self._certificates()]
        return gatherResults(looks).addCallback(_report_looks)


def _report_looks(looks: Sequence[Look]) -> Counter[Look]:
    found = Counter(looks)
    if looks:
        events.emit(
            "certificates",
            looked_at=len(looks),
            changed=found["changed"],
            unusable=found["unusable"],
        )
    return found


def _in_the_way(going: Iterable[Listener], listen: Listen) -> list[Listener]:
    """Which of the listeners that go share their port with an address that comes."""
    return [
        old
        for old in going
        # what another has of it is no longer its own to give up
        if not old.is_handed_over and shares_port(old.listen.address, listen)
    ]


def _get_ready(
    steps: Sequence[Preparation],
    left: Sequence[Listener | Inherited],
    handed_over: Mapping[Identity, Taken],
    beside: Callable[[Listen], Sequence[socket.socket]],
) -> None:
    """Have every step ready to be switched to, or all as it was. Raises StartError.

    `left` are those that go and hand nothing over: listeners, and the last daemon's sockets.
    """
    aside: list[Listener | Inherited] = []
    try:
        failures = _failures(steps, lambda step: step.prepare(handed_over, beside))
        if not failures:
            aside += [old for old in left if any(step.takes_name(old.path) for step in steps)]
            for old in aside:
                old.step_aside()
            failures = _failures(steps, Preparation.prepare_last)
        failures = failures or _failures(steps, Preparation.commit)
        if failures:
            raise StartError("\n".join(failures))
    except BaseException:
        for step in steps:
            step.undo()
        for old in aside:
            old.step_back()
        raise


def _failures(steps: Sequence[Preparation], take: Callable[[Preparation], object]) -> list[str]:
    """What goes wrong when each of the steps is taken, as `NAME: REASON`."""
    failures = []
    for step in steps:
        try:
            take(step)
        except InstanceError as error:
            failures += [f"{step.plan.name}: {reason}" for reason in error.reasons]
    return failures


def make_daemon(settings: Settings, reactor: Any) -> Daemon:
    """The whole daemon on a reactor, nothing bound yet."""
    return Daemon(settings, make_world(settings, reactor))


def make_world(settings: Settings, reactor: Any, *, gives_up_root: bool = False) -> World:
    """The world of a daemon: this host, on a reactor."""
    use_monotonic_time(reactor)
    return World(
        reactor=reactor,
        wall=time.time,
        random=SystemRandom(),
        names=Names(reactor, reactor),
        hostname=socket.gethostname(),
        certificate_check=settings.daemon.certificate_check,
        gives_up_root=gives_up_root,
        inherited=inheritance(),
    )


def use_monotonic_time(reactor: Any) -> None:
    """Have the reactor's timers count seconds that no clock setting moves.

    Twisted's reactors count on the time of day: an hour forward fires all timers, an hour back
    stops them.
    """
    reactor.seconds = time.monotonic
