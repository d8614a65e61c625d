"""What the doctor tells: pure, from what was looked at, sent and heard. 80 columns, plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from attrs import define, field, frozen

from sockd.client.chat.servers import Server, is_loopback
from sockd.client.chat.sweep import PREFIX
from sockd.client.net.interfaces import Interface
from sockd.client.net.kinds import Kind
from sockd.formats import ports
from sockd.formats.hostport import host_port
from sockd.formats.text import escape

WIDTH = 80
MOST_HEARD = 8
"""Answers to one question that are told; the rest are counted."""
MOST_NAME = 30
"""Columns of a server's name."""
MOST_PROBLEM = 200
"""Characters of what a server says that is in the way."""
NOT_PERMITTED = "operation not permitted"
"""What the kernel says where a local firewall drops what is sent."""
_ASIDE = " " * 23


@frozen
class Look:
    """An interface, and what it is."""

    interface: Interface
    kind: Kind

    @property
    def is_of_use(self) -> bool:
        """Whether others may be reached by it."""
        one = self.interface
        return one.is_up and bool(one.addresses) and not one.is_loopback


@frozen
class Heard:
    """An answer."""

    server: Server
    ms: float | None


@define
class Asked:
    """A place that was asked, or a network host by host."""

    device: str
    way: str
    to: str
    sent: int = 0
    failure: str = ""
    """Why something could not be sent."""
    absent: int = 0
    """Hosts that say that nobody listens there."""
    heard: list[Heard] = field(factory=list)
    left_out: int = 0
    is_sweep: bool = False
    is_to_many: bool = False
    """Whether one question was for many hosts."""

    def hear(self, heard: Heard) -> None:
        """One more answer; the second one of a door tells nothing new."""
        doors = [(one.server.host, one.server.port) for one in self.heard]
        if (heard.server.host, heard.server.port) in doors:
            return
        if len(self.heard) < MOST_HEARD:
            self.heard.append(heard)
        else:
            self.left_out += 1


@frozen
class Beat:
    """What became of the wait for a heartbeat."""

    server: Server
    seconds: float | None = None
    """Until one came; None: none did."""
    problem: str = ""
    """Why there was nothing to wait for; not escaped."""
    waited: float = 0.0


@frozen
class Findings:
    """All of it."""

    looks: Sequence[Look]
    asked: Sequence[Asked]
    own: frozenset[str] = frozenset()
    beat: Beat | None = None

    @property
    def servers(self) -> list[Server]:
        """Everybody who has answered, at each of its addresses."""
        return [heard.server for one in self.asked for heard in one.heard]

    @property
    def others(self) -> list[Server]:
        """Those that are not on this host."""
        return [server for server in self.servers if not self.is_own(server)]

    def is_own(self, server: Server) -> bool:
        """Whether it is on this host."""
        return is_loopback(server) or server.host in self.own


def paragraph(text: str, begin: str = "", indent: str = "") -> list[str]:
    """Lines that fit; what is a line of its own stays one."""
    return [
        line
        for part in text.split("\n")
        for line in textwrap.wrap(
            part, WIDTH, initial_indent=begin, subsequent_indent=indent, break_on_hyphens=False
        )
    ]


# what there is


def interface_lines(looks: Iterable[Look]) -> list[str]:
    """Each interface, with its addresses and where its broadcasts go."""
    lines = ["Interfaces of this host"]
    for look in looks:
        one = look.interface
        state = "up" if one.is_up else "down"
        lines.append(f"  {escape(one.name, 15):<15} {state:<4} {look.kind.label}")
        for own in one.addresses:
            bits = f"/{own.network.prefixlen}" if own.network is not None else ""
            to = ", ".join(own.broadcasts) if one.can_broadcast else ""
            lines += paragraph(f"{own.ip}{bits}{to and f'  broadcast {to}'}", _ASIDE, _ASIDE)
        if one.is_up and not one.addresses:
            lines.append(f"{_ASIDE}no address")
    return lines


# what was asked


def asked_lines(asked: Sequence[Asked], among: Sequence[Asked] = ()) -> list[str]:
    """What was sent, and what came back; in columns with others that are told apart."""
    device = max((len(_device(one)) for one in (*asked, *among)), default=0)
    place = max((len(_place(one)) for one in (*asked, *among)), default=0)
    lines: list[str] = []
    for one in asked:
        begin = f"  {_device(one):<{device}}  {_place(one):<{place}}  "
        lines += paragraph(_outcome(one), begin, " " * len(begin))
        for server, doors in _hosts(one.heard).items():
            lines += paragraph(f"{server}: {', '.join(doors)}", " " * 4, " " * 6)
        if one.left_out:
            lines.append(f"    and {one.left_out} more")
    return lines


def _hosts(heard: Iterable[Heard]) -> dict[str, list[str]]:
    """Who has answered from where, and the ports."""
    found: dict[str, list[str]] = {}
    for one in heard:
        server = one.server
        name = escape(server.name, MOST_NAME) or ("a server" if server.is_new else "an old server")
        took = "" if one.ms is None else f" ({one.ms:.1f} ms)"
        found.setdefault(f"{name} at {server.host}", []).append(f"udp {server.port}{took}")
    return found


def _device(one: Asked) -> str:
    return escape(one.device, 15)


def _place(one: Asked) -> str:
    return f"{one.way} {one.to}"


def _outcome(one: Asked) -> str:
    if not one.sent:
        return f"NOT SENT: {one.failure or 'it took too long'}"
    said = [f"{one.sent} sent"]
    if one.failure:
        said.append(f"others were not: {one.failure}")
    if one.absent and one.is_sweep:
        hosts = "1 host is" if one.absent == 1 else f"{one.absent} hosts are"
        said.append(f"{hosts} there without a server")
    count = len(one.heard) + one.left_out
    if count:
        said.append(f"{count} answer{'s' if count > 1 else ''}")
    else:
        said.append("nobody listens" if one.absent and not one.is_sweep else "no answer")
    return ", ".join(said)


