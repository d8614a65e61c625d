"""One instance of a service: its listeners, and what its connections share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from socket import socket
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred, succeed
from twisted.python.failure import Failure

from sockd import events
from sockd.access.guard import Guard, Session
from sockd.access.reasons import Reason, because
from sockd.config.settings import InstanceSettings
from sockd.daemon.plan import Addresses, Identity, InstancePlan, identities
from sockd.listen.listen import Listen
from sockd.listen.socket_terms import Taken
from sockd.listen.sockets import ListenError, failures
from sockd.net.context import Context, World
from sockd.net.datagram_listener import DatagramListener
from sockd.net.listener import Listener
from sockd.net.stream_listener import StreamListener
from sockd.service import Kept, Kind


class RunningInstance:
    """One `[service.NAME]`: its listeners, its guard, and what new connections get."""

    def __init__(self, settings: InstanceSettings, world: World) -> None:
        self.settings = settings
        self.guard = Guard(settings.name, settings.limits, world.reactor, world.state)
        self.context: Context[Any, Any] = Context(
            settings.name, settings.options, self.guard, world
        )
        self.by_identity: dict[Identity, Listener] = {}
        self._drained: set[Listener] = set()
        self._ending: set[Deferred[Any]] = set()

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Its addresses, in the order of the configuration."""
        return tuple(self.by_identity.values())

    def start(self) -> None:
        """Listen on every address. Raises InstanceError; nothing is left then."""
        new = Addresses(add=identities(self.settings))
        step = Preparation(self, InstancePlan("add", None, self.settings, new))
        try:
            step.prepare({}, lambda _: ())
            step.commit()
        except InstanceError:
            step.undo()
            raise
        step.switch()

    def stop(self, reason: Reason = because("daemon_stops")) -> Deferred[Any]:  # noqa: B008
        """Listen no more, let connections end, cut off those that do not within `drain`."""
        closing = [maybeDeferred(listener.close) for listener in self.listeners]
        self.hasten()
        return self._end(closing, self.guard.stop_sessions(reason), reason)

    def drain(self, reason: Reason) -> Deferred[Any]:
        """The same, and who waits at the addresses is let in, and served for as long as that."""
        ended = self.guard.stop_sessions(reason)  # of those that are here, before others come
        closing = [self.drain_listener(listener) for listener in self.listeners]
        return self._end(closing, ended, reason)

    @property
    def leaving(self) -> tuple[Listener, ...]:
        """The listeners that were let go of, and are not closed yet."""
        return tuple(self._drained)

    def drain_listener(self, listener: Listener) -> Deferred[Any]:
        """Let go of an address, after who waits there is let in, and has an answer."""
        closed = maybeDeferred(listener.drain).addErrback(self._drain_failed, listener)
        if not closed.called:
            self._drained.add(listener)
            self.ends_with(closed)
            closed.addBoth(lambda _: self._drained.discard(listener))
        return closed

    def _drain_failed(self, failure: Failure, listener: Listener) -> Deferred[Any]:
        """Nobody is to come to it all the same, and the rest of a change goes on."""
        _tell(self.context.name, "switch_fault", failure)
        return maybeDeferred(listener.close)

    def contain(self, call: Callable[..., object], *args: object) -> None:
        """Call in the midst of a change, where there is no way back: whatever a service raises,
        the rest of the change is made."""
        try:
            call(*args)
        except Exception:  # noqa: BLE001 - foreign code
            _tell(self.context.name, "switch_fault", Failure())

    def ends_with(self, ended: Deferred[Any]) -> None:
        """Have the instance not count as stopped before this has fired."""
        if not ended.called:
            self._ending.add(ended)
            ended.addBoth(self._has_ended, ended)

    def hasten(self) -> None:
        """Wait for nobody who is on the way to an address that was let go of."""
        for listener in self.leaving:
            listener.hasten()

    def hurry(self) -> None:
        """Wait neither for connections to end nor for answers."""
        self._cut(because("daemon_stops"))

    def _cut(self, reason: Reason) -> None:
        self.guard.abort_all(reason)
        for listener in self.leaving:
            listener.close()

    def _has_ended(self, result: Any, ended: Deferred[Any]) -> Any:
        self._ending.discard(ended)
        return result

    def _end(
        self, closing: Sequence[Deferred[Any]], ended: Deferred[None], reason: Reason
    ) -> Deferred[Any]:
        guard = self.guard
        every: Deferred[Any] = DeferredList([*closing, *self._ending, ended])
        every.addCallback(lambda _: guard.when_ended(guard.sessions))  # who came in meanwhile
        if not every.called or guard.sessions:
            cut = self.context.clock.callLater(guard.limits.drain, self._cut, reason)
            every.addCallback(lambda _: cut.cancel() if cut.active() else None)
        over: Deferred[Any] = Deferred()  # `every` may have fired, and wait in its midst
        every.addCallback(self._let_go).addCallback(over.callback)
        return over

    def _let_go(self, _: Any) -> Deferred[Any]:
        self.guard.stop()
        return stop_shared(self.context)


