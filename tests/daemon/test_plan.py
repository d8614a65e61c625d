"""What gets from one configuration to another: every address once, and nothing that need not be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve, field, frozen
from hypothesis import given
from hypothesis import strategies as st

from sockd.config.settings import DaemonSettings, InstanceSettings, Settings
from sockd.daemon.plan import Identity, InstancePlan, Plan, identities, plan
from sockd.listen.listen import Listen
from sockd.listen.strings import parse
from sockd.service import Kind
from sockd.services.echo import EchoStream
from tests.helpers import make_settings


def row(change: str | None) -> Any:
    """An option that says when a change of it holds, or says nothing."""
    metadata = {"help": "a number"} | ({"change": change} if change else {})
    return field(default=1, kw_only=True, metadata=metadata)


@frozen
class Choices:
    """Options whose change holds now, for new connections, by binding anew, after a restart."""

    now: int = row("now")
    later: int = row(None)
    bind: int = row("bind")
    restart: int = row("restart")


CHOOSY = Kind(name="choosy", doc="Choosy.", stream=EchoStream, options=Choices)
OTHER = Kind(name="other", doc="Other.", stream=EchoStream, options=Choices)


def one(*listen: str, name: str = "choosy", kind: Kind = CHOOSY, **table: Any) -> InstanceSettings:
    """An instance with these addresses."""
    made = make_settings(kind, list(listen) or ["tcp:7:interface=127.0.0.1"], **table)
    return evolve(made, name=name)


def settings(*instances: InstanceSettings) -> Settings:
    return Settings(DaemonSettings(), instances)


def planned(before: InstanceSettings, after: InstanceSettings) -> InstancePlan:
    [found] = plan(settings(before), settings(after)).instances
    return found


def ports(addresses: Any) -> list[int]:
    return [identity.address.port for identity in addresses]


def test_a_start_is_a_plan_from_nothing() -> None:
    wanted = settings(one("tcp:7", "tcp:8"), one("tcp:9", name="second"))
    found = plan(None, wanted)
    assert [(part.name, part.step) for part in found.instances] == [
        ("choosy", "add"),
        ("second", "add"),
    ]
    assert [ports(part.addresses.add) for part in found.instances] == [[7, 8], [9]]
    assert found.settings == wanted
    assert (found.moves, found.restart) == ({}, ())


def test_what_is_written_otherwise_and_means_the_same_is_kept() -> None:
    part = planned(one("tcp:7"), one("tcp:port=7:interface=0.0.0.0"))
    assert part.step == "keep"
    assert ports(part.addresses.keep) == [7]


def test_an_address_whose_terms_differ_is_changed_and_its_neighbour_kept() -> None:
    part = planned(one("tcp:7", "tcp:8"), one("tcp:7:backlog=5", "tcp:8"))
    assert part.step == "change"
    assert (ports(part.addresses.change), ports(part.addresses.keep)) == ([7], [8])
    [listen] = part.addresses.change.values()
    assert listen.terms.backlog == 5
    assert not part.has_new_limits
    assert not part.has_new_options


def test_addresses_come_and_go_alone() -> None:
    part = planned(one("tcp:7", "tcp:8"), one("tcp:8", "tcp:9"))
    addresses = part.addresses
    found = (addresses.keep, addresses.add, addresses.drain, addresses.change)
    assert [ports(each) for each in found] == [[8], [9], [7], []]


def test_limits_change_without_an_address_and_so_do_options() -> None:
    part = planned(one(), one(max_connections=5))
    assert (part.step, part.has_new_limits, part.has_new_options) == ("change", True, False)
    part = planned(one(), one(later=2))
    assert (part.step, part.has_new_limits, part.has_new_options) == ("change", False, True)
    assert ports(part.addresses.keep) == [7]


def test_an_option_that_needs_a_bind_has_every_address_bound_anew() -> None:
    found = plan(settings(one("tcp:7", "tcp:8")), settings(one("tcp:7", "tcp:8", bind=2)))
    [part] = found.instances
    assert (ports(part.addresses.add), ports(part.addresses.drain)) == ([7, 8], [7, 8])
    assert found.moves == {identity: identity for identity in part.addresses.add}
    found = plan(settings(one("tcp:0", "tcp:0")), settings(one("tcp:0", bind=2)))
    assert len(found.moves) == 1  # a port that the kernel chose is kept


def test_an_option_that_needs_a_restart_stays_as_it_was_and_is_named() -> None:
    wanted = settings(one(restart=2, later=3))
    found = plan(settings(one()), wanted)
    assert found.restart == ("service.choosy.restart",)
    [part] = found.instances
    assert (part.settings.options.restart, part.settings.options.later) == (1, 3)
    # it is still missing, the next time
    assert plan(found.settings, wanted).restart == ("service.choosy.restart",)
    assert plan(None, wanted).restart == ()


def test_a_kind_that_changes_is_another_instance_that_takes_the_address_over() -> None:
    before, after = one(), one(kind=OTHER)
    found = plan(settings(before), settings(after))
    assert [(part.step, part.settings.kind.name) for part in found.instances] == [
        ("add", "other"),
        ("drain", "choosy"),
    ]
    [(new, old)] = found.moves.items()
    assert new == old


def test_an_address_that_another_instance_gets_is_handed_over() -> None:
    before = settings(one("tcp:7", "tcp:8"), one("tcp:9", name="second"))
    after = settings(one("tcp:8"), one("tcp:9", "tcp:7", name="second"))
    found = plan(before, after)
    [(new, old)] = found.moves.items()
    assert (new.instance, old.instance, new.address.port) == ("second", "choosy", 7)


def test_what_the_kernel_chooses_is_not_handed_over_and_can_be_had_twice() -> None:
    before, after = one("tcp:0", "tcp:0"), one("tcp:0", "tcp:0", "tcp:0")
    part = planned(before, after)
    assert (len(part.addresses.keep), len(part.addresses.add)) == (2, 1)
    found = plan(settings(before), settings(one("tcp:0", name="second")))
    assert found.moves == {}


# whatever there is and is wanted

TEXTS = [
    *(f"tcp:{port}" for port in (0, 7, 8)),
    *(f"tcp:{port}:interface=127.0.0.1" for port in (7, 8)),
    "tcp:7:backlog=5",
    "unix:/run/a",
    "unix:/run/a:mode=600",
    "unix:/run/b",
]


def _is_possible(listens: Sequence[Listen]) -> bool:
    alone = [listen.address for listen in listens if listen.address.is_taken_alone]
    return len(alone) == len(set(alone))


LISTENS = st.lists(st.sampled_from([parse(text) for text in TEXTS]), max_size=4).filter(
    _is_possible
)


@st.composite
def configurations(draw: st.DrawFn) -> Settings:
    """Instances as a checked configuration has them."""
    names = draw(st.lists(st.sampled_from(["a", "b", "c"]), unique=True))
    base = {kind.name: one(kind=kind) for kind in (CHOOSY, OTHER)}
    made: list[InstanceSettings] = []
    for name in names:
        instance = evolve(
            base[draw(st.sampled_from(["choosy", "other"]))],
            name=name,
            listen=tuple(draw(LISTENS)),
            options=Choices(
                **{key: draw(st.integers(1, 2)) for key in ("now", "later", "bind", "restart")}
            ),
        )
        made.append(instance)
    return settings(*made)


def addresses_of(wanted: Settings) -> dict[Identity, Listen]:
    return {k: v for instance in wanted.instances for k, v in identities(instance).items()}


def applied(found: Plan, there: dict[Identity, Listen]) -> dict[Identity, Listen]:
    """The addresses that there are when the steps have been taken."""
    there = dict(there)
    for part in found.instances:
        for identity in part.addresses.drain:
            del there[identity]
    for part in found.instances:
        for identity, listen in part.addresses.add.items():
            assert identity not in there
            there[identity] = listen
        for identity, listen in part.addresses.keep.items():
            assert there[identity] == listen
        for identity, listen in part.addresses.change.items():
            assert there[identity] != listen
            there[identity] = listen
    return there


@given(configurations(), configurations())
def test_a_plan_leads_from_what_there_is_to_what_is_wanted(old: Settings, new: Settings) -> None:
    found = plan(old, new)
    assert applied(found, addresses_of(old)) == addresses_of(new)
    assert applied(plan(None, new), {}) == addresses_of(new)
    names = [instance.name for instance in found.settings.instances]
    assert names == [instance.name for instance in new.instances]


@given(configurations())
def test_what_is_wanted_already_is_all_kept(wanted: Settings) -> None:
    found = plan(wanted, wanted)
    assert {part.step for part in found.instances} <= {"keep"}
    kept = [identity for part in found.instances for identity in part.addresses.keep]
    assert kept == list(addresses_of(wanted))
    assert (found.moves, found.restart) == ({}, ())


@given(configurations(), configurations())
def test_nothing_happens_twice_to_an_address(old: Settings, new: Settings) -> None:
    found = plan(old, new)
    parts = found.instances
    had = [k for part in parts for step in _old(part) for k in step]
    has = [k for part in parts for step in _new(part) for k in step]
    assert (len(had), len(has)) == (len(set(had)), len(set(has)))
    assert len(set(found.moves.values())) == len(found.moves)
    going = {identity for part in parts for identity in part.addresses.drain}
    assert set(found.moves.values()) <= going
    assert all(new.address == old.address for new, old in found.moves.items())


def _old(part: InstancePlan) -> list[Any]:
    return [part.addresses.keep, part.addresses.change, part.addresses.drain]


def _new(part: InstancePlan) -> list[Any]:
    return [part.addresses.keep, part.addresses.change, part.addresses.add]


@pytest.mark.parametrize("step", ["keep", "add"])
def test_the_settings_that_hold_in_the_end_are_the_ones_that_were_wanted(step: str) -> None:
    wanted = settings(one(), one("tcp:9", name="second"))
    assert plan(wanted if step == "keep" else None, wanted).settings == wanted
