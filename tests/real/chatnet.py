"""A LAN for the chat: a switch, a server, three hosts, and behind a router one that is far.

Network namespaces at one bridge. Each host's interface is `lan`; the port of the switch that it is
plugged into is called as the host. Addresses: 10.79.1.1 for the server, then anna, bert and carl,
10.79.1.254 for the router, which is the others' way out; behind it far, 10.79.2.2.
"""

from __future__ import annotations

import re
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from attrs import define, frozen

from tests.daemons import namespace, run, socket_on
from tests.processes import Running, followed, variables

SERVER = "10.79.1.1"
NUMBERS = {"server": 1, "anna": 2, "bert": 3, "carl": 4, "router": 254}
FAR, BEHIND = "10.79.2.2", "10.79.2.254"
NOT_SNOOPING = ("mcast_snooping 0",)
SNOOPING = ("mcast_snooping 1 mcast_query_response_interval 10", "mcast_querier 1")
"""What a bridge is told, one after the other. A querier is believed once the time for answers to
its first query is over: a tenth of a second here, and ten by default."""
CHAT = """
[service.chat]
listen = ["udp:2027:interface=*", "tcp:2027:interface=*"]
listen_multicast = ["udp:2029:interface=*"]
"""
SECONDS = 60.0
"""Until what a user should see counts as not coming."""
CAPTURE_BYTES = 256 * 1024 * 1024
"""What waits at a tap: all of a flood."""
MRT_INIT, MRT_ADD_VIF, MRT_ADD_MFC, VIFF_USE_IFINDEX = 200, 202, 204, 8  # linux/mroute.h
ETH_P_ALL = 3  # linux/if_ether.h
PACKET_OUTGOING = 4  # linux/if_packet.h
SO_RCVBUFFORCE = 33  # asm-generic/socket.h


@frozen
class Net:
    """The names of the namespaces."""

    switch: str
    server: str
    anna: str
    bert: str
    carl: str
    router: str
    far: str

    def mac(self, host: str) -> bytes:
        """The address of a host's interface on the LAN."""
        shown = run("ip", "-n", host, "-o", "link", "show", "lan")
        found = re.search(r"link/ether (\S+)", shown)
        assert found
        return bytes.fromhex(found[1].replace(":", ""))

    def members(self, port: str) -> set[str]:
        """The groups that the switch sends to a port."""
        shown = run("bridge", "-n", self.switch, "mdb", "show", "dev", "lan")
        return set(re.findall(rf"port {port} grp (\d+\.\S+)", shown))

    def forget(self, port: str, groups: set[str]) -> None:
        """Have the switch drop what it knows of members at a port."""
        for group in groups:
            run(*f"bridge -n {self.switch} mdb del dev lan port {port} grp {group}".split())


@contextmanager
def net(told: Sequence[str] = NOT_SNOOPING) -> Iterator[Net]:
    """The LAN, with what its bridge is told."""
    with ExitStack() as stack:
        made = Net(*(stack.enter_context(namespace()) for _ in range(7)))
        run("ip", "-n", made.switch, "link", "add", "lan", "type", "bridge")
        for one in told:
            run(*f"ip -n {made.switch} link set lan type bridge {one}".split())
        run("ip", "-n", made.switch, "link", "set", "lan", "up")
        for name, number in NUMBERS.items():
            _plug(made.switch, getattr(made, name), name, f"10.79.1.{number}/24")
            if name != "router":
                way_out(getattr(made, name), "10.79.1.254")
        pair = f"link add lan netns {made.far} type veth peer name far netns {made.router}"
        run("ip", *pair.split())
        _number(made.far, "lan", f"{FAR}/24")
        _number(made.router, "far", f"{BEHIND}/24")
        way_out(made.far, BEHIND)
        for setting in ("ip_forward=1", "conf.all.rp_filter=1"):
            # as routers do, it sends nothing on that cannot come from where it came
            run("ip", "netns", "exec", made.router, "sysctl", "-qw", f"net.ipv4.{setting}")
        yield made


def _plug(switch: str, host: str, port: str, address: str) -> None:
    pair = f"link add lan netns {host} type veth peer name {port} netns {switch}"
    run("ip", *pair.split())
    run("ip", "-n", switch, "link", "set", port, "master", "lan", "up")
    _number(host, "lan", address)


def _number(host: str, device: str, address: str) -> None:
    run("ip", "-n", host, "addr", "add", address, "broadcast", "+", "dev", device)
    run("ip", "-n", host, "link", "set", device, "up")


def way_out(host: str, router: str) -> None:
    """Have a host reach all that is not on its link by a router."""
    run("ip", "-n", host, "route", "add", "default", "via", router)


def tell(figures: str) -> None:
    """What was measured, for who looks (`pytest -s`)."""
    sys.stdout.write(f"\n{figures}\n")


