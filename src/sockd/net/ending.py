"""Why a connection has ended that we did not end."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from sockd.access.reasons import Reason, because
from sockd.reactor.records import EMPTY_RECORDS, TooManyRecords

PEER_CLOSED = because("peer_closed")
CONNECTION_LOST = because("connection_lost")
HANDSHAKE_ENDED = because("handshake_ended")
TLS_RECORDS = because("tls_records", limit=EMPTY_RECORDS)


def why(failure: Failure, *, is_open: bool) -> Reason:
    """The reason for what a transport says. One that was not open was in its TLS handshake."""
    if failure.check(ConnectionDone, ConnectionLost):
        if not is_open:
            return HANDSHAKE_ENDED
        return PEER_CLOSED if failure.check(ConnectionDone) else CONNECTION_LOST
    if failure.check(TooManyRecords):
        return TLS_RECORDS
    error = failure.value
    if isinstance(error, SSL.Error) and error.args:
        queue = error.args[0]
        if isinstance(queue, list) and queue:  # OpenSSL's, of (library, function, reason)
            return because("tls_error", detail=", ".join(str(entry[-1]) for entry in queue))
    return because("system_error", detail=failure.getErrorMessage())
