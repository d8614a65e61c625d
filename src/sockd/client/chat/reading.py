"""Events that are shown as they are, whatever we know: nothing where they are none."""

from __future__ import annotations

from sockd.client.chat.told import Done, Message, Presence, UserRow, shown
from sockd.formats.chat.texts import Coming, UserText, Whispered


def whispered(text: bytes, time_ms: int | None) -> list[Done]:
    """Somebody has said something to us alone."""
    private = Whispered.read(text)
    return [Message(shown(private.user), shown(private.text), "", time_ms)] if private else []


def came(text: bytes, _: int | None) -> list[Done]:
    """Somebody has come to a channel."""
    return _presence(text, True)


def went(text: bytes, _: int | None) -> list[Done]:
    """Somebody has gone."""
    return _presence(text, False)


def user_row(text: bytes, _: int | None) -> list[Done]:
    """One of a list."""
    user = UserText.read(text)
    if user is None:
        return []
    return [UserRow(shown(user.user), user.seconds, [shown(one) for one in user.channels])]


def _presence(text: bytes, is_here: bool) -> list[Done]:
    coming = Coming.read(text)
    return [Presence(shown(coming.title), shown(coming.user), is_here)] if coming else []
