"""What is to be done to get from one configuration to another: decided here, done elsewhere.

A plan is a value. A start is the plan from nothing, a reload one from what runs to what is wanted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

import attrs
from attrs import Factory, evolve, field, frozen

from sockd.config.settings import DaemonSettings, InstanceSettings, Settings
from sockd.listen.address import Address
from sockd.listen.listen import Listen

T = TypeVar("T")

Values = tuple[Any, Any]
"""What a setting was, and what it is from now on."""

Step = Literal["keep", "change", "add", "drain"]
"""What happens to an instance. One whose kind changes is drained, and another is added."""


@frozen
class Identity:
    """What makes a listener the same one, whatever else changes of it."""

    instance: str
    role: str
    address: Address
    nth: int = 0
    """Which of several at an address that can be had more than once, such as port 0."""


@frozen
class Addresses:
    """What happens to the addresses of an instance."""

    keep: Mapping[Identity, Listen] = Factory(dict)
    change: Mapping[Identity, Listen] = Factory(dict)
    """Their terms: the socket stays."""
    add: Mapping[Identity, Listen] = Factory(dict)
    drain: Mapping[Identity, Listen] = Factory(dict)


@frozen
class InstancePlan:
    """What happens to an instance, which is not there `before` or not there `after`."""

    step: Step
    before: InstanceSettings | None
    after: InstanceSettings | None
    addresses: Addresses
    has_new_limits: bool = False
    """Limits change for all its connections at once."""
    has_new_options: bool = False
    """New connections get other options, and what goes with them."""
    changed: Mapping[str, Values] = field(factory=dict)
    """The limits and options that change, by their names."""

    @property
    def settings(self) -> InstanceSettings:
        """What it has in the end; what it had, if it goes."""
        settings = self.after or self.before
        assert settings is not None
        return settings

    @property
    def name(self) -> str:
        """The instance's."""
        return self.settings.name


@frozen
class Plan:
    """All that happens."""

    daemon: DaemonSettings
    warnings: tuple[str, ...]
    instances: tuple[InstancePlan, ...]
    """Those that there will be, in their order; then those that go."""
    moves: Mapping[Identity, Identity] = field(factory=dict)
    """Of addresses that are added, those whose socket another one hands over that goes."""
    changed: Mapping[str, Values] = field(factory=dict)
    """The daemon's own settings that change, by their names."""
    restart: tuple[str, ...] = ()
    """Settings that only a restart changes, as `sockd.log_format`: they stay as they were."""
    disabled: tuple[InstanceSettings, ...] = ()
    """Instances that the configuration has, and that are not to run."""
    files: tuple[str, ...] = ()
    """The files that the new configuration was read from."""

    def steps(self, *steps: Step) -> tuple[InstancePlan, ...]:
        """The instances that these steps are taken with."""
        return tuple(instance for instance in self.instances if instance.step in steps)

    @property
    def settings(self) -> Settings:
        """What holds in the end."""
        after = (instance.after for instance in self.instances)
        return Settings(
            self.daemon,
            tuple(instance for instance in after if instance),
            self.warnings,
            self.files,
            disabled=self.disabled,
        )


def plan(old: Settings | None, new: Settings) -> Plan:
    """What gets from the old settings, or from nothing, to the new ones."""
    restart: list[str] = []
    before = {instance.name: instance for instance in old.instances} if old else {}
    daemon = _held_back(old.daemon, new.daemon, "sockd", restart) if old else new.daemon
    instances: list[InstancePlan] = []
    drained: list[InstancePlan] = []
    for after in new.instances:
        had = before.pop(after.name, None)
        if had is not None and had.kind is after.kind:
            instances.append(_changed(had, after, restart))
            continue
        instances.append(InstancePlan("add", None, after, Addresses(add=identities(after))))
        if had is not None:
            drained.append(_drained(had))
    drained += [_drained(had) for had in before.values()]
    every = (*instances, *drained)
    changed = _values(old.daemon, daemon) if old else {}
    return Plan(
        daemon,
        new.warnings,
        every,
        _moves(every),
        changed,
        tuple(restart),
        new.disabled,
        new.files,
    )


