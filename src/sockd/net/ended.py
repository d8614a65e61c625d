"""Why a connection has ended that we did not end."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from sockd.access.reasons import Reason, because
from sockd.reactor.records import TooManyRecords

PEER_CLOSED = because("peer_closed")
_CONNECTION_LOST = because("connection_lost")
_HANDSHAKE_ENDED = because("handshake_ended")


def why_ended(failure: Failure, *, is_open: bool) -> Reason:
    """What Twisted says of it, as a reason. One that was not open was in its TLS handshake."""
    if failure.check(ConnectionDone, ConnectionLost):
        if not is_open:
            return _HANDSHAKE_ENDED
        return PEER_CLOSED if failure.check(ConnectionDone) else _CONNECTION_LOST
    error = failure.value
    if isinstance(error, TooManyRecords):
        return because("tls_records", limit=error.limit)
    if isinstance(error, SSL.Error) and error.args:
        queue = error.args[0]
        if isinstance(queue, list) and queue:  # OpenSSL's, of (library, function, reason)
            return because("tls_error", detail=", ".join(str(entry[-1]) for entry in queue))
    return because("system_error", detail=failure.getErrorMessage())
