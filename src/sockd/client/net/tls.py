"""TLS over a channel: a channel itself, which can finish sending and go on reading."""

from __future__ import annotations

import socket
from collections.abc import Callable

from attrs import define, field
from OpenSSL import SSL
from twisted.internet.defer import Deferred

from sockd.client.errors import ClientError
from sockd.client.net.channels import Channel, Receiver

_PIECE = 32 * 1024
"""Bytes that are taken from OpenSSL at once: two of TLS's records."""


@define(eq=False)
class TLSChannel:
    """TLS on top of a channel. First `shake_hands`, and then it is used as any."""

    lower: Channel
    connection: SSL.Connection
    """A client's, over memory."""
    explain: Callable[[SSL.Error | None], ClientError]
    """What an error of OpenSSL's means; None: the other side has ended TCP."""
    receiver: Receiver = field(init=False)
    _error: ClientError | None = field(default=None, init=False)
    _shaking: Deferred[None] | None = field(default=None, init=False)
    _is_ready: bool = field(default=False, init=False)
    _reads: bool = field(default=False, init=False)
    _is_read_out: bool = field(default=False, init=False)
    _is_finished: bool = field(default=False, init=False)
    """Whether we have said that nothing more comes from here."""
    _is_closed: bool = field(default=False, init=False)
    _lower_end: ClientError | bool | None = field(default=None, init=False)
    """What ended the channel below, once something has; True for an end without an error."""

    def __attrs_post_init__(self) -> None:
        self.lower.receiver = self

    @property
    def expires(self) -> float | None:
        """When the other side's certificate ends to hold, in Unix time, once hands are shaken."""
        certificate = self.connection.get_peer_certificate(as_cryptography=True)
        return None if certificate is None else certificate.not_valid_after_utc.timestamp()

    async def shake_hands(self) -> None:
        """Agree on TLS with the other side. Raises what `explain` makes of an error."""
        shaking = self._shaking = Deferred()
        self.lower.resume()
        self._shake()
        await shaking
        self.lower.pause()
        self._is_ready = True

    # what the channel below tells

    def received(self, data: bytes) -> None:
        """From below: bytes of TLS."""
        if self._is_closed or self._is_read_out:
            return
        self.connection.bio_write(data)
        if self._shaking is not None:
            self._shake()
        elif self._reads:
            self._pull()

    def finished(self, is_cut: bool) -> None:
        """From below: TCP has ended."""
        self._lower_end = True
        if self._shaking is not None:
            self._end_handshake(self.explain(None))
        elif self._reads:
            self._pull()

    def failed(self, error: ClientError) -> None:
        """From below: TCP is broken."""
        self._lower_end = error
        if self._shaking is not None:
            self._end_handshake(error)
        elif self._reads:
            self._pull()

    def sent(self) -> None:
        """From below: nothing waits any more."""
        if self._is_ready and not self._is_closed:
            self.receiver.sent()

    # a channel

    @property
    def socket(self) -> socket.socket:
        """The socket beneath it."""
        return self.lower.socket

    @property
    def waiting(self) -> int:
        """Bytes of TLS that wait for the kernel."""
        return self.lower.waiting

    @property
    def write_error(self) -> ClientError | None:
        """Why nothing can be sent any more."""
        return self._error or self.lower.write_error

    def write(self, data: bytes) -> None:
        """Send it, now as far as there is room."""
        if self._is_finished or self._is_closed or self._error is not None:
            return
        try:
            self.connection.sendall(data)
        except SSL.Error as error:
            self._error = self.explain(error)
        self._flush()

    def finish(self) -> None:
        """Say that nothing more is sent, by TLS's own end; TCP stays open, and reading goes on."""
        if not (self._is_finished or self._is_closed):
            self._is_finished = True
            self._say_end()

    def pause(self) -> None:
        """Read no more for now."""
        self._reads = False
        self.lower.pause()

    def resume(self) -> None:
        """Read again; what waits in TLS is handed on at once."""
        if self._reads or self._is_closed or self._is_read_out:
            return
        self._reads = True
        self._pull()
        if self._reads and not self._is_read_out:
            self.lower.resume()

    def close(self) -> None:
        """End it now; the other side is told if there is room."""
        if not self._is_closed:
            if self._is_ready and not self._is_finished:
                self._say_end()
            self._is_closed = True
            self.lower.close()

    def abort(self) -> None:
        """End it now, with a reset."""
        self._is_closed = True
        self.lower.abort()

    # TLS

    def _shake(self) -> None:
        try:
            self.connection.do_handshake()
        except SSL.WantReadError:
            self._flush()
        except SSL.Error as error:
            self._flush()  # an alert tells the other side
            self._end_handshake(self.explain(error))
        else:
            self._flush()
            self._end_handshake(None)

    def _end_handshake(self, error: ClientError | None) -> None:
        shaking, self._shaking = self._shaking, None
        self._error = error
        if shaking is None:
            return
        if error is None:
            shaking.callback(None)
        else:
            shaking.errback(error)

    def _pull(self) -> None:
        """Hand on what TLS has, while it is wanted."""
        while self._reads and not (self._is_closed or self._is_read_out):
            try:
                data = self.connection.recv(_PIECE)
            except SSL.WantReadError:
                if self._lower_end is not None:
                    self._read_out()
                    self._tell_lower_end()
                break
            except SSL.ZeroReturnError:
                self._read_out()
                self.receiver.finished(False)
            except SSL.Error as error:
                self._read_out()
                self._error = self.explain(error)
                self.receiver.failed(self._error)
            else:
                self.receiver.received(data)
        if not self._is_closed:
            self._flush()  # TLS may have answered by itself

    def _tell_lower_end(self) -> None:
        if isinstance(self._lower_end, ClientError):
            self.receiver.failed(self._lower_end)
        else:
            self.receiver.finished(True)

    def _read_out(self) -> None:
        self._is_read_out = True
        self.lower.pause()

    def _say_end(self) -> None:
        try:
            self.connection.shutdown()
        except SSL.Error:  # TLS is over already
            return
        self._flush()

    def _flush(self) -> None:
        while True:
            try:
                self.lower.write(self.connection.bio_read(_PIECE))
            except SSL.WantReadError:
                return