def identities(settings: InstanceSettings) -> dict[Identity, Listen]:
    """The addresses of an instance, each with what makes it the same one later."""
    seen: Counter[tuple[str, Address]] = Counter()
    found = {}
    for listen in settings.listen:
        place = (listen.role, listen.address)
        found[Identity(settings.name, *place, seen[place])] = listen
        seen[place] += 1
    return found


def shares_port(old: Address, listen: Listen) -> bool:
    """Whether an address that goes stands in the way of one that comes."""
    new = listen.address
    if new.path or old.path:
        return new.path == old.path  # a file is a file, whatever comes there
    return new.is_taken_alone and (old.binding, old.port) == (new.binding, new.port)


def _drained(settings: InstanceSettings) -> InstancePlan:
    return InstancePlan("drain", settings, None, Addresses(drain=identities(settings)))


def _changed(before: InstanceSettings, after: InstanceSettings, restart: list[str]) -> InstancePlan:
    """What happens to an instance that was there and stays."""
    path = f"service.{after.name}"
    after = evolve(
        after,
        limits=_held_back(before.limits, after.limits, path, restart),
        options=_held_back(before.options, after.options, path, restart),
    )
    differing = [
        *_differing(before.limits, after.limits),
        *_differing(before.options, after.options),
    ]
    binds_anew = any(_when(field) == "bind" for field in differing)
    addresses = _addresses(identities(before), identities(after), binds_anew)
    has_new_limits = before.limits != after.limits
    has_new_options = before.options != after.options
    stays = (
        not (has_new_limits or has_new_options or addresses.add or addresses.drain)
        and not addresses.change
    )
    step: Step = "keep" if stays else "change"
    changed = _values(before.limits, after.limits) | _values(before.options, after.options)
    return InstancePlan(step, before, after, addresses, has_new_limits, has_new_options, changed)


def _values(before: object, after: object) -> dict[str, Values]:
    names = [field.name for field in _differing(before, after)]
    return {name: (getattr(before, name), getattr(after, name)) for name in names}


def _addresses(
    old: Mapping[Identity, Listen], new: Mapping[Identity, Listen], binds_anew: bool
) -> Addresses:
    if binds_anew:
        return Addresses(add=new, drain=old)
    return Addresses(
        keep={
            address: new[address]
            for address in new
            if address in old and old[address] == new[address]
        },
        change={
            address: new[address]
            for address in new
            if address in old and old[address] != new[address]
        },
        add={address: new[address] for address in new if address not in old},
        drain={address: old[address] for address in old if address not in new},
    )


def _moves(instances: Sequence[InstancePlan]) -> dict[Identity, Identity]:
    """Who has an address that is bound anew, or that is always one socket, hands it over."""
    going = {old: old for instance in instances for old in instance.addresses.drain}
    coming = [new for instance in instances for new in instance.addresses.add]
    moves = {new: going.pop(new) for new in coming if new in going}
    free = {old.address: old for old in going if old.address.is_one_socket}
    for new in coming:
        if new not in moves and new.address in free:
            moves[new] = free.pop(new.address)
    return moves


def _when(option: attrs.Attribute[Any]) -> str:
    """When a change of an option holds: "now", "new connections", "bind" or "restart"."""
    return str(option.metadata.get("change", "new connections"))


def _differing(old: Any, new: Any) -> Iterator[attrs.Attribute[Any]]:
    """The fields in which two objects of one attrs class differ."""
    fields: Iterable[attrs.Attribute[Any]] = attrs.fields(type(new))
    return (field for field in fields if getattr(old, field.name) != getattr(new, field.name))


def _held_back(old: T, new: T, path: str, restart: list[str]) -> T:
    """The new object, with the old values of what only a restart changes."""
    held = [field.name for field in _differing(old, new) if _when(field) == "restart"]
    restart += [f"{path}.{name}" for name in held]
    return evolve(new, **{name: getattr(old, name) for name in held})  # type: ignore[misc]
