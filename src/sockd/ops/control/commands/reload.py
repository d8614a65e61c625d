"""Have the configuration read anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from sockd.daemon.reload import Outcome
from sockd.ops.control.arguments import Arguments
from sockd.ops.control.command import Answer, Command

if TYPE_CHECKING:
    from sockd.ops.operations import Operations


def reload(operations: Operations, arguments: Arguments) -> Deferred[Answer]:
    """Do it, or with `dry_run` say what would be done; answered when it is done."""
    dry_run = arguments.take("dry_run", bool, False)
    arguments.done()
    return operations.reloader.reload(dry_run=dry_run).addCallback(_told)


def _told(outcome: Outcome) -> Answer:
    return {
        "ok": outcome.ok,
        "reasons": list(outcome.reasons),
        "steps": list(outcome.steps),
        "restart": list(outcome.restart),
        "warnings": list(outcome.warnings),
        "seconds": outcome.seconds,
    }


COMMANDS = {"reload": Command(reload, changes=True)}