def beat_lines(beat: Beat) -> list[str]:
    """Whether a heartbeat came by a group."""
    of = host_port(beat.server.host, beat.server.port)
    if beat.problem:
        said = f"none to wait for, of {of}: {escape(beat.problem, MOST_PROBLEM)}"
    elif beat.seconds is None:
        said = f"NONE of {of} came in {beat.waited:.0f} s: groups do not reach this host"
    else:
        said = f"one of {of} came after {beat.seconds:.1f} s: groups reach this host"
    return paragraph(said, "  ", "  ")


# what it means


def advice(found: Findings) -> list[str]:
    """What it means: a paragraph each; nothing where all is well."""
    if why := _network(found):
        return [why]
    said = [_blocked(found), _who(found), _large(found), _vpn(found), _groups(found)]
    return [one for one in said if one]


def _network(found: Findings) -> str:
    if any(look.is_of_use for look in found.looks):
        return ""
    return "This host is on no network: no interface but the loopback is up and has an address."


def _blocked(found: Findings) -> str:
    at = {one.device for one in found.asked if NOT_PERMITTED in one.failure}
    if not at:
        return ""
    where = ", ".join(escape(device, 15) for device in sorted(at) if device)
    return (
        f"A firewall of this host keeps questions from leaving{f' by {where}' if where else ''}:"
        " the kernel says that it is not permitted."
    )


def _who(found: Findings) -> str:
    others = found.others
    answers_many = any(
        not found.is_own(heard.server)
        for one in found.asked
        if one.is_to_many
        for heard in one.heard
    )
    if answers_many:
        return ""
    if others:
        host, port = others[0].host, others[0].port
        return (
            "A server answers who asks it alone, and no broadcast: a firewall drops the answers,"
            " most likely one on this host, or the server listens on one address only. sock chat"
            " finds it all the same, some seconds later; at once by its address:"
            f"\n    sock chat {host if port == ports.CHAT else host_port(host, port)}"
        )
    if found.servers:
        if all(map(is_loopback, found.servers)):
            return (
                "Only this host has a server, and it listens for this host only. For others to"
                f' find it, give it listen = ["udp:{ports.CHAT}:interface=*"].'
            )
        return "Only this host has a server. If there is another one, it does not answer."
    return (
        "Nobody answers. A server is found where it runs on a network of this host, listens on all"
        f' addresses (listen = ["udp:{ports.CHAT}:interface=*"]), and firewalls let its answer'
        " pass. One behind a router has to be named: sock chat HOST"
    )


def _large(found: Findings) -> str:
    large = [
        f"{own.network} ({escape(look.interface.name, 15)})"
        for look in found.looks
        if look.is_of_use
        for own in look.interface.addresses
        if own.ip.version == 4 and own.network is not None and own.network.prefixlen < PREFIX
    ]
    if not large or found.others:
        return ""
    return f"Too large to ask each address, so only broadcasts were sent: {', '.join(large)}."


def _vpn(found: Findings) -> str:
    vpns = [look.interface.name for look in found.looks if look.is_of_use and look.kind.is_vpn]
    if not vpns or found.others:
        return ""
    names = ", ".join(escape(name, 15) for name in vpns)
    what = "is a VPN or a tunnel" if len(vpns) == 1 else "are VPNs or tunnels"
    return (
        f"{names} {what}: broadcasts and groups do not pass as a rule, and it may keep this host"
        " from the LAN. Try without it, or name the server: sock chat HOST"
    )


def _groups(found: Findings) -> str:
    if found.beat is None or found.beat.problem or found.beat.seconds is not None:
        return ""
    return (
        "Groups do not arrive: a firewall drops them, or Wi-Fi, or a switch that looks into IGMP"
        " and has no querier; or the server has no route for them, which its log tells. sock chat"
        " notices that, and is sent copies of its own; or use --tcp."
    )


def firewall_lines(found: Findings) -> list[str]:
    """What has to be open, and how; where there is a network."""
    if _network(found):
        return []
    chat, control, groups = ports.CHAT, ports.CHAT_CONTROL, ports.CHAT_GROUPS
    out = [
        "  To let questions out, one of:",
        f"    nft insert rule inet filter output udp dport '{{ {chat}, {control} }}' accept",
        f"    ufw allow out {chat},{control}/udp",
    ]
    return [
        "Firewalls",
        f"  This host sends to udp {chat} and {control}, and hears from them, from any address of",
        f"  the network; groups come in to udp {groups}.",
        *(out if _blocked(found) else []),
        "  To let answers and groups in, one of:",
        f"    nft insert rule inet filter input udp sport '{{ {chat}, {control} }}' accept",
        f"    nft insert rule inet filter input udp dport {groups} accept",
        f"    ufw allow proto udp from any port {chat},{control}; ufw allow {groups}/udp",
        f"    firewall-cmd --add-source-port={{{chat},{control}}}/udp --add-port={groups}/udp",
        "  Who is there may then send to any udp port here. Safer: name the server.",
        f"  The server hears at udp {chat} and {control}, by --tcp at tcp {chat}. There one of:",
        f"    nft insert rule inet filter input udp dport '{{ {chat}, {control} }}' accept",
        f"    nft insert rule inet filter input tcp dport {chat} accept",
        f"    ufw allow {chat},{control}/udp; ufw allow {chat}/tcp",
        f"    firewall-cmd --add-port={{{chat},{control}}}/udp --add-port={chat}/tcp",
    ]
