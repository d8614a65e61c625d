"""What a line that is typed may become: commands, and the channels and users that were seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import define, field
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from sockd.client.chat.told import ChannelRow, Joined, Message, Presence, Shown, UserRow
from sockd.client.chat.typed import ALIASES, COMMANDS
from sockd.formats.text import escape

MOST_KNOWN = 1_000
"""Names of channels, and of users, that are completed: the latest, as all come from strangers."""


@define(eq=False)
class Names(Completer):
    """The names that were seen, the latest last."""

    channels: dict[str, None] = field(factory=dict)
    users: dict[str, None] = field(factory=dict)

    def see(self, event: Shown) -> None:
        """Names that are told can be typed."""
        match event:
            case Message(user, _, channel):
                self._keep(self.users, user)
                self._keep(self.channels, channel)
            case Joined(channel) | ChannelRow(channel):
                self._keep(self.channels, channel)
            case Presence(channel, user):
                self._keep(self.users, user)
            case UserRow(user, _, channels):
                self._keep(self.users, user)
                for channel in channels:
                    self._keep(self.channels, channel)

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """What the word before the cursor may become."""
        text = document.text_before_cursor
        word = text.rpartition(" ")[2]
        for one in self._candidates(text):
            if one.casefold().startswith(word.casefold()):
                yield Completion(one, start_position=-len(word))

    def _candidates(self, text: str) -> Iterator[str]:
        first, *more = text.split(" ")
        if not first.startswith("/"):
            if text.rpartition(" ")[2]:
                behind = "" if more else ": "
                yield from (f"{user}{behind}" for user in reversed(self.users))
        elif not more:
            for one in COMMANDS.values():
                yield f"/{one.name} " if one.takes else f"/{one.name}"
        else:
            name = first[1:].lower()
            command = COMMANDS.get(ALIASES.get(name, name))
            if command is None:
                return
            known = {"channel": self.channels, "user": self.users}.get(command.completes, {})
            if len(more) == 1:
                behind = " " if command.wants > 1 else ""
                yield from (f"{one}{behind}" for one in reversed(known))
            elif command.name in ("public", "private"):
                yield from reversed(self.users)

    def _keep(self, names: dict[str, None], name: str) -> None:
        if name and name == escape(name):
            names.pop(name, None)
            if len(names) >= MOST_KNOWN:
                del names[next(iter(names))]
            names[name] = None
