"""`localtime`: the time in a zone."""

from __future__ import annotations

import os

import click
from attrs import frozen

from sockd.client.arguments import Command, asks
from sockd.client.asking import Asking
from sockd.client.asks import Answer, Speech, Talk
from sockd.client.errors import BadAnswer
from sockd.client.net.datagrams import Datagrams
from sockd.client.start import ask_hosts
from sockd.client.talk.lines import shown
from sockd.client.talk.local import at_runtime_socket
from sockd.client.talk.refusing import refused
from sockd.client.targets import Transport
from sockd.formats import ports
from sockd.formats.clock import read_ctime
from sockd.formats.faults import error_in

NO_ZONE = b" "
"""Asks for the time in the service's own zone."""


@frozen
class Zoned:
    """A question for the time in a zone."""

    zone: bytes

    async def datagram(self, datagrams: Datagrams, talk: Talk) -> Answer:
        """Ask, and print the time."""
        came = await datagrams.ask(self.zone, wait=talk.asking.wait)
        answer = came.data.rstrip(b"\r\n")
        if (message := error_in(answer)) is not None:
            return refused(talk, shown(self.zone), message)
        try:
            read_ctime(answer)
        except ValueError as error:
            raise BadAnswer(f"{talk.target} answered {shown(answer)}: {error}") from None
        talk.out(answer + b"\n")
        return Answer(rtt_ns=came.rtt_ns, is_kernel=came.is_kernel)


@click.command(cls=Command)
@click.argument("zone", default="", metavar="[ZONE]")
@click.option("-H", "--host", "hosts", multiple=True, metavar="HOST[:PORT]", help="Ask this host.")
@asks(Transport.UNIXGRAM, Transport.UDP)
def localtime(asking: Asking, zone: str, hosts: tuple[str, ...]) -> int:
    """Ask for the time in a ZONE, such as Europe/Warsaw, or in the service's own.

    By the socket file `localtime.sock` of the runtime directory, or the one that --unix names, or
    of a host with --udp --host. A zone that the service does not know is told on standard
    error, and the exit code is 1.
    """
    if hosts and asking.transport != Transport.UDP:
        raise click.UsageError("--host is for --udp")
    if asking.transport == Transport.UNIXGRAM and not asking.path:
        asking = at_runtime_socket(asking, Transport.UNIXGRAM, ports.LOCALTIME_SOCKET)
    zoned = Zoned(os.fsencode(zone) or NO_ZONE)
    speech = Speech(name="localtime", kind="localtime", datagram=zoned.datagram)
    return ask_hosts(speech, hosts, asking)
