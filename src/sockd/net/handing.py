"""A connection's socket in the hands of a program, which has it as its own descriptors.

What a socket does when it cannot go on, block or return, is a property of the socket and not of the
descriptor: the program has it block, as programs expect, so the daemon reads and writes nothing of
it meanwhile, and trusts nothing that the program may have set when it has it back.
"""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress

from sockd.net.process import Descriptors

UNREAD_BYTES = 1024 * 1024
"""What is read and dropped of what a program has left unread: were it closed with that, the kernel
would reset the connection, and the peer might lose the end of what it was sent."""
_NO_LINGER = struct.pack("=ii", 0, 0)


def hand_over(sock: socket.socket) -> Descriptors:
    """Have it block: what a program gets that speaks over it."""
    os.set_blocking(sock.fileno(), True)
    return dict.fromkeys((0, 1, 2), sock.fileno())


def take_back(sock: socket.socket) -> None:
    """The program has ended, or is to: closing it is to wait for nothing, and reset nothing."""
    os.set_blocking(sock.fileno(), False)
    with suppress(OSError):  # reset already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        left = UNREAD_BYTES
        # MSG_DONTWAIT: what the program has left behind may still have it block
        while left > 0 and (dropped := len(sock.recv(64 * 1024, socket.MSG_DONTWAIT))):
            left -= dropped
