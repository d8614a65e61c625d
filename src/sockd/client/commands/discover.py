"""`discover`: which hosts of this LAN run which of our services."""

from __future__ import annotations

import secrets
import shutil
import socket
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

import click
from attrs import define, field
from twisted.internet.defer import Deferred, DeferredList

from sockd.client.arguments import Command, asks
from sockd.client.asking import Asking
from sockd.client.errors import ClientError, Unreachable
from sockd.client.exits import Exit
from sockd.client.lan import discovery
from sockd.client.lan.calling import Calling, Reply, localhosts, networks
from sockd.client.lan.discovery import Findings, Host, Network, Place, Service, as_name, is_near
from sockd.client.lan.doors import Doors
from sockd.client.lan.proofs import DATAGRAM_QUESTIONS, STREAM_QUESTIONS, Question
from sockd.client.net import interfaces
from sockd.client.net.resolve import Lookups
from sockd.client.outputs.choose import choose
from sockd.client.process import Run, run_process
from sockd.client.report import (
    Counts,
    Data,
    Error,
    HostSummary,
    Outcome,
    Probe,
    Stamp,
    Start,
    Summary,
)
from sockd.client.start import hooks_for
from sockd.client.targets import Transport
from sockd.client.waiting import sleep, within

WAIT = 2.0
"""Seconds after the last question: who has not answered on a LAN by then does not."""
MOST_LOOKUPS = 4
"""Threads that ask for names: a name server that hangs holds up nothing but names."""
NAME_WAIT = 1.0
"""Seconds for names that are still asked for at the end."""
_MEANINGLESS = (
    *("count", "interval", "retries", "all_addresses", "enough", "port", "tells_timing"),
    "over_udp",
)


def make_token() -> bytes:
    """Letters and digits that nobody can know before, and that are not the same backwards."""
    return b"sock" + secrets.token_hex(6).encode()


def name_of(address: str) -> str:
    """The name of an address; it may take long. Raises OSError."""
    return socket.getnameinfo((address, 0), socket.NI_NAMEREQD)[0]


@define(eq=False)
class Names:
    """The names of addresses, as far as somebody tells them in time."""

    run: Run
    look: Callable[[str], str] = name_of
    _lookups: Lookups = field(factory=partial(Lookups, MOST_LOOKUPS), init=False)
    _open: set[Deferred[None]] = field(factory=set, init=False)

    def look_up(self, host: Host) -> None:
        """Have a host named when its name comes."""
        deferred = Deferred.fromCoroutine(self._name(host))
        self._open.add(deferred)
        deferred.addBoth(lambda _: self._open.discard(deferred))

    async def done(self) -> None:
        """Wait a moment for those that are still open."""
        with suppress(TimeoutError):
            await within(self.run.reactor, NAME_WAIT, self._all())

    async def _all(self) -> None:
        await DeferredList(list(self._open))

    def close(self) -> None:
        """Wait for none."""
        for deferred in list(self._open):
            deferred.cancel()

    async def _name(self, host: Host) -> None:
        def look() -> list[tuple[int, int, int, str, tuple[()]]]:
            return [(0, 0, 0, self.look(host.address), ())]  # in a canonical name's place

        wait = self.run.asking.wait + NAME_WAIT
        try:
            [found], _ = await self._lookups.ask(self.run.reactor, host.address, look, wait)
        except (OSError, ValueError, ClientError):
            return
        host.name = as_name(found[3])


