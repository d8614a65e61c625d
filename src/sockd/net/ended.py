"""Why a connection has ended that we did not end."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from sockd.access.reasons import Reason, because
from sockd.reactor.records import EMPTY_RECORDS, TooManyRecords

PEER_CLOSED = because("peer_closed")
_CONNECTION_LOST = because("connection_lost")
_HANDSHAKE_ENDED = because("handshake_ended")


def why_ended(failure: Failure, *, in_handshake: bool) -> Reason:
    """What Twisted says of it, as a reason; `in_handshake`: before TLS was there."""
    if failure.check(ConnectionDone):
        return _HANDSHAKE_ENDED if in_handshake else PEER_CLOSED
    if failure.check(ConnectionLost):
        return _HANDSHAKE_ENDED if in_handshake else _CONNECTION_LOST
    if failure.check(TooManyRecords):
        return because("tls_records", limit=EMPTY_RECORDS)
    error = failure.value
    if isinstance(error, SSL.Error) and error.args:
        queue = error.args[0]
        if isinstance(queue, list):  # OpenSSL's, of (library, function, reason)
            return because("tls_error", detail=", ".join(str(entry[-1]) for entry in queue))
    return because("system_error", detail=failure.getErrorMessage())
