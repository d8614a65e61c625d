"""Twisted's own tests, run in a process of their own: `FILE REACTOR NAME...` (`-NAME` leaves out).

NAME is a module, a class or a test. What Twisted tests on many reactors (`ReactorBuilder`) is
tested on REACTOR alone. FILE gets a line of JSON for each outcome: (test, outcome, why).
"""

from __future__ import annotations

import json
import os
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
from twisted.application.reactors import installReactor
from twisted.internet.test.reactormixins import ReactorBuilder
from twisted.trial.reporter import TestResult
from twisted.trial.runner import TestLoader, TestSuite, TrialRunner
from twisted.trial.unittest import TestCase

SECONDS = float(os.environ.get("TRIAL_SECONDS", "60.0"))
"""How long a test may take: many run side by side."""


class Outcomes(TestResult):
    """Writes each outcome at once, so that a test that never ends is named too."""

    def __init__(self, file: Any) -> None:
        super().__init__()
        self._file = file
        self._passed = True

    def _write(self, test: Any, outcome: str, why: object = "") -> None:
        self._passed = False
        self._file.write(json.dumps([test.id(), outcome, str(why)]) + "\n")
        self._file.flush()

    def startTest(self, test: Any) -> None:
        super().startTest(test)
        self._write(test, "unfinished")
        self._passed = True

    def stopTest(self, test: Any) -> None:
        super().stopTest(test)
        if self._passed:
            self._write(test, "passed")

    def addError(self, test: Any, error: Any) -> None:
        super().addError(test, error)
        self._write(test, "failed", self.errors[-1][1])

    def addFailure(self, test: Any, fail: Any) -> None:
        super().addFailure(test, fail)
        self._write(test, "failed", self.failures[-1][1])

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        self._write(test, "skipped", reason)

    def addExpectedFailure(self, test: Any, error: Any, todo: Any = None) -> None:
        super().addExpectedFailure(test, error, todo)
        self._write(test, "skipped", "Twisted expects it to fail")


def main(path: str, reactor_name: str, *names: str) -> None:
    """Run them. How fast the examples of a property are made is for the machine to say."""
    hypothesis.settings.register_profile(
        "suite",
        deadline=None,
        derandomize=True,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("suite")
    installReactor(reactor_name)
    from twisted.internet import reactor

    kind = type(reactor)
    ReactorBuilder._reactors = [f"{kind.__module__}.{kind.__name__}"]
    # looked up by name, of which mypy knows nothing
    for base in (ReactorBuilder, TestCase):
        setattr(base, "timeout", SECONDS)  # noqa: B010
    left_out = {name[1:] for name in names if name.startswith("-")}
    found = TestLoader().loadByNames(
        [name for name in names if not name.startswith("-")], recurse=True
    )
    chosen = TestSuite(one for one in _each(found) if one.id() not in left_out)
    with Path(path).open("w", encoding="utf-8") as file:
        TrialRunner(lambda *_: Outcomes(file)).run(chosen)


def _each(suite: Any) -> Iterator[Any]:
    for one in suite:
        if isinstance(one, unittest.TestSuite):
            yield from _each(one)
        else:
            yield one


if __name__ == "__main__":
    main(*sys.argv[1:])
