"""The doors of the chat: datagrams, groups, connections. What comes goes to the server."""

from __future__ import annotations

import socket
from collections import deque
from typing import Any, cast

from twisted.internet.interfaces import IDelayedCall

from sockd import events
from sockd.access.entrance import Entrance
from sockd.access.peer import Peer
from sockd.access.reasons import because
from sockd.chat.heartbeat import group_of
from sockd.chat.here import Here, Sending
from sockd.chat.members import Channel, Gate, Place, User
from sockd.chat.server import ChatServer
from sockd.formats.chat.events import MAX_EVENT
from sockd.formats.frames import FrameBuffer
from sockd.listen.sockets import aim
from sockd.net.context import Context
from sockd.net.datagram import ANY_SIZE, Datagram, Datagrams
from sockd.net.states import Hold
from sockd.net.stream import Stream
from sockd.reactor.ancillary import Wanted, leaves_from
from sockd.reactor.audience import audience_of
from sockd.reactor.sockaddr import Address
from sockd.reactor.wire import Destination

AT_ONCE = 2_000
"""Datagrams to an audience in a pass of the reactor's loop, about 5 ms; then others have a turn."""
MOST_SENDING = 1_000
"""Events that wait to be sent to audiences; what comes on top is lost, and its number shows it."""
SEND_BUFFER = 4 * 1024 * 1024
"""Bytes that may wait to leave: an event to a thousand at once, some times over."""
MOST_WAITING = 128 * 1024
"""Bytes that a connection may leave unread before it is sent no more of what goes to channels."""
AIM_SECONDS = 1.0
"""Until it is looked again by which interface groups are sent to: one that was removed and came
back is another one."""
OURS = (because("daemon_stops"), because("service_removed"))
"""Why a connection ends whose user would have stayed."""
_ABSENT = object()


