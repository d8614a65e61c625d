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
from tests.reactor.scripts import BUFFER, TEXT, Script, Step
from tests.reactor.twins import Seen, Twin, twins

PATIENCES = (0.0, 0.05, 1.0)
"""Seconds without a change until a reactor counts as at rest; the next where two have differed.

The last is longer than the kernel's own timers: 0.2 s at most for a delayed ACK, 0.2 s and then 0.4
for a window that has stayed too small.
"""

SMALL = st.sampled_from([0, 1, 10, 100])
BIG = st.just(300_000)
SIZES = st.one_of(SMALL, BIG)


EXAMPLES = int(os.environ.get("SOCKD_FUZZ", "250"))
"""How many random scripts to play; where the environment says it, others each time."""


def step(name: str, argument: st.SearchStrategy[Any] | None = None) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(name), st.none() if argument is None else argument)


def producer(*manners: str) -> st.SearchStrategy[Any]:
    return st.tuples(st.integers(1, 4), st.sampled_from([100, 300_000]), st.sampled_from(manners))


NEAR = st.one_of(
    step("write", SIZES),
    step("write", SIZES),
    step("write_sequence", st.lists(SIZES.filter(bool), max_size=3).map(tuple)),
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
ENDS = {"lose", "end_writing", "abort"}
WAITS = {"pause", "resume", "unregister"}
"""What a protocol can do without anything happening at once."""
LEAVES = {"far close", "far reset"}
FAR_ENDS = {*LEAVES, "far end_writing"}


# What a script does not determine. Ours writes and ends at once, Twisted's own in the next turn,
# after they have read, and they join what is written in one turn.


def is_beside_the_peer(script: Script) -> bool:
    """Both sides do something in one turn."""
    for group in script.groups:
        names = {name for name, _ in group if name != "far read"}
        if names & (FAR_ENDS | {"far send"}) and names & (WRITES | ENDS):
            return True
    return False


def is_beside_the_end(script: Script) -> bool:
    """The peer sends and ends in one turn, and the protocol does something between the two."""
    groups = ({name for name, _ in group} for group in script.groups)
    return any(script.received) and any("far send" in one and one & FAR_ENDS for one in groups)


def is_sent_to_nobody(script: Script) -> bool:
    """A peer has gone: that is noticed when a second piece is sent to it."""
    if not LEAVES & {name for group in script.groups for name, _ in group}:
        return False
    pieces = 0
    for turn in (*script.groups, *script.callbacks[1:]):
        names = [name for name, _ in turn if name in WRITES | ENDS]
        pieces = max(pieces, len(names))
    later = [one for turn in script.callbacks[1:] for one in turn]
    is_big = any(name in WRITES and (name != "write" or size > 100) for name, size in later)
    produces = {"push", "pull"} & {name for turn in _turns(script) for name, _ in turn}
    return pieces > 1 or is_big or bool(produces)


def is_asked_again(script: Script) -> bool:
    """A pull producer did not write: theirs ask it again where anything is sent, ours once more."""
    return any(name == "pull" and of[2] == "lazy" for turn in _turns(script) for name, of in turn)


def _turns(script: Script) -> tuple[tuple[Step, ...], ...]:
    return (*script.groups, *script.callbacks)


UNDETERMINED = (is_beside_the_peer, is_beside_the_end, is_sent_to_nobody, is_asked_again)


def is_for_tls(steps: tuple[Step, ...]) -> bool:
    """TLS has no half-close here, and does not say when a producer will be resumed.

    Its pull producers are served by the process's own reactor.
    """
    return not any(
        name in {"end_writing", "far end_writing", "pull"} or (name == "push" and of[2])
        for name, of in steps
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
FLOODS = st.builds(
    Script,
    transport=st.sampled_from(["tcp", "unix", "client"]),
    made=st.lists(step("pause"), max_size=1).map(tuple),
    groups=st.lists(
        st.lists(
            st.one_of(step("far send", BIG), step("far read", BIG), step("pause"), step("resume")),
            min_size=1,
            max_size=3,
        ).map(tuple),
        max_size=8,
    ).map(tuple),
)
"""More than one read brings, at a protocol that does not answer."""
SECURE = st.builds(
    Script,
    transport=st.sampled_from(["tls", "ssl", "ssl client"]),
    # a second fault, in what TLS hands on at the end, keeps that from the protocol
    received=st.lists(IN_CALLBACKS.filter(is_for_tls), max_size=1).map(tuple),
    lost=AT_END.filter(is_for_tls),
    groups=GROUPS.filter(lambda groups: all(is_for_tls(one) for one in groups)),
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
    # an abort throws away what the kernel has not sent yet
    is_aborted = "ConnectionAborted" in str(seen.end) and seen.written >= BUFFER
    was_read = len(seen.received) == seen.far_sent and not is_aborted
    # whoever closes with something unread resets: the peer, or what is on its way to the peer
    if not seen.far_end.startswith("closed") and (was_read or seen.written < BUFFER):
        found["far_end"] = seen.far_end
    return found


ABORTED = "ConnectionAborted: Connection was aborted locally using ITCPTransport.abortConnection."
LOST = "ConnectionLost: Connection to the other side was lost in a non-clean fashion"


def _said_alike(found: dict[str, Any]) -> dict[str, Any]:
    """Twisted's TLS calls a client's abort a loss, and has other words for a loss."""

    def alike(seen: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            f"lost: {LOST}" if str(one).startswith((f"lost: {LOST}", f"lost: {ABORTED}")) else one
            for one in seen
        )

    return {**found, "rests": [alike(one) for one in found["rests"]], "end": alike(found["end"])}


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
    if not any(rule(script) for rule in UNDETERMINED):
        theirs, mine = determined(stock), determined(ours)
        if script.is_secure:
            theirs, mine = _said_alike(theirs), _said_alike(mine)
        for name, one in theirs.items():
            other = mine.get(name, one)
            if one != other:
                found.append(f"{name}:\n  stock {one!r:.1000}\n  ours  {other!r:.1000}")
    for who, seen in (("stock", stock), ("ours", ours)):
        found += [f"{who}: {one}" for one in faults_of(script, seen)]
    return found


def faults_of(script: Script, seen: Seen) -> list[str]:
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
    if (
        any(one.startswith("lost: ConnectionDone:") for one in ends)
        and seen.far_end == "end of file"
    ):
        leaves = "far end_writing" in {name for group in script.groups for name, _ in group}
        if (script.half_closeable or not leaves) and len(seen.far_received) < (seen.promised or 0):
            found.append(f"{len(seen.far_received)} of {seen.promised} bytes came")
    for one, other in pairwise(("new", *seen.producer_calls)):
        if other == "resume" and one != "pause":
            found.append(f"{other} after {one} of {seen.producer_calls}")
    return found


@pytest.mark.usefixtures("faults_are_known")
@settings(max_examples=EXAMPLES)
@given(script=SCRIPTS)
def test_a_script_goes_as_on_a_stock_reactor(both: tuple[Twin, Twin], script: Script) -> None:
    assert_same(both, script)


@pytest.mark.usefixtures("faults_are_known")
@settings(max_examples=EXAMPLES // 10)
@given(script=SECURE)
def test_a_script_over_tls_goes_as_on_a_stock_reactor(
    both: tuple[Twin, Twin], script: Script
) -> None:
    assert_same(both, script)


@pytest.mark.usefixtures("faults_are_known")
@settings(max_examples=EXAMPLES // 5)
@given(script=FLOODS)
def test_a_flood_from_the_peer_arrives_whole(both: tuple[Twin, Twin], script: Script) -> None:
    """However often reading is paused; how much the kernel holds meanwhile is its affair."""
    found = ["?"]
    for patience in PATIENCES:
        if found:
            seen = both[1].play(script, patience)
            found = faults_of(script, seen)
            if len(seen.received) < seen.far_sent:
                found.append(f"{len(seen.received)} of {seen.far_sent} bytes came")
    assert not found, "\n".join(found)


def assert_same(both: tuple[Twin, Twin], script: Script) -> None:
    """Play it on both; where they differ, again with more patience for the kernel."""
    found = ["?"]
    for patience in PATIENCES:
        if found:
            stock, ours = (one.play(script, patience) for one in both)
            found = differences(script, stock, ours)
    assert not found, "\n".join(found)


def test_a_peer_reads_to_the_end_though_nobody_read_what_it_sent(both: tuple[Twin, Twin]) -> None:
    """A socket that is closed with something unread resets its peer, unless it is shut down."""
    groups: tuple[tuple[Step, ...], ...] = ((("far send", 100),), (("write", 100), ("lose", None)))
    seen = both[1].play(Script(made=(("pause", None),), groups=groups))
    assert (len(seen.far_received), seen.far_end) == (100, "end of file")


def test_a_pull_producer_that_says_nothing_is_not_asked_all_the_time(
    both: tuple[Twin, Twin],
) -> None:
    turns = ((("far send", 1),),) * 20
    seen = both[1].play(Script(groups=((("pull", (4, 100, "mute")),), *turns)))
    assert 1 <= len(seen.producer_calls) <= 2


def test_a_producer_is_not_paused_while_it_is_registered(both: tuple[Twin, Twin]) -> None:
    """TLS registers one in the name of a pull producer that can be paused only after that."""
    seen = both[1].play(Script(made=(("write", 300_000), ("push_later", None))))
    assert seen.producer_calls == ("registered", "pause", "resume")
