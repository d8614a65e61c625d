"""Twisted's own tests on our reactor: what passes on Twisted's epoll reactor passes on this one.

What fails on both is Twisted's or the machine's: to change a child's user, for one, needs an
interpreter that other users may run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from subprocess import TimeoutExpired

import pytest

from tests.processes import Running, running

TRIAL = Path(__file__).with_name("trial_outcomes.py")
SECONDS = 600.0
"""How long they may take all together."""
SUITES = {
    # built for each reactor anew (`ReactorBuilder`), and what else there is of the reactors
    "built": ["twisted.internet.test"],
    # what uses the process's reactor: its children, and its connections
    "children": ["twisted.test.test_process", "twisted.test.test_stdio"],
    "connections": [
        "twisted.mail.test.test_pop3client",
        "twisted.names.test.test_names",
        "twisted.protocols.test.test_tls",
        "twisted.test.test_internet",
        "twisted.test.test_protocols",
        "twisted.test.test_ssl",
        "twisted.test.test_sslverify",
        "twisted.test.test_tcp",
        "twisted.test.test_udp",
        "twisted.test.test_unix",
        "twisted.web.test.test_webclient",
    ],
}
LEAST = {"built": 850, "children": 75, "connections": 460}
"""How many tests pass at least on Twisted's reactor: if fewer, Twisted keeps them elsewhere now."""
LEAST_BUILT = 280
"""How many of them are built for the reactor."""
ECDH = "twisted.test.test_sslverify.OpenSSLOptionsECDHIntegrationTests"
PRODUCERS = "twisted.internet.test.test_newtls.ProducerTestsMixinBuilt"
NEWTLS = (
    "producerAfterStartTLS",
    "producerSSLFromStart",
    "startTLSAfterRegisterProducerNonStreaming",
    "startTLSAfterRegisterProducerStreaming",
)
CANNOT_PASS = {
    "twisted.test.test_tcp.LoopbackTests.test_tcpNoDelay": (
        "expects TCP_NODELAY to be off at first; what is written at once must not wait for more"
    ),
    f"{ECDH}.test_ellipticCurveDiffieHellman": (
        "looks for Twisted's TLS protocols around those of the factory; here TLS is below them"
    ),
    **dict.fromkeys(
        [f"{PRODUCERS}.test_{name}" for name in NEWTLS],
        "looks for the producer in Twisted's TLS protocol; here the transport has it",
    ),
}
"""Tests that pass on Twisted's reactor and cannot on ours, and why."""
BUILDER = {"epoll": "_EPollReactorTests", "uvloop": "_UvloopReactorTests"}
"""How the names of classes end that are built for a reactor."""


def as_built(name: str) -> str:
    """A test's own name on our reactor."""
    return name.replace("Built.", f"{BUILDER['uvloop']}.")


Outcomes = Mapping[str, tuple[str, str]]
"""By test: the outcome, and why."""


def outcomes(file: Path, reactor: str, child: Running) -> Outcomes:
    """What a run has found, once it has ended. Names are the same for all reactors."""
    with suppress(TimeoutExpired):  # the file tells which test did not end
        assert child.wait(SECONDS) == 0, child.text()
    found: dict[str, tuple[str, str]] = {}
    for line in file.read_text("utf-8").splitlines():
        test, outcome, why = json.loads(line)
        name = test.replace(BUILDER[reactor], "Built")
        if name in found and found[name][0] == "failed":
            why = f"{found[name][1]}\n{why}"
        found[name] = (outcome, why)
    return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Outcomes]]:
    """The outcomes of each suite on each reactor. All run side by side: most wait all the time."""
    with ExitStack() as stack:
        found = {}
        for suite, names in SUITES.items():
            for reactor in BUILDER:
                folder = tmp_path_factory.mktemp(f"{suite}-{reactor}")
                left_out = [f"-{as_built(name)}" for name in CANNOT_PASS if reactor == "uvloop"]
                argv = [sys.executable, str(TRIAL), "outcomes", reactor, *names, *left_out]
                child = stack.enter_context(running(argv, cwd=folder))
                found[suite, reactor] = (folder / "outcomes", reactor, child)
        yield {key: outcomes(*run) for key, run in found.items()}


@pytest.mark.timeout(SECONDS * 1.5)
@pytest.mark.parametrize("suite", SUITES)
def test_what_passes_on_twisted_s_reactor_passes_on_ours(
    suite: str, runs: dict[tuple[str, str], Outcomes]
) -> None:
    theirs, ours = runs[suite, "epoll"], runs[suite, "uvloop"]
    passes = {name for name, (outcome, _) in theirs.items() if outcome == "passed"}
    missing = ("not run", "")
    differences = [
        "{}: {}\n{}".format(name, *ours.get(name, missing))
        for name in sorted(passes - CANNOT_PASS.keys())
        if ours.get(name, missing)[0] != "passed"
    ]
    assert not differences, "\n\n".join(differences)


@pytest.mark.timeout(SECONDS * 1.5)
def test_no_fewer_tests_of_twisted_run_than_there_were(
    runs: dict[tuple[str, str], Outcomes],
) -> None:
    for suite, least in LEAST.items():
        passed = [outcome for outcome, _ in runs[suite, "epoll"].values()].count("passed")
        assert passed >= least
    built = [name for name in runs["built", "uvloop"] if "Built." in name]
    assert len(built) >= LEAST_BUILT


@pytest.mark.timeout(SECONDS * 1.5)
@pytest.mark.parametrize("name", CANNOT_PASS)
def test_a_test_that_is_said_not_to_pass_does_not(
    name: str, tmp_path: Path, runs: dict[tuple[str, str], Outcomes]
) -> None:
    assert any(found.get(name, ("",))[0] == "passed" for found in runs.values())
    argv = [sys.executable, str(TRIAL), "outcomes", "uvloop", as_built(name)]
    # some wait for what never comes
    with running(argv, cwd=tmp_path, environment={"TRIAL_SECONDS": "10"}) as child:
        found = outcomes(tmp_path / "outcomes", "uvloop", child)
    assert {outcome for outcome, _ in found.values()} == {"failed"}
