"""Have the process go on with what is installed now."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sockd import __version__
from sockd.ops.control.arguments import Arguments
from sockd.ops.control.command import Answer, Command
from sockd.ops.control.frames import ControlError
from sockd.ops.upgrade import UpgradeRefused

if TYPE_CHECKING:
    from sockd.ops.operations import Operations


def upgrade(operations: Operations, arguments: Arguments) -> Deferred[Answer]:
    """Answered when it is sure that it can be; then the daemon ends, and another one begins."""
    arguments.done()
    begun: Deferred[Answer] = operations.upgrade.begin().addCallback(
        lambda _: {"version": __version__, "pid": os.getpid(), "uptime": operations.uptime}
    )
    return begun.addErrback(_refused)


def _refused(failure: Failure) -> Failure:
    failure.trap(UpgradeRefused)
    raise ControlError(str(failure.value), "refused")


COMMANDS = {"upgrade": Command(upgrade, changes=True)}
