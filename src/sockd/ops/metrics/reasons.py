"""Which reasons a door can have, so that their series are there, at 0, before the first."""

from __future__ import annotations

from collections.abc import Iterator

from sockd.service import Door, Kind

_LIMITS = (
    "max_connections",
    "max_connections_per_source",
    "connect_rate",
    "total_connect_rate",
)
_RULES = ("ban", "allow", "deny")
_PROXIES = ("unlisted_proxy", "proxy_queue", "proxy_header", "proxy_timeout")
_ADDRESSES = (
    "service_port",
    "own_port",
    "multicast_source",
    "broadcast_source",
    "unspecified_source",
    "to_many",
)
_NAMES = ("unnamed_socket", "own_process", "own_name")
REFUSALS = {
    "tcp": (*_RULES, *_LIMITS),
    "tls": (*_RULES, *_LIMITS),
    "unix": ("allow_users", *_LIMITS),
    "udp": (*_RULES, *_ADDRESSES, "answers_owed"),
    "unixgram": ("allow_users", *_NAMES, "answers_owed"),
    "multicast": (),
}
"""By transport: why somebody is not let in."""
ENDS = (
    "done",
    "peer_closed",
    "connection_lost",
    "system_error",
    "idle_timeout",
    "write_timeout",
    "total_timeout",
    "answer_timeout",
    "min_rate",
    "service_error",
    "killed",
)
"""Why any connection can end."""
TLS_ENDS = ("tls_error", "tls_records", "handshake_ended", "handshake_timeout")
LINE_ENDS = ("max_line", "line_timeout")
FRAME_ENDS = ("max_frame", "frame_timeout")
TEXT_ENDS = ("max_text", "text_timeout")
CHILD_ENDS = ("success", "exit", "signal")
"""How child processes end."""


CHAT_DROPS = (
    "answer",
    "double",
    "fan_out_lost",
    "forged",
    "interface",
    "old",
    "over_budget",
    "short",
    "stranger",
    "too_fast",
    "unread",
    "unsigned",
)
"""What a chat drops of what comes, and of what it has to send."""


def refusals(kind: Kind, transport: str, door: Door, *, is_proxied: bool) -> Iterator[str]:
    """Why somebody may not be let in at a door."""
    yield from REFUSALS[transport]
    if transport != "multicast":
        yield from kind.refuses
    if is_proxied:
        yield from _PROXIES
    if door.datagram is not None and transport == "udp" and door.datagram.amplifies:
        yield "reply_rate"
    if door.datagram is not None and transport == "unixgram" and door.datagram.answers:
        yield "local_reply_rate"


def ends(kind: Kind, transport: str, door: Door) -> Iterator[str]:
    """Why a connection of a door may end."""
    stream = door.stream
    if stream is None or transport not in stream.transports:
        return
    yield from ENDS
    yield from kind.ends
    if transport == "tls":
        yield from TLS_ENDS
    if stream.reads_lines:
        yield from LINE_ENDS
    if stream.reads_frames:
        yield from FRAME_ENDS
    if stream.reads_texts:
        yield from TEXT_ENDS
