"""What a protocol and its peer see on our reactor is what they see on Twisted's own.

Random scripts are played on both (`tests.reactor.twins`). Where the two may differ, a rule of
`differences` says so, and why.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import LogRecorder
from tests.reactor.twins import BUFFER, TEXT, Script, Seen, Step, Twin, twins

SLOWLY = 0.05
"""Seconds without a change until a reactor counts as at rest, where two have differed at once."""

SMALL = st.sampled_from([0, 1, 10, 100])
BIG = st.just(300_000)
SIZES = st.one_of(SMALL, BIG)


SEARCH = "SOCKD_FUZZ"
"""In the environment: how many random scripts to play, instead of always the same few."""
EXAMPLES = int(os.environ.get(SEARCH, "250"))


def step(name: str, argument: st.SearchStrategy[Any] | None = None) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(name), st.none() if argument is None else argument)


def producer(*manners: str) -> st.SearchStrategy[Any]:
    return st.tuples(st.integers(1, 4), st.sampled_from([100, 300_000]), st.sampled_from(manners))


NEAR = st.one_of(
    step("write", SIZES),
    step("write", SIZES),
    step("write_sequence", st.lists(SIZES, max_size=3).map(tuple)),
    step("pause"),
    step("resume"),
    step("end_writing"),
    step("lose"),
    step("abort"),
    step("push", producer("", "fails")),
    step("pull", producer("", "fails", "lazy")),
    step("unregister"),
)
IN_CALLBACKS = st.lists(st.one_of(NEAR, NEAR, step("fail")), max_size=3).map(tuple)
AT_END = st.lists(NEAR, max_size=3).map(tuple)
"""After a fault in `connectionLost` Twisted's own connector is never told of the end."""
FAR = st.one_of(
    step("far send", SMALL),
    step("far send", SMALL),
    step("far send", st.just(1_000)),
    step("far end_writing"),
    step("far close"),
    step("far reset"),
    step("far read", st.sampled_from([100, 1_000_000])),
)
WRITES = {"write", "write_sequence", "push", "pull"}
LEAVES = {"far close", "far reset"}
ENDS = {"lose", "end_writing", "abort"}
WAITS = {"pause", "resume", "unregister"}
"""What a protocol can do without anything happening at once."""


def is_told(group: tuple[Step, ...]) -> bool:
    """Whether a script tells what is first.

    What a protocol does in one turn with what the peer does: ours does it at once, Twisted's own
    in the next turn, after it has read.
    """
    far = {name for name, _ in group if name.startswith("far ")} - {"far read"}
    return not far or far | {"far read"} | WAITS >= {name for name, _ in group}


def is_determined(script: Script) -> bool:
    """Whether what can be seen is determined by the script.

    A peer that has gone is noticed at the second piece that is sent to it, and Twisted's own join
    what is written in one turn. They ask a pull producer that said nothing again where the end is
    asked for.
    """
    if not all(is_told(group) for group in script.groups):
        return False
    steps = [one for turn in (*script.groups, *script.callbacks) for one in turn]
    names = {name for name, _ in steps}
    if any(name == "pull" and of[2] == "lazy" for name, of in steps) and ENDS & names:
        return False
    if not LEAVES & names:
        return True
    if {"push", "pull"} & names:
        return False
    callbacks = script.callbacks[1:]
    sends = {*WRITES, "end_writing", "lose"}
    writes = [[one for one in turn if one[0] in sends] for turn in (*script.groups, *callbacks)]
    later = [one for turn in callbacks for one in turn]
    return all(len(one) < 2 for one in writes) and all(
        name != "write_sequence" and (name != "write" or size <= 100) for name, size in later
    )


GROUPS = st.lists(
    st.one_of(
        st.lists(NEAR, min_size=1, max_size=3),
        st.lists(FAR, min_size=1, max_size=3),
        st.lists(st.one_of(NEAR, FAR), min_size=1, max_size=3),
    ).map(tuple),
    max_size=8,
).map(tuple)
SCRIPTS = st.builds(
    Script,
    transport=st.sampled_from(["tcp", "tcp6", "unix", "client"]),
    half_closeable=st.booleans(),
    made=IN_CALLBACKS,
    received=st.lists(IN_CALLBACKS, max_size=2).map(tuple),
    read_lost=IN_CALLBACKS,
    write_lost=IN_CALLBACKS,
    lost=AT_END,
    groups=GROUPS,
)


