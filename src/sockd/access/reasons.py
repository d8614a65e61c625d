"""Why something was refused, ended or dropped: a table of stable names, each with its sentence.

The names are for programs: JSON logs, metrics and tests match them, and none changes its meaning.
Many are the name of the setting that was reached. The sentences are for people. A `Reason` is a row
of the table with its fields filled in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import Attribute, Factory, field, frozen

from sockd.formats.template import names_in

SENTENCES = {
    # a peer that may not come in
    "allow": "no allow rule matches",
    "deny": "deny {prefix}",
    "ban": "ban {prefix}",
    "allow_users": "allow_users: not user {uid}",
    "max_connections": "max_connections = {limit}",
    "max_connections_per_source": "max_connections_per_source = {limit}",
    "connect_rate": "connect_rate = {limit}",
    "total_connect_rate": "total_connect_rate = {limit}",
    # a proxy's header that is not believed
    "unlisted_proxy": "not one of the listed proxies",
    "proxy_queue": "{limit} connections wait for a header",
    "proxy_header": "not a PROXY header",
    "proxy_timeout": "no PROXY header within {limit}",
    # a datagram that is not answered
    "service_port": "source port {port} is a service's",
    "own_port": "source port {port} is one of this daemon's",
    "multicast_source": "source is a multicast address",
    "broadcast_source": "source is the broadcast address",
    "unspecified_source": "source is the unspecified address",
    "unnamed_socket": "the peer's socket has no name to answer to",
    "own_process": "the peer is this daemon",
    "own_name": "the peer's name is that of a socket of this daemon",
    "local_reply_rate": "local_reply_rate = {limit}",
    "to_many": "sent to a broadcast address or a group",
    "reply_rate": "reply_rate = {limit}",
    "answers_owed": "{limit} answers outstanding",
    "long_answer": "an answer of {size} bytes to {asked} was not sent: too long",
    # a connection that has ended
    "done": "done",
    "peer_closed": "closed by the peer",
    "connection_lost": "connection lost",
    "tls_error": "TLS: {detail}",
    "tls_records": "TLS: more than {limit} records without data",
    "handshake_ended": "left before the TLS handshake was done",
    "system_error": "{detail}",
    "handshake_timeout": "no handshake within {limit}",
    "idle_timeout": "idle for {limit}",
    "write_timeout": "nothing taken for {limit}",
    "answer_timeout": "error: no answer within {limit}",
    "line_timeout": "error: no end of line within {limit}",
    "frame_timeout": "no end of a message within {limit}",
    "text_timeout": "error: no end of text within {limit}",
    "total_timeout": "open for {limit}",
    "min_rate": "slower than {limit}",
    "max_line": "error: line longer than {limit} bytes",
    "max_frame": "error: frame longer than {limit} bytes",
    "max_text": "error: text longer than {limit} bytes",
    "max_head": "head of a request longer than {limit} bytes",
    "rejected": "error: {detail}",
    "service_error": "error in the service",
    "daemon_stops": "the daemon stops",
    "killed": "ended by an administrator",
    "service_removed": "the service has been taken out",
    # a program that a connection ran
    "program_ended": "the program ended ({status})",
    "max_time": "max_time",
    "max_output": "error: the program printed more than {limit} bytes",
    "input_timeout": "the program took nothing for {limit}",
    "max_children": "error: busy",
    "no_process": "error: busy ({detail})",
    # an address that is not listened on
    "listen_error": "{detail}",
    "file_left": "its file is left: {detail}",
    "mode_left": "the mode of its file is left: {detail}",
    # what an instance's connections share
    "shared_left": "what its connections shared did not stop: {detail}",
    "switch_fault": "not all of it goes with the change: {detail}",
    "state_unwritten": "who can come back after a start is not remembered: {detail}",
    # a user of the chat who may not come in, or is gone
    "banned": "its address is banned",
    "forged": "its MAC is wrong",
    "max_users": "max_users = {limit}",
    "users_per_address": "users_per_address = {limit}",
    "old_clients": "old_clients = {limit}",
    "off_link": "not on the link that it is heard by",
    "legacy_off": "old clients are not served",
    "logged_off": "logged off",
    "silent": "silent for too long",
    "renamed": "logged in by another name",
    "sent_away": "sent away: {detail}",
    "connection_over": "the connection has ended",
    "door_closed": "the door is closed",
    # a log that is not opened anew, or not written
    "log_error": "{path}: {detail}",
    "log_unwritten": "{detail}",
    "no_log_file": "it has no file of its own",
    # what somebody should look at
    "certificate_changed": "the certificate has changed; new connections get the new one",
    "certificate_kept": "{detail}; the old certificate stays in use",
    "cannot_send": "cannot send: {detail}; trying again each time",
    "sends_again": "sending again",
    "receive_buffer": (
        "the kernel gives a receive buffer of {given} bytes, not {wanted}: "
        "bursts may lose datagrams; raise net.core.rmem_max"
    ),
    "no_program": "{detail}: quotations are sent instead",
    "runaways": "programs that leave their group are not ended: {detail}",
    "no_urgent_data": "no urgent data on {where}: clients stop a text by ABORT alone",
    "no_worker": '{detail}: numbers of 2^64 and more are answered "error: busy"',
    "processes_of_root": "processes does not bind a program that runs as root: give it a user",
    "capabilities_of_root": (
        "a program that runs as root keeps root's capabilities where the daemon lacks CAP_SETPCAP: "
        "give it a user"
    ),
    "suppressed": "{count} more errors since the last that was reported",
    "bans_broken": "the file of bans is broken: {detail}",
    "bans_unread": "bans are not read: {detail}",
    "bans_unkept": "bans are not kept over a start: {detail}",
    "configuration": "{detail}",
}
"""The sentence of each reason; its fields are the names in braces."""


_FIELDS = {name: names_in(sentence) for name, sentence in SENTENCES.items()}


def _is_known(_: object, __: Attribute[str], name: str) -> None:
    if name not in SENTENCES:
        raise ValueError(f"there is no reason {name!r}")


def _is_whole(reason: Reason, _: Attribute[Mapping[str, Any]], values: Mapping[str, Any]) -> None:
    if values.keys() != _FIELDS[reason.name]:
        raise ValueError(f"{reason.name} has the fields {sorted(_FIELDS[reason.name])}")


@frozen(cache_hash=True)  # log lines of connections are looked up by it
class Reason:
    """A row of the table, filled in: `str` is its sentence. Raises ValueError for what is none."""

    name: str = field(validator=_is_known)
    values: Mapping[str, Any] = field(default=Factory(dict), validator=_is_whole, hash=False)

    def __str__(self) -> str:
        return SENTENCES[self.name].format(**self.values)

    def fields(self, key: str) -> dict[str, Any]:
        """For a log of fields: the name under `key`, and the values by their own names."""
        return {key: self.name, **self.values}


def because(name: str, **values: Any) -> Reason:
    """The reason of this name, with its fields."""
    return Reason(name, values)
