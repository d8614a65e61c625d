"""`chargen` and `discard`: data that only comes or only goes, and how fast (RFC 863, 864)."""

from __future__ import annotations

import click
from attrs import evolve

from sockd.client.arguments import BYTES, Command, asks, check_end
from sockd.client.asking import LARGEST_SIZE, Asking
from sockd.client.asks import INTERVAL, Answer, ConversationHost, Speech, Talk
from sockd.client.errors import BadAnswer
from sockd.client.hosts import Asked
from sockd.client.measure.pace import Pace
from sockd.client.net.datagrams import Datagrams
from sockd.client.net.streams import Stream
from sockd.client.process import Run
from sockd.client.start import run_hosts, targets
from sockd.client.talk.flow import FlowHost, send_all
from sockd.client.talk.oneway import INTERVAL as SENDING_INTERVAL
from sockd.client.talk.oneway import OneWayHost
from sockd.client.targets import Target, Transport
from sockd.formats import ports
from sockd.formats.chargen import CHARACTERS, MOST_DATAGRAM, RFC, BrokenPattern, Follower

TCP, UDP, TLS = Transport.TCP, Transport.UDP, Transport.TLS
DISCARD_BYTES = 16 * 1024 * 1024
"""Sent if nothing else is said: a second at 134 Mbit/s, and more than the queues on the way."""
DISCARD_DATAGRAM = 64
"""Bytes of a datagram if nothing else is said."""
ONE_AT_A_TIME = "one question at a time, and the next one no sooner than -i says: it may do more"

_SIZE = click.option(
    "-s", "--size", type=BYTES, metavar="SIZE", help="Bytes: 512, 64k, 4m; of each datagram."
)


def _flowing(asking: Asking, every: float, *, is_rate: bool = False) -> Asking:
    """With an interval, where datagrams are to flow until something ends it.

    Raises UsageError where a size or a count does not go with the transport.
    """
    if Transport(asking.transport).is_stream:
        if asking.count is not None:
            raise click.UsageError("-c counts datagrams: a connection has -s, its bytes")
        if asking.interval is not None or asking.retries:
            raise click.UsageError("-i and --retries are for datagrams: a connection flows")
    elif asking.size is not None and asking.size > LARGEST_SIZE:
        raise click.UsageError(f"a datagram has at most {LARGEST_SIZE} bytes, not {asking.size}")
    elif asking.count is asking.interval is None and (is_rate or asking.deadline is not None):
        return evolve(asking, interval=every)
    return asking


# chargen


async def read_pattern(
    host: FlowHost, stream: Stream, *, is_checked: bool = True, is_shown: bool = True
) -> None:
    """Read the pattern to the size that was asked for, or to its end. Raises BadAnswer."""
    follower = Follower()
    try:
        await _read(host, stream, follower if is_checked else None, is_shown)
    finally:  # it may be stopped
        host.values.update(ring_of(follower))
        host.notes.extend(another_ring(follower))


async def _read(host: FlowHost, stream: Stream, follower: Follower | None, is_shown: bool) -> None:
    asking, size = host.run.asking, 0
    while asking.size is None or size < asking.size:
        data = await stream.read(asking.wait)
        if not data:
            break
        if asking.size is not None:
            data = data[: asking.size - size]
        if follower is not None:
            follow(follower, data, host.target)
        size += len(data)
        host.carried(size, stream.last_byte_ns)
        if is_shown:
            host.out(data)
    if asking.size is not None and size < asking.size:
        raise BadAnswer(f"{host.target} ended after {size} of {asking.size} bytes")
    if asking.size is None:
        if not size:
            raise BadAnswer(f"{host.target} closed without a word")
        host.notes.append("the service has ended it: RFC 864 leaves that to the client")
    if not size:
        host.carried(0, stream.opened_ns)


def follow(follower: Follower, data: bytes, target: Target) -> None:
    """Raises BadAnswer where the pattern breaks."""
    try:
        follower.feed(data)
    except BrokenPattern as broken:
        raise BadAnswer(
            f"the pattern of {target} is corrupt {broken} (--unchecked takes any data)"
        ) from None


def ring_of(follower: Follower) -> dict[str, str]:
    """Which it is, by what is known of it."""
    names = [ring.name for ring in follower.rings]
    return {"ring": " or ".join(names)} if names else {}


def another_ring(follower: Follower) -> tuple[str, ...]:
    """That it is not the recommended one, in a sentence, if so."""
    if not follower.rings or RFC in follower.rings:
        return ()
    found = " or ".join(f"the {len(ring.characters)} of {ring.name}" for ring in follower.rings)
    return (f"it rotates {found}, not the {len(CHARACTERS)} characters that RFC 864 recommends",)


