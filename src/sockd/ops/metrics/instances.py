"""The figures of the instances, by door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sockd.access.counts import Traffic
from sockd.access.guard import Guard
from sockd.daemon.instance import RunningInstance
from sockd.net.datagram_listener import DatagramListener
from sockd.net.listener import Listener
from sockd.net.queues import accept_queue
from sockd.net.stream import TRANSPORTS
from sockd.net.stream_listener import StreamListener
from sockd.ops.metrics.reasons import CHAT_DROPS, CHILD_ENDS, ends, refusals
from sockd.ops.metrics.sheet import Sheet
from sockd.service import Door, Kind

Key = tuple[str, str]
"""A transport and a door."""
_NOTHING = (0, 0)


def add_instance(sheet: Sheet, instance: RunningInstance) -> None:
    """Write down the figures of one instance."""
    settings, counts = instance.settings, instance.guard.counts
    name, kind = settings.name, settings.kind
    doors: dict[Key, list[Listener]] = {}
    for listener in instance.listeners:
        _add_listener(sheet, name, listener)
        counts.traffic(listener.entrance)  # so that its series begin
        key = listener.entrance.transport, listener.entrance.role
        doors.setdefault(key, []).append(listener)
    for key, listeners in doors.items():
        sheet.set("sockd_listener_up", _is_up(listeners), name, *key)
    moving = _moving(instance.guard)
    for transport, role, traffic in counts:
        labels = (name, transport, role)
        known = _door(kind, role) if transport else None
        none: dict[str, int] = {}
        if known is not None:
            is_proxied = any(one.entrance.is_proxied for one in doors.get((transport, role), ()))
            none = dict.fromkeys(refusals(kind, transport, known, is_proxied=is_proxied), 0)
        sheet.each("sockd_refused_total", {**none, **traffic.refused}.items(), *labels)
        if transport:  # what has come by no door that is known was refused
            _add_traffic(sheet, labels, traffic, kind, known)
            bytes_in, bytes_out = moving.get(traffic, _NOTHING)
            sheet.set("sockd_received_bytes_total", traffic.bytes_in + bytes_in, *labels)
            sheet.set("sockd_sent_bytes_total", traffic.bytes_out + bytes_out, *labels)
    _add_whole(sheet, name, instance)


def _add_whole(sheet: Sheet, name: str, instance: RunningInstance) -> None:
    """What is not of a door."""
    settings, counts = instance.settings, instance.guard.counts
    sheet.set("sockd_connections_limit", settings.limits.max_connections, name)
    sheet.set("sockd_events_suppressed_total", counts.suppressed, name)
    ended = counts.children_ended
    sheet.set("sockd_children", counts.children - ended.total(), name)
    sheet.set("sockd_children_started_total", counts.children, name)
    sheet.each("sockd_children_ended_total", [(how, ended[how]) for how in CHILD_ENDS], name)
    if settings.kind.name == "chat":
        drops = {**dict.fromkeys(CHAT_DROPS, 0), **counts.dropped}
        sheet.each("sockd_chat_dropped_total", drops.items(), name)


def _add_traffic(
    sheet: Sheet, labels: tuple[str, str, str], traffic: Traffic, kind: Kind, door: Door | None
) -> None:
    sheet.set("sockd_service_errors_total", traffic.errors, *labels)
    if labels[1] in TRANSPORTS:
        _add_streams(sheet, labels, traffic, kind, door)
    else:
        _add_datagrams(sheet, labels, traffic)
    if kind.name == "chat":
        sheet.set("sockd_chat_users", traffic.users, *labels)
        sheet.set("sockd_chat_deliveries_total", traffic.deliveries, *labels)


def _add_streams(
    sheet: Sheet, labels: tuple[str, str, str], traffic: Traffic, kind: Kind, door: Door | None
) -> None:
    closed = traffic.closed
    none = {} if door is None else dict.fromkeys(ends(kind, labels[1], door), 0)
    sheet.set("sockd_connections", traffic.connections - sum(closed.values()), *labels)
    sheet.set("sockd_connections_opened_total", traffic.connections, *labels)
    sheet.each("sockd_connections_closed_total", {**none, **closed}.items(), *labels)
    sheet.bins("sockd_connection_duration_seconds", traffic.durations, *labels)
    if labels[1] == "tls":
        results = [("success", traffic.handshakes), ("failure", traffic.handshakes_failed)]
        sheet.each("sockd_tls_handshakes_total", results, *labels)


def _add_datagrams(sheet: Sheet, labels: tuple[str, str, str], traffic: Traffic) -> None:
    sheet.set("sockd_datagrams_received_total", traffic.datagrams_in, *labels)
    sheet.set("sockd_datagrams_sent_total", traffic.datagrams_out, *labels)
    sheet.set("sockd_kernel_drops_total", traffic.lost, *labels)
    sheet.set("sockd_datagram_receive_errors_total", traffic.unreceived, *labels)
    sheet.set("sockd_datagrams_unsent_total", traffic.unsent, *labels)


def _add_listener(sheet: Sheet, name: str, listener: Listener) -> None:
    labels = (name, listener.entrance.transport, listener.entrance.role)
    sheet.add("sockd_listeners", 1, *labels)
    if isinstance(listener, DatagramListener):
        listener.count_losses()
    sock = listener.bound_socket
    if isinstance(listener, StreamListener) and sock is not None:
        if (queue := accept_queue(sock)) is not None:
            sheet.add("sockd_accept_queue_length", queue[0], *labels)
            sheet.add("sockd_accept_queue_limit", queue[1], *labels)
        if listener.certificate is not None:
            expires = listener.certificate.expires
            sheet.least("sockd_certificate_expiry_timestamp_seconds", expires, *labels)


def _is_up(listeners: Sequence[Listener]) -> bool:
    """Whether all addresses of a door are listened on that somebody relies on, and one at least."""
    relied_on = [one for one in listeners if not one.listen.terms.optional]
    return any(one.is_listening for one in listeners) and all(one.is_listening for one in relied_on)


def _moving(guard: Guard) -> Mapping[Traffic, tuple[int, int]]:
    """Bytes, in and out, of the connections that are open now."""
    found: dict[Traffic, tuple[int, int]] = {}
    for session in guard.sessions:
        bytes_in, bytes_out = found.get(session.traffic, _NOTHING)
        found[session.traffic] = bytes_in + session.bytes_in, bytes_out + session.bytes_out
    return found


def _door(kind: Kind, role: str) -> Door | None:
    """The door of this role; None where the kind has none, any more."""
    return next((door for door in kind.all_doors if door.role == role), None)