@pytest.fixture
def faults_are_known(log: LogRecorder) -> Iterator[None]:
    """The faults of the scripts are no fault of the test."""
    yield
    log.flush_faults()


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Twin, Twin]]:
    """A stock reactor, and ours."""
    with twins() as pair:
        yield pair


def determined(seen: Seen) -> dict[str, Any]:
    """What must be the same on both."""
    found = {
        "rests": [in_order(one) for one in seen.rests],
        "end": in_order(seen.end),
        "received": seen.received,
        "faults": seen.faults,
        "pulls": seen.producer_calls.count("pull"),
    }
    was_read = len(seen.received) == seen.far_sent
    # whoever closes with something unread resets: the peer, or what is on its way to the peer
    if not seen.far_end.startswith("closed") and (was_read or seen.written < BUFFER):
        found["far_end"] = seen.far_end
    return found


def in_order(seen: tuple[Any, ...]) -> tuple[Any, ...]:
    """The two halves can end in one turn, in any order."""
    text = list(seen)
    for index, pair in enumerate(pairwise(seen)):
        if pair == ("write lost", "read lost"):
            text[index : index + 2] = reversed(pair)
    return tuple(text)


def differences(script: Script, stock: Seen, ours: Seen) -> list[str]:
    """What is not the same, in words."""
    found = []
    if is_determined(script):
        for name, one in determined(stock).items():
            other = determined(ours).get(name, one)
            if one != other:
                found.append(f"{name}:\n  stock {one!r:.1000}\n  ours  {other!r:.1000}")
    for who, seen in (("stock", stock), ("ours", ours)):
        found += [f"{who}: {one}" for one in faults_of(script, seen, who == "ours")]
    return found


def faults_of(script: Script, seen: Seen, is_ours: bool) -> list[str]:
    """What may be seen on no reactor, in words."""
    found = [*seen.others, *seen.left]
    if not TEXT.startswith(seen.far_received) or len(seen.far_received) > seen.written:
        found.append("the far end got something else than what was written")
    if not TEXT.startswith(seen.received) or len(seen.received) > seen.far_sent:
        found.append("the protocol got something else than what was sent")
    ends = [str(one) for one in seen.end if str(one).startswith("lost")]
    after = seen.end[seen.end.index(ends[0]) + 1 :] if ends else ()
    if len(ends) != 1 or after not in ((), ("connector",)):
        found.append(f"the end of {seen.end}")
    if any(seen.end.count(one) > 1 for one in ("made", "read lost", "write lost")):
        found.append(f"said twice: {seen.end}")
    if ends == ["lost: ConnectionDone"] and seen.far_end == "end of file":
        leaves = "far end_writing" in {name for group in script.groups for name, _ in group}
        if (script.half_closeable or not leaves) and len(seen.far_received) < (seen.promised or 0):
            found.append(f"{len(seen.far_received)} of {seen.promised} bytes came")
    if is_ours:
        found += producer_faults(seen.producer_calls)
    return found


def producer_faults(calls: tuple[str, ...]) -> list[str]:
    """What no producer may be told: Twisted's own pause one that is paused."""
    found = []
    for one, other in pairwise(("new", *calls)):
        if (other == "resume" and one != "pause") or other == one == "pause":
            found.append(f"{other} after {one} of {calls}")
    return found


@pytest.mark.usefixtures("faults_are_known")
@settings(max_examples=EXAMPLES, derandomize=SEARCH not in os.environ)
@given(script=SCRIPTS)
def test_a_script_goes_as_on_a_stock_reactor(both: tuple[Twin, Twin], script: Script) -> None:
    assert_same(both, script)


def assert_same(both: tuple[Twin, Twin], script: Script) -> None:
    """Play it on both; where they differ, again with more patience for the kernel."""
    found = ["?"]
    for patience in (0.0, SLOWLY):
        if found:
            stock, ours = (one.play(script, patience) for one in both)
            found = differences(script, stock, ours)
    assert not found, "\n".join(found)
