"""The metrics: a row each. The page on them and the dashboard are compared with this.

Labels are the service, the transport, the door and names of reasons: never an address, nor anything
else that a peer can choose. A name does not change its meaning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from attrs import frozen

Type = Literal["counter", "gauge", "histogram", "info"]

SERVICE = ("service",)
DOOR = ("service", "transport", "door")
REASON = (*DOOR, "reason")


@frozen
class Metric:
    """One metric: its name as it is graphed, what it is, and by what it is told apart."""

    name: str
    type: Type
    help: str
    labels: Sequence[str] = ()


_ROWS = (
    # the daemon
    Metric(
        "sockd_build_info",
        "info",
        "What runs: 1, with the versions as labels.",
        ("version", "python", "twisted", "reactor"),
    ),
    Metric("sockd_start_time_seconds", "gauge", "When the daemon has started, as Unix time."),
    Metric(
        "sockd_config_reloads_total",
        "counter",
        "Reloads of the configuration, by their result: success or failure.",
        ("result",),
    ),
    Metric(
        "sockd_config_last_reload_successful",
        "gauge",
        "1 where the configuration that holds is the one that was read last, 0 where that failed.",
    ),
    Metric(
        "sockd_config_last_reload_success_timestamp_seconds",
        "gauge",
        "When the configuration that holds was read, as Unix time.",
    ),
    Metric(
        "sockd_config_last_reload_duration_seconds",
        "gauge",
        "How long the last reload took; 0 before the first.",
    ),
    Metric(
        "sockd_loop_lag_seconds",
        "histogram",
        "How late the reactor's loop comes to a timer, measured ten times a second.",
    ),
    Metric("sockd_bans", "gauge", "Addresses and prefixes that are banned now."),
    Metric(
        "sockd_connections_draining",
        "gauge",
        "Open connections of services that the configuration has no more.",
    ),
    Metric(
        "sockd_log_lines_suppressed_total",
        "counter",
        "Lines that were left out of the log: of their kind, or in all, there were too many.",
    ),
    Metric(
        "sockd_log_lines_lost_total",
        "counter",
        "Lines that the log's file or reader did not take in time, or not at all.",
    ),
    # a service
    Metric(
        "sockd_events_suppressed_total",
        "counter",
        "Refusals and faults of a service that are counted only: too many to have a line each.",
        SERVICE,
    ),
    Metric(
        "sockd_connections_limit",
        "gauge",
        "Connections that a service may have at once (max_connections).",
        SERVICE,
    ),
    Metric("sockd_children", "gauge", "Child processes of a service that run now.", SERVICE),
    Metric(
        "sockd_children_started_total", "counter", "Child processes that were started.", SERVICE
    ),
    Metric(
        "sockd_children_ended_total",
        "counter",
        "Child processes that have ended: success (exit 0), exit (another code) or signal.",
        (*SERVICE, "reason"),
    ),
    # a door
    Metric("sockd_listeners", "gauge", "Addresses that the door is configured to have.", DOOR),
    Metric(
        "sockd_listener_up",
        "gauge",
        "1 where all addresses of the door are listened on, but for what a host may lack: IPv6 of "
        "* and localhost.",
        DOOR,
    ),
    Metric("sockd_accept_queue_length", "gauge", "Connections that wait to be accepted.", DOOR),
    Metric(
        "sockd_accept_queue_limit",
        "gauge",
        "Connections that may wait so; the kernel drops what comes on top.",
        DOOR,
    ),
    Metric("sockd_connections", "gauge", "Connections that are open now.", DOOR),
    Metric("sockd_connections_opened_total", "counter", "Connections that were let in.", DOOR),
    Metric(
        "sockd_connections_closed_total",
        "counter",
        "Connections that have ended, by the reason.",
        REASON,
    ),
    Metric(
        "sockd_connection_duration_seconds",
        "histogram",
        "How long connections that have ended had lasted.",
        DOOR,
    ),
    Metric(
        "sockd_refused_total",
        "counter",
        "Connections and datagrams that were not let in, by the reason.",
        REASON,
    ),
    Metric("sockd_received_bytes_total", "counter", "Bytes that came.", DOOR),
    Metric("sockd_sent_bytes_total", "counter", "Bytes that went.", DOOR),
    Metric("sockd_datagrams_received_total", "counter", "Datagrams that came.", DOOR),
    Metric("sockd_datagrams_sent_total", "counter", "Datagrams that went.", DOOR),
    Metric(
        "sockd_kernel_drops_total",
        "counter",
        "Datagrams that the kernel dropped: the receive buffer was full.",
        DOOR,
    ),
    Metric(
        "sockd_datagram_receive_errors_total",
        "counter",
        "Errors of reading datagrams, and datagrams that were too long.",
        DOOR,
    ),
    Metric(
        "sockd_datagrams_unsent_total", "counter", "Datagrams that the kernel did not take.", DOOR
    ),
    Metric("sockd_service_errors_total", "counter", "Faults in the service's code.", DOOR),
    Metric(
        "sockd_tls_handshakes_total",
        "counter",
        "TLS handshakes, by their result: success or failure.",
        (*DOOR, "result"),
    ),
    Metric(
        "sockd_certificate_expiry_timestamp_seconds",
        "gauge",
        "When the certificate that ends first does so, as Unix time.",
        DOOR,
    ),
    # the chat
    Metric("sockd_chat_users", "gauge", "Users who are logged in now.", DOOR),
    Metric(
        "sockd_chat_deliveries_total",
        "counter",
        "Events that were sent, one for each user that they were sent to.",
        DOOR,
    ),
    Metric(
        "sockd_chat_dropped_total",
        "counter",
        "Events that were dropped: not believed, too many, or more than somebody read.",
        (*SERVICE, "reason"),
    ),
    # the process
    Metric("process_cpu_seconds_total", "counter", "Time on a processor, user and system."),
    Metric("process_resident_memory_bytes", "gauge", "Memory that is resident."),
    Metric("process_virtual_memory_bytes", "gauge", "Virtual memory."),
    Metric("process_open_fds", "gauge", "Descriptors that are open."),
    Metric("process_max_fds", "gauge", "Descriptors that may be open."),
    Metric("process_threads", "gauge", "Threads."),
    Metric(
        "process_start_time_seconds",
        "gauge",
        "When the process has begun, as Unix time: an upgrade goes on in the same one.",
    ),
)
METRICS: Mapping[str, Metric] = {row.name: row for row in _ROWS}
