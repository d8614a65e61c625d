"""Why nobody is seen: all that a search would do, told step by step."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import BinaryIO

from attrs import define, field
from twisted.internet.defer import Deferred, succeed

from sockd.client.chat import diagnosis
from sockd.client.chat.conversation import Phase
from sockd.client.chat.diagnosis import Asked, Beat, Findings, Heard, Look
from sockd.client.chat.driver import Chat, conversation
from sockd.client.chat.find import (
    CHAT_PORTS,
    SWEEP_WAIT,
    expected,
    make_token,
    own_addresses,
    questions,
    to_sweep,
)
from sockd.client.chat.links import DatagramLink, Groups
from sockd.client.chat.servers import Server, is_loopback, server_of
from sockd.client.chat.sweep import PORT_UNREACHABLE, Part, Sweep, parts
from sockd.client.chat.told import Ended, Refused, Shown
from sockd.client.errors import ClientError
from sockd.client.exits import Exit
from sockd.client.lan.calling import Asker, Caller, Calling, Reply
from sockd.client.lan.discovery import MOST_PLACES, Place, Way, places
from sockd.client.lan.proofs import Question, chat_hello, says_chat
from sockd.client.net import interfaces, kinds
from sockd.client.net.interfaces import Interface
from sockd.client.net.resolve import look_up
from sockd.client.process import Run
from sockd.client.report import Data, Event
from sockd.client.targets import Target
from sockd.client.waiting import sleep, wake
from sockd.formats import ports

BEAT_SECONDS = 10.0
"""Between two heartbeats of our servers: so long, and as long as an answer may take, we wait."""
_WAYS = {Way.MULTICAST: "group", Way.LOOPBACK: "this host", Way.UNICAST: "host"}


@define(eq=False)
class _Counted(Caller):
    """Asks a place, and counts what was sent."""

    row: Asked = field(kw_only=True)

    def ask(self, question: Question, attempt: int) -> None:
        before = self.failure
        super().ask(question, attempt)
        if self.failure is before:
            self.row.sent += 1
        else:
            self.row.failure = _why(self.failure)

    def close(self) -> None:
        super().close()
        self.row.absent = int(any(one.text == PORT_UNREACHABLE for one in self.errors))


@define(eq=False)
class Doctor:
    """One examination. `told` gets lines."""

    run: Run
    told: Callable[[str], None]
    named: Server | None = None
    """A server that is asked alone, too."""
    ports: Sequence[int] = CHAT_PORTS
    token: Callable[[], bytes] = make_token
    _asked: dict[Place, Asked] = field(factory=dict, init=False)
    _failures: list[str] = field(factory=list, init=False)
    """What was not asked at all."""
    _looks: list[Look] = field(factory=list, init=False)
    _own: frozenset[str] = field(default=frozenset(), init=False)

    async def examine(self) -> Exit:
        """Look, ask, wait, and tell."""
        asking, known = self.run.asking, interfaces.read()
        interfaces.way(asking.interface, known)
        self._own = own_addresses(known)
        self._looks = [Look(one, kinds.read(one.name)) for one in known]
        self._tell(diagnosis.interface_lines(self._looks))
        await self._ask(known)
        swept = await self._sweep(known)
        everything = [*self._asked.values(), *swept]
        beat = await self._beat(everything)
        self._conclude(Findings(self._looks, everything, self._own, beat))
        if any(one.heard for one in everything):
            return Exit.ANSWERED
        return Exit.TIMEOUT if any(one.sent for one in everything) else Exit.UNREACHABLE

    # step by step

    async def _ask(self, known: Sequence[Interface]) -> None:
        asking = self.run.asking
        wanted = places(known, asking.interface, asking.family)
        numbers = " and ".join(map(str, self.ports))
        self._tell(["", f"Questions to udp {numbers}, and {asking.wait:g} s for answers"])
        callings = []
        if self.named is not None:
            alone = Place(Way.UNICAST, self.named.host, asking.interface, "")
            callings.append(self._calling([alone], [self.named.port]))
        if wanted:
            callings.append(self._calling(wanted, self.ports))
        if not callings:
            self._tell(["  none: no interface is up that anybody could be asked on"])
            return
        running = [Deferred.fromCoroutine(calling.ask()) for calling in callings]
        try:
            for one in running:
                await one
            await sleep(self.run.reactor, asking.wait)
        finally:
            for one in running:
                one.addErrback(expected)
                one.cancel()
            for calling in callings:
                calling.close()
        self._tell(diagnosis.asked_lines([*self._asked.values()]))
        for failure in self._failures:
            self._tell(diagnosis.paragraph(failure, "  ", "  "))

    def _calling(self, wanted: Sequence[Place], asked: Sequence[int]) -> Calling:
        calling = Calling(self.run, questions(asked), self._replied, self.token, self._asker)
        calling.open(wanted)
        if len(wanted) > MOST_PLACES:  # else it is told of the place itself
            self._failures.append(calling.failures[0])
        return calling

    def _asker(
        self,
        run: Run,
        place: Place,
        asked: Sequence[Question],
        tokens: Sequence[bytes],
        replied: Callable[[Reply], None],
    ) -> Asker:
        row = Asked(
            place.device,
            _WAYS.get(place.way, place.way),
            place.address.partition("%")[0] if place.device else place.address,
            is_to_many=place.way in (Way.BROADCAST, Way.MULTICAST),
        )
        self._asked[place] = row
        try:
            return _Counted(run, place, asked, tokens, replied, row=row)
        except ClientError as error:
            row.failure = _why(error)
            raise

    def _replied(self, reply: Reply) -> None:
        if reply.is_proof:
            ms = None if reply.rtt_ns is None else reply.rtt_ns / 1e6
            server = server_of(reply.address, reply.port, reply.data)
            self._asked[reply.place].hear(Heard(server, ms))

    async def _sweep(self, known: Sequence[Interface]) -> list[Asked]:
        """Each host of the small networks on which nobody else has answered."""
        seen = {
            one.device
            for one in self._asked.values()
            if any(not self._is_own(heard.server) for heard in one.heard)
        }
        swept = [part for part in parts(to_sweep(self.run, known)) if part.device not in seen]
        if not swept:
            return []
        self._tell(["", "Each address of small networks where nobody else has answered"])
        rows = [Asked(part.device, "all of", str(part.network), is_sweep=True) for part in swept]
        for part, row in zip(swept, rows, strict=True):
            await self._sweep_one(part, row)
            self._tell(diagnosis.asked_lines([row], rows))
        return rows

    async def _sweep_one(self, part: Part, row: Asked) -> None:
        token = self.token()

        def heard(host: str, port: int, data: bytes, rtt_ns: int) -> None:
            if says_chat(token, data):
                row.hear(Heard(server_of(host, port, data), rtt_ns / 1e6))

        sweep = Sweep(self.run, part.hosts, self.ports, chat_hello(token), heard)
        await sweep.ask(SWEEP_WAIT)
        row.sent, row.failure = sweep.sent, _why(sweep.failure)
        answered = {heard.server.host for heard in row.heard}
        row.absent = len(sweep.refused - answered - self._own)

    async def _beat(self, everything: Sequence[Asked]) -> Beat | None:
        """Log in at a door of groups, and wait for a heartbeat."""
        servers = [heard.server for one in everything for heard in one.heard if heard.server.is_new]
        servers.sort(key=self._is_own)
        doors = [one for one in servers if one.port == ports.CHAT_CONTROL]
        if not servers:
            return None
        most = BEAT_SECONDS + self.run.asking.wait
        self._tell(["", f"A heartbeat of the server by multicast, in at most {most:g} s"])
        if doors:
            beat = await Listener(self.run, doors[0]).wait(most)
        else:
            why = f"it has not answered at udp {ports.CHAT_CONTROL}, the door of groups"
            beat = Beat(servers[0], problem=why)
        self._tell(diagnosis.beat_lines(beat))
        return beat

    # what is told

    def _conclude(self, found: Findings) -> None:
        said = diagnosis.advice(found)
        for one in said:
            self._tell(["", *diagnosis.paragraph(one)])
        if said and (lines := diagnosis.firewall_lines(found)):
            self._tell(["", *lines])
        elif not said:
            self._tell(["", "All is well: sock chat finds a server at once."])

    def _tell(self, lines: Sequence[str]) -> None:
        for line in lines:
            self.told(line)

    def _is_own(self, server: Server) -> bool:
        return is_loopback(server) or server.host in self._own


@define(eq=False)
class Listener:
    """Somebody who logs in and says nothing, until a heartbeat comes."""

    run: Run
    server: Server
    _problem: str = field(default="", init=False)

    def show(self, event: Shown, is_marked: bool) -> None:
        """Only what is in the way is kept."""
        if isinstance(event, Refused | Ended) and not self._problem:
            self._problem = event.why

    def name(self) -> Deferred[str]:
        """There is no other one."""
        return succeed("")

    async def wait(self, most: float) -> Beat:
        """Until one has come, or the time is over."""
        reactor, server = self.run.reactor, self.server
        began = reactor.seconds()
        came: Deferred[None] = Deferred()
        talk = conversation(f"doctor-{secrets.token_hex(4)}")

        def heard(data: bytes) -> None:
            chat.heard(data)
            if talk.heartbeats:
                wake(reactor, came)

        def heard_in_group(data: bytes, host: str) -> None:
            chat.heard_in_group(data, host)
            if talk.heartbeats:
                wake(reactor, came)

        interface = self.run.asking.interface
        chat = Chat(reactor, talk, self, Groups(reactor, interface, heard_in_group))
        try:
            link = DatagramLink(reactor, (server.host, server.port), interface, heard)
        except ClientError as error:
            return Beat(server, problem=str(error))
        chat.ended.addCallback(lambda _: wake(reactor, came))
        chat.start(link)
        came.addTimeout(most, reactor, lambda *_: None)
        is_cancelled = True
        try:
            await came
            is_cancelled = False
        finally:
            if not chat.ended.called and (is_cancelled or talk.phase is not Phase.IN):
                chat.abandon()
        seconds = reactor.seconds() - began
        if not chat.ended.called:
            chat.quit()
            await chat.ended
        if self._problem:
            return Beat(server, problem=self._problem)
        return Beat(server, seconds if talk.heartbeats else None, waited=seconds)


def _why(error: ClientError | None) -> str:
    """What went wrong, without what was tried."""
    return "" if error is None else str(error).rpartition(": ")[2]


def tell(out: BinaryIO) -> Callable[[Event], None]:
    """What is told goes there as it is. Raises OSError."""

    def told(event: Event) -> None:
        if isinstance(event, Data):
            out.write(event.data)
            out.flush()

    return told


async def examine(run: Run, target: Target | None = None) -> Exit:
    """Why nobody is seen, told on standard output; a host that is named is asked, too."""

    def told(line: str) -> None:
        run.report(Data(target="", data=f"{line}\n".encode()))

    named = await _server(run, target) if target is not None else None
    wanted = (run.asking.port,) if run.asking.port else CHAT_PORTS
    return await Doctor(run, told, named, wanted).examine()


async def _server(run: Run, target: Target) -> Server:
    asking = run.asking
    found = await look_up(run.reactor, target, asking)
    return Server(found.addresses[0].host, target.port)
