"""Sockets for datagrams, ready to use: bound, aimed, and with room for what comes."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from sockd.client.errors import ClientError, Unreachable, UsageFault
from sockd.client.net import icmp, interfaces, socket_files
from sockd.client.net.addresses import canonical, full, meant, version_of
from sockd.client.net.interfaces import Interface, Way
from sockd.client.net.socket_files import LONGEST_PATH
from sockd.client.net.system import words
from sockd.formats.hostport import host_port
from sockd.reactor import sockaddr
from sockd.reactor.ancillary import Wanted
from sockd.reactor.sockaddr import Address

RECEIVE_BUFFER = 4 * 1024 * 1024
"""Bytes that may wait to be received: a second of 4,000 long datagrams while the display redraws.

The kernel may give less (net.core.rmem_max)."""
DEFAULT_HOPS = 1
"""Routers that a multicast may pass, and one: it stays on the link (RFC 1112)."""
_FOLDER_MODE = 0o711
_FILE_MODE = 0o666

_WILDCARD = {4: "0.0.0.0", 6: "::"}

# linux/in.h, linux/in6.h, asm-generic/socket.h
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_IP_MULTICAST_ALL = 49
_IPV6_MULTICAST_ALL = 29
_MEMINFO = struct.Struct("=9I")
_MEMINFO_DROPS = 8


class NotSent(ClientError):
    """The kernel did not take a datagram, as it has no room for it now."""

    reason = "not_sent"


@frozen(kw_only=True)
class Opened:
    """A socket that is ready, and what is known of it."""

    sock: socket.socket
    others: socket.socket | None = None
    """Of one that is connected: hears what comes to the same port from other addresses."""
    address: Address
    """Where it sends: host and port, or the path and 0. For a listener: the group."""
    name: str
    """The same for people."""
    is_many: bool = False
    """Whether several may answer: a broadcast or a multicast."""
    is_listener: bool = False
    """Whether it only hears: it has joined a group."""
    source: str = ""
    """Our address that its datagrams leave from, where that is certain."""
    receive_buffer: int = 0
    """Bytes that the kernel has given it."""
    folder: str = ""
    """A temporary one with its socket file."""
    joined: tuple[str, ...] = ()
    """The interfaces on which it listens for the group."""

    @property
    def wants(self) -> Wanted:
        """What is to be told of each datagram."""
        return Wanted.TIME | Wanted.INTERFACE if self.is_many or self.is_listener else Wanted.TIME

    @property
    def send_to(self) -> Address | None:
        """Whom the kernel is told to send to; None where it is connected."""
        return self.address if self.others is None else None

    @property
    def hears_anyone(self) -> bool:
        """Whether an answer need not come from `address`. A Unix socket hears its peer alone, whose
        path may be written otherwise."""
        return self.is_many or self.is_listener or self.sock.family == socket.AF_UNIX

    def close(self) -> None:
        """Close it, and remove its file."""
        self.sock.close()
        if self.others is not None:
            self.others.close()
        if self.folder:
            socket_files.remove(self.folder)


def to_host(
    address: Address,
    *,
    interface: str = "",
    hops: int = DEFAULT_HOPS,
    has_ports: bool = False,
    name: str = "",
) -> Opened:
    """A socket to one address of IPv4 or IPv6, of a broadcast, or of a group; messages say `name`.

    To one host it is connected, which makes each datagram cheaper, unless it `has_ports` to ask. An
    answer from an address that was not asked, as a server on all of its addresses may send, would
    never be seen: a second socket at the same port hears those. Raises UsageFault, Unreachable.
    """
    host, port = meant(address[0]), address[1]
    version = version_of((host, port))
    known = () if version == 6 and not interface else interfaces.read()
    way = interfaces.way(interface, known, version)
    target = canonical(host, way.interface), port
    is_broadcast = version == 4 and interfaces.is_broadcast(target[0], known)
    is_group = interfaces.is_multicast(target[0])
    is_many = is_broadcast or is_group or has_ports
    sock = _make(socket.AF_INET if version == 4 else socket.AF_INET6)
    name = name or host_port(host, port)
    try:
        receive_buffer = _prepare(sock)
        _aim(sock, way, is_broadcast=is_broadcast, hops=hops if is_group else None)
        source, others = _attach(sock, target, way, is_many)
    except (OSError, UsageFault) as error:
        sock.close()
        raise failure(error, f"cannot send to {name}") from None
    return Opened(
        sock=sock,
        others=others,
        address=target,
        name=name,
        is_many=is_many,
        source=source,
        receive_buffer=receive_buffer,
    )


def _attach(
    sock: socket.socket, target: Address, way: interfaces.Way, is_many: bool
) -> tuple[str, socket.socket | None]:
    """Bind a socket to what hears many, or connect it; the source, and the second socket."""
    source = canonical(way.source, way.interface) if way.source else ""
    if is_many:
        sock.bind(full((source or _WILDCARD[version_of(target)], 0)))
        return source, None
    source = source or _source(sock, target, way)
    return source, _connect(sock, source, target)


def to_group(address: Address, *, interface: str = "") -> Opened:
    """A socket that hears a multicast group, on one interface or on all that can.

    The port may be shared with others on this host. Raises UsageFault, Unreachable.
    """
    host, port = address
    version = version_of(address)
    known = interfaces.read()
    way = interfaces.way(interface, known, version)
    if not interfaces.is_multicast(host):
        raise UsageFault(f"{host} is no address of a multicast group")
    ways = _joinable(way, known, version, host)
    group = canonical(host, ways[0] if len(ways) == 1 else None)
    sock = _make(socket.AF_INET if version == 4 else socket.AF_INET6)
    name = host_port(host, port)
    try:
        receive_buffer = _prepare(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        joined = _join(sock, host.partition("%")[0], ways)
        # on the wildcard it would hear what comes to the port by other addresses, too
        sock.bind((host, port) if version == 4 else ("::", port))
    except OSError as error:
        sock.close()
        raise failure(error, f"cannot listen for {name}") from None
    return Opened(
        sock=sock,
        address=(group, port),
        name=name,
        is_listener=True,
        receive_buffer=receive_buffer,
        joined=joined,
    )


def to_path(path: str) -> Opened:
    """A socket to a Unix datagram socket, with a file of its own that answers come to.

    The server may run as another user, so it may write to the file; it is connected, so nobody else
    can; and the folder around it cannot be listed. Raises UsageFault, Unreachable.
    """
    if not path or "\0" in path or len(os.fsencode(path)) > LONGEST_PATH:
        raise UsageFault(f"no socket can have the path {path!r}: it has 1 to {LONGEST_PATH} bytes")
    folder = socket_files.make()
    sock = _make(socket.AF_UNIX)
    opened = Opened(sock=sock, address=(path, 0), name=path, folder=folder)
    try:
        file = Path(folder, "sock")
        sock.bind(str(file))
        file.chmod(_FILE_MODE)
        sock.connect(path)
        Path(folder).chmod(_FOLDER_MODE)
    except OSError as error:
        opened.close()
        raise failure(error, f"cannot send to {path}") from None
    return opened


def drops(sock: socket.socket) -> int:
    """Datagrams that have found the socket's receive queue full so far, as the kernel knows."""
    try:
        raw = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
    except OSError:  # another system, or an old one
        return 0
    return int(_MEMINFO.unpack(raw)[_MEMINFO_DROPS]) if len(raw) == _MEMINFO.size else 0


