"""What is shown, as plain lines: for pipes and bots, and below the colours of a terminal.

Whatever came over the network is escaped here.
"""

from __future__ import annotations

from datetime import datetime

from sockd.client.chat.told import (
    ChannelRow,
    Ended,
    Joined,
    Level,
    LoggedIn,
    Lost,
    Message,
    Notice,
    NotSent,
    Parted,
    Presence,
    Refused,
    Shown,
    UserRow,
)
from sockd.formats.text import escape

_MARKS = {Level.INFO: "--", Level.WARNING: "!!", Level.ERROR: "**"}


def visible(text: str | bytes) -> str:
    """The text, with an escape for all that cannot be shown or that a terminal would act on.

    A backslash stays as it is: what a new server sends is escaped already.
    """
    return escape(text).replace("\\\\", "\\")


def shown(event: Shown) -> str:
    """One line, without its end."""
    match event:
        case Message(user, text, channel, is_own=is_own, to=to):
            if channel:
                return f"[{visible(channel)}] {visible(user)}: {visible(text)}"
            whom = f"to {visible(to)}" if is_own else visible(user)
            return f"[private] {whom}: {visible(text)}"
        case Presence(channel, user, is_here):
            return f"-- {visible(user)} has {'come to' if is_here else 'left'} {visible(channel)}"
        case Joined(channel, count):
            return f"-- you are in {visible(channel)} ({_count(count, 'user')})"
        case Parted(channel):
            return f"-- you have left {visible(channel)}"
        case ChannelRow(channel, count, description):
            return f"   {visible(channel):20} {_count(count, 'user'):>9}  {visible(description)}"
        case UserRow(user, seconds, channels):
            return f"   {visible(user):20} {_duration(seconds):>9}  {visible(' '.join(channels))}"
        case Lost(channel, count):
            if not channel:
                answers = "answer" if count == 1 else "answers"
                return f"!! {_count(count, 'private message')} or {answers} did not arrive"
            notices = "notice" if count == 1 else "notices"
            return (
                f"!! {_count(count, 'message')} or {notices} of {visible(channel)} did not arrive"
            )
        case NotSent(text):
            return f"!! not sent: {visible(text)}"
        case LoggedIn(nickname, server, is_again, has_missed):
            again = " again" if is_again else ""
            at = f" at {visible(server)}" if server else ""
            missed = "; what was said last may be lost" if has_missed else ""
            return f"-- logged in{again}{at} as {visible(nickname)}{missed}"
        case Refused(why):
            return f"** {visible(why)}"
        case Notice(text, level):
            return f"{_MARKS[level]} {visible(text)}"
        case Ended(why):
            return f"-- {visible(why)}" if why else "-- logged off"


def clock_time(time_ms: int | None, now: datetime) -> str:
    """When it was said, as the clock on the wall has it here."""
    moment = now if time_ms is None else datetime.fromtimestamp(time_ms / 1000)
    return moment.strftime("%H:%M")


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _duration(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