class InstanceError(Exception):
    """Why an instance cannot be had as it is wanted: a sentence for each reason."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = tuple(reasons)


@define(eq=False)
class Preparation:
    """What a plan does with one instance, got ready. Nothing is different before `switch`.

    `prepare` and `commit` raise InstanceError with every reason; then `undo` is to be called, which
    leaves all as it was. `switch` does not fail.
    """

    instance: RunningInstance
    plan: InstancePlan
    listeners: dict[Identity, Listener] = field(init=False, factory=dict)
    """The new ones."""
    _context: Context[Any, Any] | None = field(init=False, default=None)
    _changes: list[Callable[[], None]] = field(init=False, factory=list)
    _last: list[tuple[Listener, Sequence[socket]]] = field(init=False, factory=list)
    """Those that are bound when all else is there, with the sockets that they are beside."""

    def prepare(
        self,
        handed_over: Mapping[Identity, Taken],
        beside: Callable[[Listen], Sequence[socket]],
    ) -> None:
        """Make what is shared, bind new addresses, load what changed terms need.

        `handed_over` has the sockets of addresses that another listener had; `beside` finds those
        that are to go once a new address is bound.
        """
        if self.plan.step == "add" or self.plan.has_new_options:
            self._context = self._make_context()
        context = self._context or self.instance.context
        settings = self.plan.settings
        errors = []
        addresses = self.plan.addresses
        lost = self._lost({**addresses.keep, **addresses.change})
        for identity, listen in {**addresses.add, **lost}.items():
            listener = make_listener(context, settings.kind, listen, settings.limits.required)
            self.listeners[identity] = listener
            near = beside(listen)
            is_new = identity not in handed_over
            if near and is_new and (listen.path or listen.address.binding == "udp"):
                # as soon as it is bound it takes from a wildcard what comes to its address, or
                # from another its name
                self._last.append((listener, near))
                continue
            try:
                listener.prepare(handed_over.get(identity), near)
            except ListenError as error:
                errors.append(error)
        for identity, listen in addresses.change.items():
            if identity in lost:
                continue
            try:
                self._changes.append(self.instance.by_identity[identity].change(listen))
            except ListenError as error:
                errors.append(error)
        if errors:
            raise InstanceError(failures(errors))

    def takes_name(self, path: str) -> bool:
        """Whether an address of it has the socket file of another kind of socket that goes."""
        return bool(path) and any(new.listen.path == path for new, _ in self._last)

    def prepare_last(self) -> None:
        """Bind what would take from others what comes to them: now all else is there."""
        errors = []
        for listener, near in self._last:
            try:
                listener.prepare(None, near)
            except ListenError as error:
                errors.append(error)
        if errors:
            raise InstanceError(failures(errors))

    def _lost(self, stay: Mapping[Identity, Listen]) -> dict[Identity, Listen]:
        """Those of the addresses that stay which are to be bound now: what was skipped has no
        other chance, and what is required now may not wait for the next try."""
        before, after = self.plan.before, self.plan.settings
        is_new = before is not None and after.limits.required and not before.limits.required
        old = self.instance.by_identity
        return {
            identity: listen
            for identity, listen in stay.items()
            if (old[identity].bound_socket is None and (is_new or not old[identity].is_tried_again))
            or old[identity].has_lost_file
        }

    def commit(self) -> None:
        """Begin to accept at the new addresses."""
        errors = []
        for listener in self.listeners.values():
            try:
                listener.commit()
            except ListenError as error:
                errors.append(error)
        if errors:
            raise InstanceError(failures(errors))

    def undo(self) -> None:
        """Let go of all that is new."""
        for listener in self.listeners.values():
            listener.close()
        if self._context is not None and not self._is_kept:
            stop_shared(self._context)

    @property
    def _is_kept(self) -> bool:
        """Whether what connections share stays."""
        return (
            self._context is not None
            and self._context is not self.instance.context  # which is all new, where it is added
            and self._context.shared is not None
            and self._context.shared is self.instance.context.shared
        )

    def switch(self) -> None:
        """Have all that is new hold from now on, and let go of the old."""
        instance, plan = self.instance, self.plan
        instance.settings = settings = plan.settings
        if plan.has_new_limits:
            instance.guard.apply(settings.limits)
        for change in self._changes:
            change()
        old = instance.by_identity
        replaced = [identity for identity in self.listeners if identity in old]
        going = dict.fromkeys([*plan.addresses.drain, *replaced])
        closing = [instance.drain_listener(old[identity]) for identity in going]
        for identity, listen in plan.addresses.keep.items():
            old[identity].listen = listen  # it may be written otherwise
        every = {**old, **self.listeners}
        instance.by_identity = {identity: every[identity] for identity in identities(settings)}
        if self._context is not None and self._context is not instance.context:
            self._use_context(self._context, closing)
        if plan.has_new_limits:
            for listener in instance.listeners:
                listener.limits_changed()

    def _make_context(self) -> Context[Any, Any]:
        """The context of new connections, with what they share."""
        context, settings = self.instance.context, self.plan.settings
        if self.plan.step != "add":
            shared = context.shared
            context = Context(settings.name, settings.options, context.guard, context.world)
            if isinstance(shared, Kept):
                context.shared = shared
                return context
        if settings.kind.shared is not None:
            try:
                context.shared = settings.kind.shared(context)
            except (OSError, ValueError) as error:
                raise InstanceError([str(error)]) from None
            except Exception as error:  # foreign code: whatever it raises
                raise InstanceError([f"{type(error).__name__}: {error}"]) from error
        return context

    def _use_context(self, context: Context[Any, Any], closing: Sequence[Deferred[Any]]) -> None:
        """Have new connections get it; what is shared with older ones stops when they have ended.

        A reply by datagram that is still awaited is sent by what was asked for it: what it shares
        is there until then, for as long as `drain`.
        """
        instance = self.instance
        is_kept, guard = self._is_kept, instance.guard
        old, instance.context = instance.context, context
        if is_kept:
            instance.contain(context.shared.use, context)
        waited: list[Deferred[Any]] = []
        for identity, listener in instance.by_identity.items():
            if identity not in self.listeners:  # these were made with it
                waited.append(listener.when_answered())
                instance.contain(listener.use, context)
        if not is_kept:
            ended: Deferred[Any] = DeferredList([*waited, *closing])
            # not before: until then others come with it by the addresses that close
            ended.addCallback(lambda _: guard.when_ended(_with(old, guard)))
            instance.ends_with(ended.addCallback(lambda _: stop_shared(old)))


def _with(context: Context[Any, Any], guard: Guard) -> list[Session]:
    """The connections that have this context."""
    return [session for session in guard.sessions if session.context is context]


def stop_shared(context: Context[Any, Any]) -> Deferred[Any]:
    """Have what connections shared let go of all; fires when it has. What fails there is told."""
    if context.shared is None:
        return succeed(None)
    stopped: Deferred[Any] = maybeDeferred(context.shared.stop)
    return stopped.addErrback(partial(_tell, context.name, "shared_left"))


def _tell(service: str, reason: str, failure: Failure) -> None:
    detail = f"{type(failure.value).__name__}: {failure.getErrorMessage()}"
    events.warn("warning", service=service, reason=because(reason, detail=detail))


def make_listener(
    context: Context[Any, Any], kind: Kind, listen: Listen, is_required: bool = True
) -> Listener:
    """The listener of an address. The configuration has checked that the kind serves it."""
    door = kind.door(listen.role)
    if listen.transport == "multicast" and door.sender is not None:
        return DatagramListener(context, listen, is_required, door.sender)
    if listen.address.is_datagram and door.datagram is not None:
        return DatagramListener(context, listen, is_required, door.datagram)
    if not listen.address.is_datagram and door.stream is not None:
        return StreamListener(context, listen, is_required, door.stream)
    raise ValueError(f"{context.name} does not work over {listen.transport}")


def make_instance(settings: InstanceSettings, world: World) -> RunningInstance:
    """One instance, nothing bound yet."""
    return RunningInstance(settings, world)