@define(eq=False)
class Discovery:
    """One look around."""

    run: Run
    tries_tcp: bool
    width: int | None
    findings: Findings
    networks: list[Network]
    names: Names = field(init=False)
    probing: Calling = field(init=False)
    doors: Doors = field(init=False)
    _asked: list[Place] = field(factory=list, init=False)
    _begun_ns: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.names = Names(self.run)
        self.probing = Calling(self.run, DATAGRAM_QUESTIONS, self._replied, make_token)
        self.doors = Doors(self.run, STREAM_QUESTIONS, make_token, self._opened)

    async def look(self, places: Iterable[Place]) -> Exit:
        """Look around; whatever ends it, what was found is told."""
        run, is_interrupted = self.run, True
        places = list(places)
        self._begun_ns = run.monotonic_ns()
        told = {"places": ", ".join(map(str, places))}
        run.report(Start(command="discover", targets=(), at_ns=run.wall_ns(), options=told))
        run.at_quit = self._tell_so_far
        try:
            await within(run.reactor, run.asking.deadline, self._ask(places))
            is_interrupted = False
        except TimeoutError:
            is_interrupted = False
        finally:
            self._asked = self.probing.asked
            self.probing.close()
            self.doors.close()
            self.names.close()
            self._tell()
            code = self._sum_up(is_interrupted=is_interrupted)
        return code

    async def _ask(self, places: list[Place]) -> None:
        self.probing.open(places)
        if self.tries_tcp:
            for address in localhosts(places):
                self.doors.knock(address)
        await self.probing.ask()
        await sleep(self.run.reactor, self.run.asking.wait)
        await self.doors.done()
        await self.names.done()

    # what comes

    def _replied(self, reply: Reply) -> None:
        question = reply.question
        outcome = Outcome.ANSWERED
        if not reply.is_proof or question is None:
            outcome = Outcome.FOREIGN if question is None else Outcome.CORRUPT
            if not self.findings.add_wrong() or not self.run.asking.verbosity:
                return
        elif not self._found(reply.address, question, reply.rtt_ns):
            return
        self.run.report(
            Probe(
                target=reply.address,
                transport=Transport.UDP,
                address=reply.address,
                port=reply.port,
                attempt=reply.attempt,
                outcome=outcome,
                rtt_ns=reply.rtt_ns,
                stamp=None if reply.rtt_ns is None else reply.stamp,
                size=len(reply.data),
                values={
                    **({"service": question.service} if question is not None else {}),
                    "way": reply.place.way,
                    "interface": reply.place.device,
                },
                reason=None if outcome is Outcome.ANSWERED else "it is no answer to what was asked",
            )
        )

    def _opened(
        self, address: str, question: Question, data: bytes, is_proof: bool, rtt_ns: int | None
    ) -> None:
        if is_proof:
            if not self._found(address, question, rtt_ns):
                return
        elif not self.findings.add_wrong() or not self.run.asking.verbosity:
            return
        self.run.report(
            Probe(
                target=address,
                transport=Transport.TCP,
                address=address,
                port=question.port,
                outcome=Outcome.ANSWERED if is_proof else Outcome.CORRUPT,
                rtt_ns=rtt_ns,
                stamp=None if rtt_ns is None else Stamp.USER,
                size=len(data),
                values={"service": question.service},
                reason=None if is_proof else "it is no answer to what was asked",
            )
        )

    def _found(self, address: str, question: Question, rtt_ns: int | None) -> bool:
        """A service has proven to be there. Whether that is new."""
        is_known = address in self.findings.hosts
        service = Service(question.service, question.transport, question.port)
        if not self.findings.add(address, service, rtt_ns):
            return False
        if not is_known and not self.run.asking.is_numeric:
            self.names.look_up(self.findings.hosts[address])
        if not is_known and self.tries_tcp and is_near(address, self.networks):
            self.doors.knock(address)
        return True

    # what is told

    def _tell_so_far(self) -> None:
        """For a reader, rows say it all; for programs, a summary does."""
        if self.run.asking.as_json:
            self._sum_up(is_final=False)
        else:
            self._tell_rows()

    def _tell_rows(self) -> None:
        for host, row in discovery.rows(self.findings.in_order(), self.width):
            self.run.report(Data(target=host.address, data=f"{row}\n".encode()))

    def _tell(self) -> None:
        self._tell_rows()
        for failure in self.probing.failures:
            self._warn(failure)
        if self.findings.left_out:
            self._warn(
                f"more than {discovery.MOST_HOSTS} addresses seem to answer, and only so many are"
                " told: some may be forged"
            )
        if self.doors.left_out:
            self._warn(f"TCP was not tried on {self.doors.left_out} addresses beyond the first")
        if self.findings.wrong and self.run.asking.verbosity:
            self._warn(f"{self.findings.wrong} answers proved nothing")
        if not self.findings.hosts:
            self._tell_that_nobody_answers()

    def _tell_that_nobody_answers(self) -> None:
        asked = ", ".join(map(str, self._asked)) or "nobody could be asked"
        self._warn(
            f"nobody answered ({asked}). A service hears this only where it listens on all"
            ' addresses over UDP, as with listen = ["udp:10007:interface=*"], and may answer us;'
            " one that listens on a single address, or over TCP, has to be asked by its name",
            Exit.TIMEOUT,
        )

    def _warn(self, message: str, code: Exit = Exit.ANSWERED) -> None:
        reason = "timeout" if code is Exit.TIMEOUT else "note"
        self.run.report(Error(target=None, reason=reason, message=message, exit=code))

    def _sum_up(self, *, is_interrupted: bool = False, is_final: bool = True) -> Exit:
        hosts = self.findings.in_order()
        code = Exit.ANSWERED if hosts else Exit.TIMEOUT
        self.run.report(
            Summary(
                command="discover",
                elapsed_ns=self.run.monotonic_ns() - self._begun_ns,
                hosts=tuple(map(_summary, hosts)),
                exit=code,
                interrupted=is_interrupted,
                is_final=is_final,
            )
        )
        return code


def _summary(host: Host) -> HostSummary:
    transports = {service.transport for service in host.services}
    return HostSummary(
        target=host.address,
        transport=Transport.UDP if Transport.UDP in transports else Transport.TCP,
        address=host.address,
        counts=Counts(received=len(host.services)),
        values={
            "services": ", ".join(host.told()),
            **({"name": host.name} if host.name else {}),
            **({} if host.rtt_ns is None else {"rtt_ns": host.rtt_ns}),
        },
    )


@click.command(cls=Command)
@click.option("--tcp", "tries_tcp", is_flag=True, help="Try TCP services, too, where hosts are.")
@asks(Transport.UDP, leaves_out=_MEANINGLESS, wait=WAIT)
def discover(asking: Asking, tries_tcp: bool) -> int:
    """Look which hosts of this LAN run which services.

    Sends a small datagram for each service to the broadcast addresses of all interfaces, to the
    groups of all hosts, and to this host itself; whoever gives the right answer is told. Seen are
    services that listen on all addresses. With --tcp the ports of hosts that were found, and of
    this one, are tried as well: ask only where you may.
    """
    report = choose("discover", [], asking, has_rows=True)

    async def body(run: Run) -> Exit:
        known = interfaces.read()
        interfaces.way(asking.interface, known)
        places = discovery.places(known, asking.interface, asking.family)
        if not places:
            by = f" {asking.interface}" if asking.interface else ""
            raise Unreachable(
                f"nobody can be asked: no interface{by} that is up can broadcast or multicast"
            )
        own = {
            f"{ip}%{one.name}" if ip.startswith("fe80:") else ip
            for one in known
            for ip in (str(address.ip) for address in one.addresses)
        }
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        findings = Findings(frozenset(own))
        return await Discovery(run, tries_tcp, width, findings, networks()).look(places)

    return report.exit_code(run_process(body, asking, report, hooks_for("discover", asking)))