@contextmanager
def routing_groups(net: Net, *groups: str) -> Iterator[None]:
    """Have the router send on what the server sends to groups, as far as its time to live goes."""
    sock = socket_on(net.router, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
    with sock:
        sock.setsockopt(socket.IPPROTO_IP, MRT_INIT, 1)
        for number, device in enumerate(("lan", "far")):
            index = int(run("ip", "-n", net.router, "-o", "link", "show", device).split(":")[0])
            way = struct.pack("@HBBIi4s", number, VIFF_USE_IFINDEX, 1, 0, index, bytes(4))
            sock.setsockopt(socket.IPPROTO_IP, MRT_ADD_VIF, way)
        for group in groups:
            ends = socket.inet_aton(SERVER) + socket.inet_aton(group)
            route = struct.pack("@8sH32sIIIi", ends, 0, b"\0\1".ljust(32, b"\0"), 0, 0, 0, 0)
            sock.setsockopt(socket.IPPROTO_IP, MRT_ADD_MFC, route)
        yield


def member(host: str, group: str, port: int) -> socket.socket:
    """A socket of a host that hears a group."""
    sock = socket_on(host, socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((group, port))
    wish = struct.pack("=4s4s", socket.inet_aton(group), bytes(4))
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, wish)
    return sock


# who talks


@define(eq=False)
class Talker:
    """A `sock chat` that reads from a pipe."""

    nickname: str
    child: Running

    def says(self, *lines: str) -> None:
        """Type lines."""
        stdin = self.child.process.stdin
        assert stdin is not None
        stdin.write("".join(f"{line}\n" for line in lines).encode())
        stdin.flush()

    def sees(self, pattern: str, seconds: float = SECONDS) -> re.Match[str]:
        """Wait for a line that begins so."""
        return self.child.wait_for(f"^{pattern}", seconds)

    def hears(self, channel: str, user: str, text: str, seconds: float = SECONDS) -> None:
        """Wait for what somebody has said."""
        self.sees(f"{re.escape(f'[{channel}] {user}: {text}')}$", seconds)

    def leaves(self) -> None:
        """Log off."""
        self.says("/quit")
        self.sees("-- logged off")

    @property
    def lines(self) -> list[str]:
        """What it has shown so far."""
        return self.child.text().splitlines()


@contextmanager
def talking(host: str, nickname: str, home: Path, *arguments: str) -> Iterator[Talker]:
    """A user on a host, on the way in: what is typed before that waits."""
    command = ["ip", "netns", "exec", host, sys.executable, "-m", "sockd.client.main", "chat"]
    process = subprocess.Popen(
        [*command, "--nick", nickname, *arguments],
        env=variables({"XDG_STATE_HOME": str(home / nickname)}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    with followed(process) as child:
        yield Talker(nickname, child)


def all_join(talkers: Sequence[Talker], channel: str) -> None:
    """Have all be in a channel."""
    for one in talkers:
        one.says(f"/join {channel}")
    for one in talkers:
        one.sees(f"-- you are in {channel} ")


# the wire


@frozen
class Packet:
    """A datagram of IPv4 as it goes over the wire."""

    source: str
    source_port: int
    to: str
    port: int
    data: bytes
    size: int
    """Bytes, with the headers of IP and UDP."""
    ttl: int
    is_out: bool
    """Whether it leaves by the interface that it was seen at."""

    @property
    def code(self) -> int:
        """Of its event."""
        return int.from_bytes(self.data[:2], "big")

    @property
    def is_multicast(self) -> bool:
        """Whether it goes to a group."""
        return 224 <= int(self.to.partition(".")[0]) < 240


class Tap:
    """All that goes by an interface. The kernel keeps it until it is asked for: so what was sent
    is here, however slow anybody is."""

    def __init__(self, host: str, device: str) -> None:
        self.sock = socket_on(host, socket.AF_PACKET, socket.SOCK_RAW)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, CAPTURE_BYTES)
        self.sock.bind((device, ETH_P_ALL))
        self.sock.setblocking(False)
        self.seen: list[Packet] = []

    def __enter__(self) -> Tap:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def read(self) -> Sequence[Packet]:
        """Datagrams since the last time."""
        found = []
        while True:
            try:
                frame, (_, _, kind, *_rest) = self.sock.recvfrom(65_535)
            except BlockingIOError:
                break
            if (packet := parse(frame, kind == PACKET_OUTGOING)) is not None:
                found.append(packet)
        self.seen += found
        return found


def parse(frame: bytes, is_out: bool = False) -> Packet | None:
    """A frame with a datagram of IPv4, None for another."""
    if frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_UDP:
        return None
    packet = frame[14:]
    at = (packet[0] & 15) * 4
    source, to = (socket.inet_ntoa(packet[one : one + 4]) for one in (12, 16))
    source_port, port, length = struct.unpack_from("!HHH", packet, at)
    data = packet[at + 8 : at + length]
    return Packet(source, source_port, to, port, data, at + length, packet[8], is_out)
