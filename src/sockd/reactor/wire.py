"""How a datagram socket is read and written: in batches where the system can, else one by one.

No error goes further than this: what the kernel says is counted by its name.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, repeat

from sockd.reactor import ancillary, mmsg, sockaddr
from sockd.reactor.ancillary import NOTHING, Beside, Told, Wanted
from sockd.reactor.audience import Audience
from sockd.reactor.clocks import ClockReading, read_clocks
from sockd.reactor.mmsg import BATCH
from sockd.reactor.sockaddr import Address, Ancillary

BATCH_BYTES = 65_536
"""Bytes after which a pass is over too: 32 of the longest datagrams can be work for a second."""
MAX_DATAGRAM = mmsg.LONGEST
"""Longest datagram that is taken whole: what UDP can carry. A longer Unix datagram is dropped."""
_ANCILLARY_BYTES = 128
"""Room for what the kernel says beside a datagram that is received by itself."""

Destination = Ancillary
"""The address that was asked, as ancillary data: the answer leaves from it."""
Datagram = tuple[bytes, Address, Destination | None, int | None, int | None, Told | None]
"""Data, its sender, the address that was asked (where the socket has several, or
`Wanted.INTERFACE`), the process and the user who sent it (Unix sockets), and what the protocol
wanted to be told beside it, if anything. A plain tuple: with names it would take 0.1 µs more."""
Answer = tuple[bytes, Address, Destination | None]
"""Data, where it goes, and the address that it leaves from, where that matters."""

_UDP_SEGMENT = 103
"""linux/udp.h."""
_SEGMENT_SIZE = struct.Struct("=H")
_LONGEST_SEGMENT = 65_507 // BATCH
"""Bytes: all of a batch together are one datagram's worth at most."""
_CANNOT_SEGMENT = {errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.ENOPROTOOPT, errno.EOPNOTSUPP}

Stamped = tuple[bytes, Address, int | None, int | None, str | None]
"""Data, its sender, and what `Told` has: the kernel's time, the interface, the destination."""

_NONE: Iterable[None] = repeat(None)
_NOTHING_READ: tuple[tuple[bytes, ...], tuple[bytes, ...], tuple[bytes, ...]] = ((), (), ())


