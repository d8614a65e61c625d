"""Bound sockets for listen strings, and why there is none: who holds the address.

A listen string becomes a socket here and nowhere else; what listens on it adopts it. So a bind
fails where it is asked for, with its reason, and `sockd check --bind` asks the same way.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sockd.listen.address import WILDCARDS
from sockd.listen.kept_names import PREFIX
from sockd.listen.listen import Listen
from sockd.listen.runtime import make_runtime_directory
from sockd.listen.socket_files import Identity, InUseError, SocketFileError, bind_file
from sockd.options.runtime import runtime_directory
from sockd.reactor.sockaddr import interface_number, to_bind

_SO_RCVBUFFORCE = 33
"""Linux: a receive buffer beyond net.core.rmem_max, for those who may (CAP_NET_ADMIN)."""


_IPV6_ADDRESSES = Path("/proc/self/net/if_inet6")
"""Linux: this host's IPv6 addresses, a line each; there even where all of /proc but processes is
hidden."""
FIRST_HANDED_OVER = 3
"""The first descriptor that a service manager hands over (SD_LISTEN_FDS_START)."""


_BY_US = ", held by this daemon"


class ListenError(Exception):
    """An address that cannot be listened on, and the reason."""

    def __init__(self, listen: Listen, why: str, number: int = 0) -> None:
        super().__init__(f"cannot listen on {listen}: {why}")
        self.listen = listen
        self.why = why
        self.no_such_address = number in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
        self.lacks_right = number == errno.EACCES and not listen.path
        """Whether its port is one that not everybody may bind."""

    def is_fatal(self, *, is_required: bool) -> bool:
        """Whether a start fails with it; else the address is skipped, or tried again later."""
        if self.listen.transport == "multicast" or not is_required:
            return False
        return not (self.listen.terms.optional and self.no_such_address)


def failures(errors: Iterable[ListenError]) -> list[str]:
    """What to say of addresses that cannot be had: once where one string stands for two."""
    found: dict[tuple[str, str], list[ListenError]] = {}
    for error in errors:
        found.setdefault((error.listen.text, error.why), []).append(error)
    lines = []
    for (_, why), (first, *others) in found.items():
        places = [str(first.listen), *(str(error.listen.address) for error in others)]
        lines.append(f"cannot listen on {' and '.join(places)}: {why}")
    return lines


def bound(listen: Listen, beside: Sequence[socket.socket] = ()) -> socket.socket:
    """A non-blocking socket bound to the address; a stream one listens. Raises ListenError.

    `beside` has sockets of our own that are to go once this one is there: what they hold between
    them and this one, such as the port of a wildcard, does not stop it. Beside them it does not
    listen yet: it would take from them who comes, before it is sure that they go.
    """
    return bound_file(listen, beside)[0]


def bound_file(
    listen: Listen, beside: Sequence[socket.socket] = (), *, is_left: bool = False
) -> tuple[socket.socket, Identity | None]:
    """The same, and the identity of the file that was made, if one was.

    `is_left`: see `sharing_ports`.
    """
    if listen.systemd:
        return _inherited(listen), None
    datagram = listen.address.is_datagram
    kind = socket.SOCK_DGRAM if datagram else socket.SOCK_STREAM
    family = socket.AF_UNIX if listen.path else _family(listen.host)
    try:
        sock = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    except OSError as error:
        raise ListenError(listen, error.strerror or str(error), error.errno or 0) from None
    identity = None
    try:
        if listen.path:
            identity = _bind_path(sock, listen)
        else:
            with sharing_ports(sock, beside, is_left=is_left):
                _bind(sock, listen)
                if not (datagram or beside):
                    sock.listen(listen.terms.backlog)
    except ListenError:
        sock.close()
        raise
    except OSError as error:
        sock.close()
        raise ListenError(listen, _why(listen, error), error.errno or 0) from None
    return sock, identity


def widen(sock: socket.socket, size: int) -> int:
    """Ask for a receive buffer of `size` bytes; returns what the kernel gave."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    # the kernel doubles what is asked for, to have room for its own bookkeeping
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2


def aim(sock: socket.socket, interface: str, ttl: int) -> None:
    """Set where and how far multicast goes. `interface`: an address of ours; empty: as the host's
    routes have it. Raises OSError where there is no such interface.

    Asked again before each message: an interface that was removed and came back is another one.
    """
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, ttl)
        index = _interface_index(interface) if interface else 0
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
        address = socket.inet_aton(interface or "0.0.0.0")
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, address)


def _interface_index(address: str) -> int:
    host, _, scope = address.partition("%")
    wanted = socket.inet_pton(socket.AF_INET6, host).hex()
    number = interface_number(scope)
    for line in _IPV6_ADDRESSES.read_text("ascii").splitlines():
        found, index, *_ = line.split()
        if found == wanted and number in (0, int(index, 16)):
            return int(index, 16)
    raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))


def _is_ipv6_off() -> bool:
    """Whether the host has no IPv6 address, not even loopback's; `::` can be bound all the same."""
    try:
        return not _IPV6_ADDRESSES.read_text("ascii").strip()
    except OSError:
        return False


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _bind(sock: socket.socket, listen: Listen) -> None:
    if listen.transport == "multicast":
        sock.bind(("", 0))
    else:
        _bind_address(sock, listen)


@contextmanager
def sharing_ports(
    sock: socket.socket, beside: Sequence[socket.socket], *, is_left: bool = False
) -> Iterator[None]:
    """Let a socket be bound though others of ours hold its port.

    `is_left`: there may be one that we have no more, and that was turned away (`turn_away`).
    """
    sharers = [sharer for sharer in (sock, *beside) if sharer.family != socket.AF_UNIX]
    if not (beside or is_left):
        yield
        return
    share = socket.SOL_SOCKET, socket.SO_REUSEPORT
    before = [sharer.getsockopt(*share) for sharer in sharers]
    for sharer in sharers:
        sharer.setsockopt(*share, 1)
    try:
        yield
    finally:
        # nobody else may join them later, but those that nobody comes to
        for sharer, was in zip(sharers, before, strict=True):
            sharer.setsockopt(*share, was)