def failure(error: OSError | UsageFault, what: str, is_many: bool = False) -> ClientError:
    """What the kernel says of a socket or a datagram, in the words of the client."""
    if isinstance(error, UsageFault):
        return error
    why = _WORDS.get(error.errno or 0) or words(error)
    if is_many and error.errno == errno.ENETUNREACH:
        why += ": name a device with -I"
    kind = _FAULTS.get(error.errno or 0, Unreachable)
    return kind(f"{what}: {why}")


_WORDS = {
    errno.EMSGSIZE: "the datagram is too long",
    errno.EAGAIN: "the queue of what is to be sent is full",
    errno.ENOENT: "there is no such socket",
    errno.ECONNREFUSED: "nobody listens there",
    errno.EPROTOTYPE: "it is a socket of another kind",
}
_FAULTS: dict[int, type[ClientError]] = {
    errno.EMSGSIZE: UsageFault,
    errno.EAGAIN: NotSent,
    errno.ENOBUFS: NotSent,
    errno.ENOMEM: NotSent,
}


def _make(family: socket.AddressFamily) -> socket.socket:
    try:
        return socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:
        raise failure(error, "cannot open a socket") from None


def _prepare(sock: socket.socket) -> int:
    """What every Internet socket has; returns the size of its receive buffer."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    icmp.listen(sock)
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except OSError:  # it takes a privilege, and Linux
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    # the kernel doubles what is asked for, to have room for its own bookkeeping
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2


def _aim(sock: socket.socket, way: Way, *, is_broadcast: bool, hops: int | None) -> None:
    """Which way datagrams leave. `hops`: of a multicast. Raises OSError."""
    if is_broadcast:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    if way.interface is not None:
        interfaces.use_device(sock, way.interface)
    if hops is None:
        return
    index = way.interface.index if way.interface else 0
    if sock.family == socket.AF_INET:
        source = socket.inet_aton(way.source or "0.0.0.0")
        mreqn = struct.pack("=4s4si", bytes(4), source, index)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, mreqn)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, hops)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, hops)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)


def _source(sock: socket.socket, target: Address, way: Way) -> str:
    """The address of ours from which the kernel would send there. Raises OSError."""
    with socket.socket(sock.family, socket.SOCK_DGRAM) as trial:
        if way.interface is not None:
            interfaces.use_device(trial, way.interface)
        trial.connect(full((target[0], target[1] or 9)))
        host, _, *more = trial.getsockname()
    return canonical(sockaddr.scoped(host.partition("%")[0], more[1]) if more else host)


def _connect(sock: socket.socket, source: str, target: Address) -> socket.socket:
    """Connect it; returns the socket that hears the others. Raises OSError."""
    others = socket.socket(sock.family, socket.SOCK_DGRAM)
    try:
        sock.bind(full((source, 0)))
        # only now, and only for a moment: nobody else is to have the same port
        for one in (sock, others):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        others.bind(sock.getsockname())
        for one in (sock, others):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        sock.connect(full(target))
    except OSError:
        others.close()
        raise
    return others


def _joinable(
    way: Way, known: Sequence[Interface], version: int, host: str
) -> tuple[Interface, ...]:
    scope = host.partition("%")[2]
    if scope:
        return (_named(scope, known),)
    if way.interface is not None:
        return (way.interface,)
    if way.source:
        return tuple(one for one in known if way.source in one.of_version(version))[:1]
    found = interfaces.to_join(known, version)
    if not found:
        raise Unreachable(f"cannot listen for {host}: no interface has an address of IPv{version}")
    return found


def _named(scope: str, known: Sequence[Interface]) -> Interface:
    for one in known:
        if scope in (one.name, str(one.index)):
            return one
    raise UsageFault(f"there is no interface {scope}")


def _join(sock: socket.socket, group: str, ways: Sequence[Interface]) -> tuple[str, ...]:
    """Join on each; returns those where it could be. Raises OSError where it could on none."""
    family = sock.family
    last: OSError | None = None
    joined = []
    for one in ways:
        try:
            if family == socket.AF_INET:
                mreqn = struct.pack("=4s4si", socket.inet_aton(group), bytes(4), one.index)
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, mreqn)
            else:
                mreq = socket.inet_pton(family, group) + struct.pack("=I", one.index)
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, mreq)
        except OSError as error:  # it has gone, or there are more than one socket may join
            last = error
        else:
            joined.append(one.name)
    if not joined:
        raise last or OSError(errno.ENODEV, os.strerror(errno.ENODEV))
    with suppress(OSError):  # another system
        if family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
    return tuple(joined)