class Wire:
    """A bound datagram socket, read and written one datagram a call.

    `counts` has what went wrong: `receive NAME` and `send NAME` by errno name, `dropped` (the
    kernel's buffer was full when sending), `overflow` (it was full when a datagram came),
    `truncated` (longer than `MAX_DATAGRAM`). `failed` is called with each error of receiving.
    """

    def __init__(
        self, sock: socket.socket, failed: Callable[[OSError], None], wants: Wanted = NOTHING
    ) -> None:
        self.socket = sock
        self.counts: Counter[str] = Counter()
        self.last_error = ""
        self.last_errno = 0
        self.is_local = sock.family == socket.AF_UNIX
        self._write_name = sockaddr.WRITE.get(sock.family, sockaddr.WRITE[socket.AF_INET])
        self._failed = failed
        self._lost = 0
        self._wants = wants
        self._wants_time = Wanted.TIME in wants  # here: flags take a while
        self._tells_asked = False
        self.read_at = ClockReading(0, 0)
        """Right after the last call that read, where the protocol wants the time."""
        if self.is_local:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        if sys.platform.startswith("linux"):
            self._tells_asked = ancillary.ask(sock, wants)

    @property
    def has_rest(self) -> bool:
        """Whether some of what was read has not been handed out yet."""
        return False

    def receive(self) -> Sequence[Datagram]:
        """What waits: at most `BATCH` datagrams, none after `BATCH_BYTES`."""
        found: list[Datagram] = []
        size = 0
        for _ in range(BATCH):
            try:
                data, beside, flags, sender = self.socket.recvmsg(MAX_DATAGRAM, _ANCILLARY_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                self._count_failure(error)
                continue
            if self._wants_time:
                self.read_at = read_clocks()
            known = ancillary.read(beside)
            self._count_lost(known.lost)
            if flags & socket.MSG_TRUNC:
                self.counts["truncated"] += 1
                continue
            told = ancillary.tell(beside, self._wants) if self._wants else None
            name = self._address(sender)
            found.append((data, name, known.asked, known.pid, known.uid, told))
            size += len(data)
            if size >= BATCH_BYTES:
                break
        return found

    def send(self, answers: Sequence[Answer]) -> list[Answer]:
        """Send, in order; returns those that the kernel did not take. Never raises."""
        return [answer for answer in answers if not self._patiently(self._send_one, *answer)]

    def send_many(self, data: bytes, addresses: Sequence[Address]) -> int:
        """Send the same to each; returns how many the kernel took. Never raises."""
        return sum(self._patiently(self._send_one, data, address, None) for address in addresses)

    def send_all(
        self, data: bytes, audience: Audience, first: int = 0, last: int | None = None
    ) -> int:
        """Send the same to those of an audience from number `first` to before `last`.

        Returns how many the kernel took. Never raises.
        """
        entries = list(audience)[first:last]
        return len(entries) - len(self.send([(data, *entry) for entry in entries]))

    def send_to(self, parts: Sequence[bytes], address: Address | None) -> list[int]:
        """Send datagrams to one address, or where the socket is connected to.

        Returns the numbers of those that the kernel did not take. Never raises.
        """
        return [
            number
            for number, data in enumerate(parts)
            if not self._patiently(self._send_there, data, address)
        ]

    def _send_there(self, data: bytes, address: Address | None) -> int:
        if address is not None:
            return self._send_one(data, address, None)
        self.socket.send(data)
        return 1

    def _send_one(self, data: bytes, address: Address, source: Destination | None) -> int:
        if self.is_local:
            self.socket.sendto(data, address[0])
            return 1
        self._write_name(address)  # raises OSError: a name would be looked up, which takes time
        if source is None:
            self.socket.sendto(data, address)
        else:
            self.socket.sendmsg([data], [source], 0, address)
        return 1

    def _patiently(self, send: Callable[..., int], *args: object) -> int:
        """What `send` returns; 0 where the kernel refuses, which is counted.

        It has a second try: an error that an earlier datagram has brought on belongs to nobody.
        """
        for is_last in (False, True):
            try:
                return send(*args)
            except BlockingIOError:
                self.last_error = "the send buffer is full"
                self.last_errno = errno.EAGAIN
                self.counts["dropped"] += 1
                break
            except OSError as error:
                if is_last:
                    self._count_refusal(error)
        return 0

    def _count_refusal(self, error: OSError) -> None:
        self.last_error = error.strerror or str(error)
        self.last_errno = error.errno or 0
        self.counts[f"send {_errno_name(error)}"] += 1

    def _count_failure(self, error: OSError) -> None:
        self.counts[f"receive {_errno_name(error)}"] += 1
        self._failed(error)

    def _count_lost(self, lost: int | None) -> None:
        if lost is not None and lost != self._lost:
            self.counts["overflow"] += (lost - self._lost) % 2**32
            self._lost = lost

    def _address(
        self, sender: tuple[str, int] | tuple[str, int, int, int] | bytes | str
    ) -> Address:
        if isinstance(sender, tuple):
            host, port, *more = sender
            return (sockaddr.scoped(host, more[1]) if more else host), port
        return os.fsdecode(sender or ""), 0  # bytes, where the name is outside the file system


class BatchWire(Wire):
    """A bound Internet socket, read and written up to `BATCH` datagrams a call (Linux).

    What comes after `BATCH_BYTES` in a call is kept for the next pass: at most 31 datagrams, less
    than the kernel keeps for the socket.
    """

    def __init__(
        self, sock: socket.socket, failed: Callable[[OSError], None], wants: Wanted = NOTHING
    ) -> None:
        super().__init__(sock, failed, wants)
        self._incoming, self._outgoing = mmsg.incoming(), mmsg.outgoing()
        self._name_size = sockaddr.SIZE[sock.family]
        self._read_name = sockaddr.READ[sock.family]
        self._rest: Sequence[Datagram] = ()
        self._can_segment = True
        self.is_timed = wants == Wanted.TIME and not self._tells_asked
        """Whether the time is all that is told: then it is read for a batch at once."""

    @property
    def has_rest(self) -> bool:
        return bool(self._rest)

    def receive(self) -> Sequence[Datagram]:
        if self._rest:
            return self._cut(self._rest)
        data, names, controls = self._read()
        if not data:
            return ()
        asked: Iterable[Destination | None] = _NONE
        told: Iterable[Told | None] = _NONE
        if self.is_timed:
            told = map(Told, self._stamps(len(data), controls[-1]))
        elif self._wants:
            messages = [[*sockaddr.read_ancillary(control)] for control in controls]
            told = [ancillary.tell(control, self._wants) for control in messages]
            asked = self._asked([ancillary.read(control) for control in messages])
        elif controls[-1]:
            asked = self._asked([ancillary.read_bytes(control) for control in controls])
        senders = map(self._read_name, names)
        batch = list(zip(data, senders, asked, _NONE, _NONE, told, strict=False))
        return batch if sum(map(len, data)) < BATCH_BYTES else self._cut(batch)

    def receive_stamped(self) -> list[Stamped]:
        """As `receive`, where `is_timed`: without what is not told, so that each costs half."""
        data, names, controls = self._read()
        if not data:
            return []
        times = self._stamps(len(data), controls[-1])
        return list(zip(data, map(self._read_name, names), times, _NONE, _NONE, strict=False))

    def _read(self) -> tuple[Sequence[bytes], Sequence[bytes], Sequence[bytes]]:
        """Data, names and control messages of what waits; nothing where it fails."""
        every = not self.is_timed and (self._tells_asked or bool(self._wants))
        try:
            found = self._incoming.receive(self.socket.fileno(), self._name_size, every)
        except BlockingIOError:
            return _NOTHING_READ
        except OSError as error:
            self._count_failure(error)
            return _NOTHING_READ
        if self._wants_time:
            self.read_at = read_clocks()
        return found

    def _stamps(self, count: int, last: bytes) -> Iterable[int | None]:
        """When each came, where nothing else is wanted; what was lost is counted."""
        self._count_lost(ancillary.read(sockaddr.read_ancillary(last)).lost)
        incoming = self._incoming
        lengths = incoming.control_lengths(count)
        times = ancillary.stamps(incoming.control_bytes, count, mmsg.CONTROL, lengths)
        if times is not None:
            return times
        messages = map(sockaddr.read_ancillary, incoming.controls(0, count))
        return [ancillary.tell(control, self._wants).time_ns for control in messages]

    def _asked(self, beside: Sequence[Beside]) -> Iterable[Destination | None]:
        """The address that was asked, of each datagram; what was lost is counted."""
        self._count_lost(beside[-1].lost)  # it only grows, so the last one knows it best
        return [facts.asked for facts in beside] if self._tells_asked else _NONE

    def _cut(self, batch: Sequence[Datagram]) -> Sequence[Datagram]:
        ends = accumulate(len(datagram[0]) for datagram in batch)
        count = 1 + sum(end < BATCH_BYTES for end in ends)
        self._rest = batch[count:]
        return batch[:count]

    def send(self, answers: Sequence[Answer]) -> list[Answer]:
        if len(answers) <= BATCH:
            return self._send_batch(answers)
        parts = (answers[first : first + BATCH] for first in range(0, len(answers), BATCH))
        return [refused for part in parts for refused in self._send_batch(part)]

    def _send_batch(self, answers: Sequence[Answer]) -> list[Answer]:
        if len(answers) < 2:
            return super().send(answers)  # which is faster
        data, addresses, sources = zip(*answers, strict=True)
        try:
            names = list(map(self._write_name, addresses))
        except OSError:  # one of them is no address
            return super().send(answers)
        controls: Sequence[bytes] = ()
        if any(sources):
            controls = [sockaddr.write_ancillary(*source) if source else b"" for source in sources]
        self._outgoing.put_data(data)
        self._outgoing.put_names(names, controls)
        return [answers[number] for number in self._send_put(len(answers))]

    def send_many(self, data: bytes, addresses: Sequence[Address]) -> int:
        taken = 0
        self._outgoing.put_data([data] * min(BATCH, len(addresses)))
        for first in range(0, len(addresses), BATCH):
            part = addresses[first : first + BATCH]
            try:
                names = list(map(self._write_name, part))
            except OSError:  # one of them is no address
                taken += super().send_many(data, part)
                continue
            self._outgoing.put_names(names)
            taken += len(part) - len(self._send_put(len(part)))
        return taken

    def send_all(
        self, data: bytes, audience: Audience, first: int = 0, last: int | None = None
    ) -> int:
        crowd = audience.crowd
        if crowd is None:
            return super().send_all(data, audience, first, last)
        crowd.hold(data)
        end = min(len(audience), len(audience) if last is None else last)
        return end - first - len(self._send_each(crowd.send, first, end))

    def send_to(self, parts: Sequence[bytes], address: Address | None) -> list[int]:
        refused = []
        for first in range(0, len(parts), BATCH):
            part = parts[first : first + BATCH]
            if address is None and self._send_segments(part):
                continue
            try:
                name = b"" if address is None else self._write_name(address)
            except OSError:  # it is no address
                return super().send_to(parts, address)
            self._outgoing.put_data(part)
            self._outgoing.put_names([name] * len(part))
            refused += [first + number for number in self._send_put(len(part))]
        return refused

    def _send_segments(self, parts: Sequence[bytes]) -> bool:
        """Send datagrams of one size as one, which the kernel takes apart again (UDP_SEGMENT).

        So they pass its way down once. Returns whether it took them: not where they differ, where
        it does not know this, or where one would not fit the network in one piece.
        """
        size = len(parts[0])
        is_even = 0 < size <= _LONGEST_SEGMENT and len(parts) > 1
        if not (self._can_segment and is_even and all(len(part) == size for part in parts)):
            return False
        told = [(socket.IPPROTO_UDP, _UDP_SEGMENT, _SEGMENT_SIZE.pack(size))]
        try:
            self.socket.sendmsg(parts, told, socket.MSG_DONTWAIT)
        except OSError as error:  # an error of an earlier one, or a full buffer: one by one
            self._can_segment = error.errno not in _CANNOT_SEGMENT
            return False
        return True

    def _send_put(self, count: int) -> list[int]:
        """Send what is in place; returns the numbers of those that the kernel did not take."""
        return self._send_each(self._outgoing.send, 0, count)

    def _send_each(self, send: Callable[[int, int, int], int], first: int, last: int) -> list[int]:
        refused = []
        sent, descriptor = first, self.socket.fileno()
        while sent < last:
            taken = self._patiently(send, descriptor, sent, last)
            if not taken:
                refused.append(sent)
            sent += taken or 1
        return refused


def open_wire(
    sock: socket.socket,
    failed: Callable[[OSError], None],
    in_batches: bool,
    wants: Wanted = NOTHING,
) -> Wire:
    """The fastest way to use a socket that this system has, or the plain one."""
    is_fast = in_batches and sock.family in sockaddr.SIZE and mmsg.is_available()
    return (BatchWire if is_fast else Wire)(sock, failed, wants)


def _errno_name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, str(error.errno))
