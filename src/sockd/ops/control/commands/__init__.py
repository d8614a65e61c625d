"""The commands of the control socket, one file a topic."""

from sockd.ops.control.command import Command
from sockd.ops.control.commands import access, bans, chat, metrics, reload, status, upgrade

TOPICS: tuple[dict[str, Command], ...] = (
    access.COMMANDS,
    bans.COMMANDS,
    chat.COMMANDS,
    metrics.COMMANDS,
    reload.COMMANDS,
    status.COMMANDS,
    upgrade.COMMANDS,
)

COMMANDS = {name: command for topic in TOPICS for name, command in topic.items()}
"""Every command, by its name."""
