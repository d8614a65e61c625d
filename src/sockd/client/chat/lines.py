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


def shown(event: Shown) -> str:
    """One line, without its end."""
    match event:
        case Message(user, text, channel, is_own=is_own, to=to):
            if channel:
                return f"[{escape(channel)}] {escape(user)}: {escape(text)}"
            whom = f"to {escape(to)}" if is_own else escape(user)
            return f"[private] {whom}: {escape(text)}"
        case Presence(channel, user, is_here):
            return f"-- {escape(user)} has {'come to' if is_here else 'left'} {escape(channel)}"
        case Joined(channel, count):
            return f"-- you are in {escape(channel)} ({_count(count, 'user')})"
        case Parted(channel):
            return f"-- you have left {escape(channel)}"
        case ChannelRow(channel, count, description):
            return f"   {escape(channel):20} {_count(count, 'user'):>9}  {escape(description)}"
        case UserRow(user, seconds, channels):
            return f"   {escape(user):20} {_duration(seconds):>9}  {escape(' '.join(channels))}"
        case Lost(channel, count):
            if not channel:
                return f"!! {_count(count, 'private message')} or answers did not arrive"
            return f"!! {_count(count, 'message')} or notices of {escape(channel)} did not arrive"
        case NotSent(text):
            return f"!! not sent: {escape(text)}"
        case LoggedIn(nickname, server, is_again, has_missed):
            again = " again" if is_again else ""
            at = f" at {escape(server)}" if server else ""
            missed = "; what was said last may be lost" if has_missed else ""
            return f"-- logged in{again}{at} as {escape(nickname)}{missed}"
        case Refused(why):
            return f"** {escape(why)}"
        case Notice(text, level):
            return f"{_MARKS[level]} {escape(text)}"
        case Ended(why):
            return f"-- {escape(why)}" if why else "-- logged off"


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
