"""The commands of the control socket, one file a topic."""

from sockd.ops.control.command import Command
from sockd.ops.control.commands import reload, status

COMMANDS: dict[str, Command] = {**status.COMMANDS, **reload.COMMANDS}
"""Every command, by its name."""
