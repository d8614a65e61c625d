"""The commands of the control socket, one file a topic."""

from sockd.ops.control.command import Command
from sockd.ops.control.commands import (
    access,
    bans,
    chat,
    log_level,
    metrics,
    reload,
    sessions,
    status,
    switches,
    upgrade,
)

TOPICS: tuple[dict[str, Command], ...] = (
    access.COMMANDS,
    bans.COMMANDS,
    chat.COMMANDS,
    log_level.COMMANDS,
    metrics.COMMANDS,
    reload.COMMANDS,
    sessions.COMMANDS,
    status.COMMANDS,
    switches.COMMANDS,
    upgrade.COMMANDS,
)

COMMANDS = {name: command for topic in TOPICS for name, command in topic.items()}
"""Every command, by its name."""
