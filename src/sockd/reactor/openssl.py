"""What TLS on the socket needs of pyOpenSSL, much of which it has promised to nobody.

Its own `recv` and `send` take as long again as what they call. `missing` tells what is not there.
"""

from __future__ import annotations

import socket
from typing import Any

from OpenSSL import SSL
from OpenSSL._util import ffi, lib

RECORD_BYTES = 16 * 1024
"""The longest piece of text in one record (RFC 8446, 5.1)."""
_FLIGHT_BYTES = 4 * 1024
"""What a connection in memory says in one go; an ordinary flight is shorter."""
_FUNCTIONS = (
    "BIO_read",
    "BIO_write",
    "ERR_clear_error",
    "SSL_clear_mode",
    "SSL_do_handshake",
    "SSL_get_error",
    "SSL_read",
    "SSL_set_fd",
    "SSL_set_info_callback",
    "SSL_set_mode",
    "SSL_shutdown",
    "SSL_write",
)
_ATTRIBUTES = (
    "_context",
    "_from_ssl",
    "_into_ssl",
    "_raise_ssl_error",
    "_socket",
    "_ssl",
    "set_options",
)


def missing() -> str:
    """What of this pyOpenSSL is not as it was when this was written; empty where all of it is."""
    for name in _FUNCTIONS:
        if not hasattr(lib, name):
            return f"OpenSSL._util.lib has no {name}"
    connection = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
    for name in _ATTRIBUTES:
        if not hasattr(connection, name):
            return f"OpenSSL.SSL.Connection has no {name}"
    return ""


SSL_read, SSL_write, SSL_shutdown = lib.SSL_read, lib.SSL_write, lib.SSL_shutdown
SSL_get_error, forget_errors = lib.SSL_get_error, lib.ERR_clear_error
WANTS_READ, WANTS_WRITE = lib.SSL_ERROR_WANT_READ, lib.SSL_ERROR_WANT_WRITE
ZERO_RETURN = lib.SSL_ERROR_ZERO_RETURN
unpack = ffi.unpack
_flight = ffi.new("char[]", _FLIGHT_BYTES)
_stirred: set[int] = set()
"""Connections that have got something else than data."""


def new_room() -> Any:
    """Where records are decrypted to."""
    return ffi.new("char[]", RECORD_BYTES)


def from_buffer(data: Any) -> Any:
    """OpenSSL's view of bytes."""
    return ffi.from_buffer(data)


def shake(connection: Any, record: bytes) -> bool:
    """Give a record to a connection in memory that shakes hands; whether it is done with it.

    Raises SSL.Error for what is no handshake, and what a callback of its context has raised.
    """
    if record:
        lib.BIO_write(connection._into_ssl, record, len(record))
    result = lib.SSL_do_handshake(connection._ssl)
    if result != 1 and SSL_get_error(connection._ssl, result) == WANTS_READ:
        return False
    connection._raise_ssl_error(connection._ssl, result)
    return True


def said(connection: Any) -> bytes:
    """What a connection in memory has to say to its peer."""
    flight = b""
    while (count := lib.BIO_read(connection._from_ssl, _flight, _FLIGHT_BYTES)) > 0:
        flight += unpack(_flight, count)
        if count < _FLIGHT_BYTES:
            break  # a read that finds nothing costs as much
    return flight


@ffi.callback("void (*)(const SSL *, int, int)")  # type: ignore[untyped-decorator]
def _stir(ssl: Any, where: int, result: int) -> None:
    _stirred.add(_address(ssl))


def _address(ssl: Any) -> int:
    return int(ffi.cast("uintptr_t", ssl))


def on_socket(connection: SSL.Connection, sock: socket.socket) -> SSL.Connection:
    """Have a connection that was made for a memory BIO read and write a socket."""
    made: Any = connection
    if lib.SSL_set_fd(made._ssl, sock.fileno()) != 1:
        forget_errors()
        raise OSError("OpenSSL does not take the socket")
    made._socket = sock
    made._into_ssl = made._from_ssl = None  # OpenSSL has freed them
    # a read is one record, a write too; what waits to be sent may have moved meanwhile
    lib.SSL_clear_mode(made._ssl, lib.SSL_MODE_AUTO_RETRY)
    lib.SSL_set_mode(
        made._ssl,
        lib.SSL_MODE_ENABLE_PARTIAL_WRITE
        | lib.SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
        | lib.SSL_MODE_RELEASE_BUFFERS,
    )
    return connection


def established(connection: Any, takes_cut: bool) -> None:
    """The handshake is done: from now on whatever is no data is noticed.

    `takes_cut`: the end of the stream without TLS's own is as good as that.
    """
    lib.SSL_set_info_callback(connection._ssl, _stir)
    if takes_cut:
        connection.set_options(SSL.OP_IGNORE_UNEXPECTED_EOF)


def has_stirred(ssl: Any) -> bool:
    """Whether something else than data has come to a connection since this was last asked."""
    if not _stirred:
        return False
    address = _address(ssl)
    if address in _stirred:
        _stirred.remove(address)
        return True
    return False


def let_go(connection: Any) -> None:
    """Have it read and write nothing any more: its socket is closed."""
    if connection is not None:
        lib.SSL_set_fd(connection._ssl, -1)
        _stirred.discard(_address(connection._ssl))


def fault(connection: Any, count: int) -> Exception:
    """What a call that returned `count` has failed of: see `fault_of`."""
    try:
        connection._raise_ssl_error(connection._ssl, count)
    except SSL.Error as error:
        return fault_of(error)
    return fault_of(SSL.Error([]))


def fault_of(error: SSL.Error) -> Exception:
    """What has gone wrong: an OSError of the socket or its end, an SSL.Error of what came."""
    forget_errors()
    if isinstance(error, SSL.SysCallError):
        return OSError(*error.args)
    # OpenSSL 4 has nothing to say of an end without close_notify
    return error if error.args and error.args[0] else ConnectionError("the peer has ended it")