class UdpDoor(Datagrams):
    """Datagrams: each member is sent its own."""

    hears_all = True
    quick_bytes = ANY_SIZE
    wants_told = Wanted.INTERFACE
    context: Context[Any, ChatServer]

    def __init__(self, context: Context[Any, ChatServer], entrance: Entrance) -> None:
        super().__init__(context, entrance)
        self.gate = self.make_gate()
        self._asked: dict[Address, Destination | None] = {}
        """Where an answer to who is logged in leaves from."""
        self._asked_now: Destination | None = None
        self._here: dict[Channel, Here] = {}
        self._sending: deque[Sending] = deque()
        self._next: IDelayedCall | None = None
        self._is_left = False

    def make_gate(self) -> Gate:
        """What is told to who comes by it."""
        return Gate(str(self.entrance))

    def startProtocol(self) -> None:
        if isinstance(sock := getattr(self.port, "socket", None), socket.socket):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self.context.shared.open(self)

    def stopProtocol(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None
        self._sending.clear()
        self.context.shared.close(self)

    def leaves(self) -> None:
        """The listener: its address is let go of. Who came by it goes on by another door of the
        same port, where there is one: to them nothing is different."""
        self._is_left = True
        own = self.entrance
        for user in self.context.shared.users_at(self.gate):
            asked = self._asked.get(cast(Address, user.place.address))
            if asked is None and own.transport == "udp" and not own.is_wildcard:
                asked = leaves_from(own.host)
            if (heir := self._heir(asked)) is not None:
                heir._asked_now = asked if heir.entrance.is_wildcard else None
                self.context.shared.move(user, heir.gate)

    def _heir(self, asked: Destination | None) -> UdpDoor | None:
        """The door that goes on for who has asked this address."""
        own = self.entrance
        for door in self.context.shared.doors.values():
            if type(door) is not type(self) or door is self or door.is_closed or door._is_left:
                continue
            other = door.entrance
            if (own.transport, own.port, ":" in own.host) == (
                *(other.transport, other.port),
                ":" in other.host,
            ) and (
                other.is_wildcard or (asked and asked[2][:16] == leaves_from(other.host)[2][:16])
            ):
                return door
        return None

    def received(self, datagram: Datagram) -> None:
        if self._is_left and (heir := self._heir(datagram.asked)) is not None:
            heir.received(datagram)  # it had come to us before
            return
        host, _ = datagram.sender
        server, told = self.context.shared, datagram.told
        # a socket of one address has no other to answer from, and to name it for each member costs
        self._asked_now = datagram.asked if self.entrance.is_wildcard else None
        if self.port.is_local:
            server.received(Place(self.gate, "", datagram.sender), datagram.data)
            return
        if told is not None and told.interface == 0:
            return  # it had come before anybody asked by which interface: it will come again
        interface = (told.interface if told else None) or 0
        place = Place(self.gate, host, datagram.sender)
        server.received(place, datagram.data, server.links.has(host, interface), interface)

    def unreached(self, address: Address) -> None:
        """The port: the network says that nobody is there."""
        self.context.shared.unreached(Place(self.gate, address[0], address))

    # from the server

    @property
    def is_closed(self) -> bool:
        """Whether the port is: those who came by it are logged off one by one, and told nothing."""
        return self.transport is None

    def whence(self, place: Place) -> tuple[Peer, Entrance | None]:
        _, port = cast(Address, place.address)
        return (Peer(place.host, port) if place.host else Peer("", 0)), self.entrance

    def tell(self, place: Place, data: bytes) -> None:
        if self.is_closed:
            return
        address = cast(Address, place.address)
        self.traffic.deliveries += 1
        self.send(data, address, self._asked.get(address, self._asked_now))

    def arrived(self, user: User) -> None:
        self.traffic.users += 1
        self._asked[cast(Address, user.place.address)] = self._asked_now

    def gone(self, user: User, place: Place) -> None:
        self.traffic.users -= 1
        self._asked.pop(cast(Address, place.address), None)

    def entered(self, channel: Channel, user: User) -> None:
        here = self._here.get(channel)
        if here is None:
            here = self._here[channel] = Here(audience_of(self.port.socket))
        address = cast(Address, user.place.address)
        if user.session is None:
            here.old[address] = user
        else:
            here.add(address, self._asked.get(address))

    def left(self, channel: Channel, user: User, place: Place) -> None:
        if (here := self._here.get(channel)) is not None:
            here.discard(cast(Address, place.address))
            if here.is_empty:
                del self._here[channel]

    def broadcast(self, channel: Channel, data: bytes) -> None:
        if (here := self._here.get(channel)) is None or self.is_closed:
            return
        if here.old:
            self._send_to_old(here, data)
        if len(here.audience) > AT_ONCE or self._sending:
            if len(self._sending) < MOST_SENDING:
                self._sending.append(Sending(here, data))
                self._plan()
            else:
                self.context.guard.counts.dropped["fan_out_lost"] += 1
        elif here.audience:
            self.flush()  # whoever has just joined is told so first
            sent = self.port.write_all(data, here.audience)
            self._count(sent, len(data), sent)

    def beat(self, data: bytes) -> None:
        """There are no groups here."""

    def _send_to_old(self, here: Here, data: bytes) -> None:
        desk, now = self.context.shared.desk, self.context.clock.seconds()
        for address, user in here.old.items():
            if desk.may_send(user, len(data), now):
                self.traffic.deliveries += 1
                self.send(data, address, self._asked.get(address))

    def _plan(self) -> None:
        if self._next is None:
            self._next = self.context.clock.callLater(0, self._go_on)

    def _go_on(self) -> None:
        """A part of what is on its way."""
        self._next = None
        left = AT_ONCE
        while left and self._sending:
            one = self._sending[0]
            one.here.is_sent_to = True
            end = min(len(one.here.audience), one.at + left)
            sent = self.port.write_all(one.data, one.here.audience, one.at, end)
            self._count(sent, len(one.data), sent)
            left -= end - one.at
            one.at = end
            if end == len(one.here.audience):
                self._sending.popleft()
                one.here.go_on()
        if self._sending:
            self._plan()

    def _count(self, sent: int, size: int, deliveries: int) -> None:
        self.traffic.datagrams_out += sent
        self.traffic.bytes_out += sent * size
        self.traffic.deliveries += deliveries


class GroupDoor(UdpDoor):
    """Datagrams for what users ask; what goes to a channel is sent once, to the channel's group."""

    def make_gate(self) -> Gate:
        if self.entrance.path:  # a Unix socket has no groups
            return super().make_gate()
        version = 6 if ":" in self.entrance.host else 4
        return Gate(str(self.entrance), self.context.options.group_port, version)

    def startProtocol(self) -> None:
        self._members: dict[Channel, dict[User, None]] = {}
        self._why = ""
        self._aimed = float("-inf")
        self._hears_beats = 0
        super().startProtocol()

    def entered(self, channel: Channel, user: User) -> None:
        # where there was no group left, or groups do not reach it
        if self.gate.group(channel.settings) is None or user.by_unicast:
            super().entered(channel, user)
        else:
            self._members.setdefault(channel, {})[user] = None

    def left(self, channel: Channel, user: User, place: Place) -> None:
        members = self._members.get(channel, {})
        if members.pop(user, _ABSENT) is _ABSENT:
            super().left(channel, user, place)
        elif not members:
            del self._members[channel]

    def broadcast(self, channel: Channel, data: bytes) -> None:
        super().broadcast(channel, data)
        group = self.gate.group(channel.settings)
        members = len(self._members.get(channel, ()))
        if members and group is not None and not self.is_closed:
            self.flush()  # as above
            self.traffic.deliveries += members
            self._send_to_group(data, str(group))

    def beat(self, data: bytes) -> None:
        """A heartbeat, for new clients at this door, if there are any."""
        group = group_of(self.gate, self.context.shared.desk.rooms.settings)
        if self._hears_beats and group is not None:
            self._send_to_group(data, str(group))

    def arrived(self, user: User) -> None:
        super().arrived(user)
        self._hears_beats += user.session is not None

    def gone(self, user: User, place: Place) -> None:
        super().gone(user, place)
        self._hears_beats -= user.session is not None

    def _send_to_group(self, data: bytes, group: str) -> None:
        options, own = self.context.options, self.entrance
        interface = options.group_interface
        if not interface or (":" in interface) != (":" in own.host):  # it is for the other family
            interface = "" if own.is_wildcard else own.host
        to = group, self.gate.group_port or 0
        why = ""
        if (now := self.context.clock.seconds()) >= self._aimed + AIM_SECONDS or self._why:
            try:
                aim(self.port.socket, interface, options.group_ttl)
                self._aimed = now
            except OSError as error:
                why = error.strerror or str(error)
        if not why and not self.port.write_to((data,), to):
            self._count(1, len(data), 0)  # a channel's deliveries are counted there
        else:
            why = why or self.port.last_error
        if why != self._why:
            self._why = why
            reason = because("cannot_send", detail=why) if why else because("sends_again")
            events.warn("failed", service=self.context.name, peer=Peer(*to), reason=reason)


class StreamDoor(Stream):
    """A connection: events, each behind its length. It is who speaks; its end logs off."""

    reads_frames = True
    context: Context[Any, ChatServer]
    lost = 0
    """Events that it was not sent, because it did not read those before."""
    _unread = 0

    def __init__(self, context: Context[Any, ChatServer], peer: Peer, entrance: Entrance) -> None:
        super().__init__(context, peer, entrance)
        self._buffer = FrameBuffer(MAX_EVENT)

    @property
    def place(self) -> Place:
        """Where its user is."""
        return Place(self.context.shared.streams.gate, self.peer.host, self.number)

    def opened(self) -> None:
        self.context.shared.streams.open(self)

    def received(self, data: bytes) -> None:
        self._buffer.feed(data)
        if not self.is_working and not self.context.world.turns.take(self):
            self.hold(Hold.WORK)

    def turn(self, until: float) -> None:
        """Its turn: what has come, until the time is over. A flood must not keep others waiting."""
        clock, server = self.context.clock, self.context.shared
        while self._buffer.has_request and not self.is_closing:
            self.requests += 1
            server.received(self.place, self._buffer.take())
            if clock.seconds() >= until:
                break
        if self._buffer.has_request and not self.is_closing:
            self.hold(Hold.WORK)
            self.context.world.turns.wait(self)
            return
        self.release(Hold.WORK)
        if self._buffer.fault:
            self.close(because("max_frame", limit=MAX_EVENT))
        elif self.peer_finished:
            self.close()

    @property
    def is_working(self) -> bool:
        return Hold.WORK in self.holds

    @property
    def is_partial(self) -> bool:
        return self._buffer.is_partial

    def finished(self) -> None:
        if not self.is_working:
            self.close()

    def gone(self) -> None:
        self.context.world.turns.leave(self)
        self.context.shared.disconnected(self.place, by_us=self.reason in OURS)
        self.context.shared.streams.close(self)

    def resumeProducing(self) -> None:
        self._unread = 0
        super().resumeProducing()

    def tell(self, framed: bytes) -> None:
        """Send an event, unless too much waits: what is left out shows in the sequence numbers."""
        if self.is_closing:
            return
        if self.is_blocked:
            self._unread += len(framed)
            if self._unread > MOST_WAITING:
                self.lost += 1
                self.context.guard.counts.dropped["unread"] += 1
                return
        self.traffic.deliveries += 1
        self.write(framed)