def pattern_speech(is_checked: bool, is_shown: bool) -> Speech:
    """Chargen by datagrams: each question is as long as its answer may be.

    The answers bear no mark of their question, so there is one question at a time.
    """
    pace = Pace()

    async def ask(datagrams: Datagrams, talk: Talk) -> Answer:
        size = MOST_DATAGRAM if talk.asking.size is None else talk.asking.size
        came = await datagrams.ask(bytes(size), wait=talk.asking.wait)
        if is_checked and len(came.data) > MOST_DATAGRAM:
            raise BadAnswer(
                f"{talk.target} sent {len(came.data)} bytes: RFC 864 allows {MOST_DATAGRAM} "
                "(--unchecked takes any data)"
            )
        follower = Follower()
        if is_checked:
            follow(follower, came.data, talk.target)
        if is_shown:
            talk.out(came.data)
        else:
            talk.size = len(came.data)
        pace.add(len(came.data), came.at_ns)
        return Answer(
            rtt_ns=came.rtt_ns,
            is_kernel=came.is_kernel,
            rate_bps=pace.bps,
            datagram_rate=pace.datagrams,
            values=ring_of(follower),
            notes=(*another_ring(follower), *([ONE_AT_A_TIME] if pace.datagrams else [])),
        )

    return Speech(name="chargen", kind="chargen", datagram=ask)


@click.command(cls=Command)
@click.argument("hosts", nargs=-1, metavar="[HOST...]")
@_SIZE
@click.option("--rate", "is_rate", is_flag=True, help="Do not print it: tell the rate alone.")
@click.option("--unchecked", "is_unchecked", is_flag=True, help="Take any data as the pattern.")
@asks(TCP, UDP, TLS, Transport.UNIX, Transport.UNIXGRAM)
def chargen(asking: Asking, hosts: tuple[str, ...], is_rate: bool, is_unchecked: bool) -> int:
    """Print the rotating pattern, and tell how fast it comes (RFC 864).

    To -s bytes, -w seconds, ^C or the end of who reads. Lines of 72 of 95 characters, each shifted
    by one, are what the RFC recommends; xinetd rotates 93, muduo 94. Anything else is corrupt,
    unless --unchecked. By datagrams, questions of -s bytes (512) go one by one, as -i says (1 s;
    0: as answers come), and no more should come back: -c of them, with -i, -w or --rate until -w or
    ^C, else one.
    """
    asking = _flowing(asking, INTERVAL, is_rate=is_rate)
    if Transport(asking.transport).is_stream and asking.size is None and asking.deadline is None:
        check_end(asking, "-s or -w")
    found = targets(hosts, asking, dict.fromkeys((TCP, UDP, TLS), ports.CHARGEN))

    async def carry(host: FlowHost, stream: Stream) -> None:
        await read_pattern(host, stream, is_checked=not is_unchecked, is_shown=not is_rate)

    def make(run: Run, target: Target) -> Asked:
        if target.transport.is_stream:
            return FlowHost(run, target, carry)
        return ConversationHost(run, pattern_speech(not is_unchecked, not is_rate), target)

    return run_hosts("chargen", found, asking, make, kind="chargen")


# discard


@click.command(cls=Command)
@click.argument("hosts", nargs=-1, metavar="[HOST...]")
@_SIZE
@asks(TCP, UDP, TLS, Transport.UNIX, Transport.UNIXGRAM)
def discard(asking: Asking, hosts: tuple[str, ...]) -> int:
    """Send -s bytes (16m) that are forgotten, and tell how fast they go (RFC 863).

    It counts what the other side has taken: all of it once the service has closed after our end, or
    once its kernel has acknowledged it. By datagrams: of -s bytes (64), each -i (0.1 s), -c of
    them, with -i or -w until -w or ^C, else one; nothing comes back, so the rate is that of
    sending, and only what the network reports as undelivered is known to be lost.
    """
    asking = _flowing(asking, SENDING_INTERVAL)
    if asking.retries:
        raise click.UsageError("--retries asks again where no answer came: here none ever comes")
    found = targets(hosts, asking, dict.fromkeys((TCP, UDP, TLS), ports.DISCARD))

    async def carry(host: FlowHost, stream: Stream) -> None:
        await send_all(host, stream, DISCARD_BYTES if asking.size is None else asking.size)

    def make(run: Run, target: Target) -> Asked:
        if target.transport.is_stream:
            return FlowHost(run, target, carry, is_outward=True)
        return OneWayHost(
            run, target, bytes(DISCARD_DATAGRAM if asking.size is None else asking.size)
        )

    return run_hosts("discard", found, asking, make, kind="discard")