def _bind_address(sock: socket.socket, listen: Listen) -> None:
    if sock.type == socket.SOCK_STREAM:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # connections inherit it: answers are written in batches, so waiting for more to send with
        # them (Nagle) only adds the 40 ms of a delayed acknowledgement
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if sock.family == socket.AF_INET6:
        # so that 0.0.0.0 and :: can both be listened on, each by its own socket
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if listen.host == "::" and _is_ipv6_off():
            raise ListenError(listen, "IPv6 is off on this host", errno.EADDRNOTAVAIL)
    sock.bind(to_bind(listen.host, listen.port))


def _bind_path(sock: socket.socket, listen: Listen) -> Identity:
    parent = str(Path(listen.path).parent)
    if parent == runtime_directory(os.environ, os.getuid()):
        make_runtime_directory(parent)
    try:
        terms = listen.terms
        return bind_file(sock, listen.path, terms.mode, terms.backlog, terms.owner)
    except SocketFileError as error:
        raise ListenError(listen, str(error)) from None
    except InUseError:
        holder = _holder(listen)
        who = "this daemon listens there already"
        if holder != _BY_US:
            who = f"another process listens there{holder}"
        raise ListenError(listen, who) from None


def _inherited(listen: Listen) -> socket.socket:
    """A duplicate of a socket that the service manager opened."""
    given = [one for one in handed_over() if not one[0].startswith(PREFIX)]
    is_index = listen.systemd.isdigit()
    # all sockets of a unit may have one name: the first one of the right type is meant
    for place, (name, descriptor) in enumerate(given):
        if listen.systemd != (str(place) if is_index else name):
            continue
        try:
            original = socket.socket(fileno=descriptor)
        except OSError as error:
            raise ListenError(listen, f"descriptor {descriptor}: {error.strerror}") from None
        sock = original.dup()
        original.detach()
        if _is_for(sock, listen):
            sock.setblocking(False)
            return sock
        sock.close()
    if any(listen.systemd in (str(place), name) for place, (name, _) in enumerate(given)):
        raise ListenError(
            listen, f"the socket that was handed over is of another type than {listen.transport}"
        )
    names = ", ".join(name for name, _ in given) or "none"
    raise ListenError(listen, f"not handed over by the service manager; it gave {names}")


def handed_over() -> list[tuple[str, int]]:
    """Name and descriptor of what this process was given (sd_listen_fds_with_names): sockets of the
    service manager, then those that the last daemon left to this one."""
    given = _first_environment()
    if given.get("LISTEN_PID") != str(os.getpid()):
        return []
    try:
        count = int(given.get("LISTEN_FDS", ""))
    except ValueError:
        return []
    names = given.get("LISTEN_FDNAMES", "").split(":")
    if len(names) != count:
        names = ["unknown"] * count
    return [(name, FIRST_HANDED_OVER + place) for place, name in enumerate(names)]


def _first_environment() -> Mapping[str, str]:
    """The environment that this process was started with.

    Importing `twisted.internet.endpoints`, which much of Twisted does, takes these variables out of
    `os.environ`; the kernel still has them.
    """
    try:
        text = os.fsdecode(Path("/proc/self/environ").read_bytes())
    except OSError:
        return os.environ
    return dict(pair.split("=", 1) for pair in text.split("\0") if "=" in pair)


def _is_for(sock: socket.socket, listen: Listen) -> bool:
    is_datagram = listen.transport in ("udp", "unixgram")
    is_local = listen.transport in ("unix", "unixgram")
    return (sock.type == socket.SOCK_DGRAM) == is_datagram and (
        (sock.family == socket.AF_UNIX) == is_local
    )


def _why(listen: Listen, error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.errno == errno.EADDRINUSE:
        return f"address in use{_holder(listen)}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{reason}: no interface of this host has it"
    if error.errno == errno.EINVAL and listen.host.startswith("fe80:"):
        return f"{reason}: it is on every interface; name one, as in [{listen.host}%eth0]"
    if error.errno == errno.EACCES and not listen.path and listen.port < 1024:
        return f"{reason}: ports below 1024 need root or CAP_NET_BIND_SERVICE"
    if error.errno == errno.ENOENT:
        return f"{reason}: {Path(listen.path).parent} is not there"
    return reason


def _holder(listen: Listen) -> str:
    """`, held by NAME (process N)` where it can be read, else nothing."""
    import psutil  # only a failure needs it, and it takes long to import

    wanted = "unix" if listen.path else ("udp" if listen.transport == "udp" else "tcp")
    try:
        for connection in psutil.net_connections(wanted):
            if connection.pid is None or not is_at(connection, listen):
                continue
            if connection.pid != os.getpid():
                return (
                    f", held by {psutil.Process(connection.pid).name()} (process {connection.pid})"
                )
            return _BY_US
    except (psutil.Error, OSError):
        return ""
    return ""


def is_at(connection: object, listen: Listen) -> bool:
    """Whether a socket, as psutil has it, is in the way of an address."""
    address = getattr(connection, "laddr", None)
    if listen.path:
        return address == listen.path
    if not address or getattr(connection, "status", "") not in ("LISTEN", "NONE"):
        return False
    host = listen.host.partition("%")[0]
    return address.port == listen.port and (
        address.ip == host or address.ip in WILDCARDS or host in WILDCARDS
    )
