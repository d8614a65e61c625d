"""`http`: a GET, with the steps of its connection measured."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from attrs import define

from sockd import __version__
from sockd.client.arguments import Command, asks
from sockd.client.asking import Asking
from sockd.client.asks import Answer, ConversationHost, Speech, Talk
from sockd.client.errors import BadAnswer
from sockd.client.net.streams import Stream
from sockd.client.process import Run
from sockd.client.reach import connect
from sockd.client.start import run_hosts
from sockd.client.targets import Target, Transport
from sockd.formats.text import readable
from sockd.formats.url import PORTS, Url, parse_url

if TYPE_CHECKING:
    from twisted.web.iweb import IResponse

MOST_REDIRECTS = 5
"""What old browsers followed; more are a loop, or somebody's game."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
HEADERS = {"User-Agent": f"sock/{__version__}", "Accept": "*/*"}


@define(eq=False)
class Fetching:
    """How one URL is fetched."""

    url: Url
    follows: bool
    shows_headers: bool
    fails: bool

    async def fetch(self, stream: Stream, talk: Talk) -> Answer:
        """The answer, by way of as many others as are allowed. Raises ClientError."""
        url, redirects, opened = self.url, 0, stream
        try:
            while True:
                status, further = await self._hop(url, stream, talk)
                if further is None:
                    break
                redirects += 1
                if redirects > MOST_REDIRECTS:
                    raise BadAnswer(f"{self.url} leads on more than {MOST_REDIRECTS} times")
                self._check_step(url, further, talk.asking)
                stream.close()
                url = further
                stream = await self._dial(url, talk)
        finally:
            if stream is not opened:
                stream.close()
        return Answer(values={"status": status, "redirects": redirects}, timing=stream.timing)

    def _check_step(self, url: Url, further: Url, asking: Asking) -> None:
        """Raises BadAnswer where a server leads to what the user has not asked for."""
        if url.is_secure and not further.is_secure:
            raise BadAnswer(f"{url} leads to {further}, where nothing is verified")
        if further.host != url.host and (asking.certificate or asking.server_name):
            raise BadAnswer(f"{url} leads to {further}: --cert and --server-name are for one host")

    async def _dial(self, url: Url, talk: Talk) -> Stream:
        return await connect(talk.run, to_target(url), talk.asking)

    async def _hop(self, url: Url, stream: Stream, talk: Talk) -> tuple[int, Url | None]:
        """Ask for one URL: the status, and where it leads on if that is to be followed."""
        from sockd.client.talk.exchange import HttpExchange  # for it takes long to load

        exchange = HttpExchange(talk.run.reactor, stream, talk.asking.wait, str(url))
        try:
            response = await exchange.get(HEADERS)
            if self.shows_headers:
                show_head(exchange.head)
            further = self._further(url, response)
            if further is None:
                await exchange.read(response, talk.out)
        finally:
            exchange.close()
        status = int(response.code)
        if self.fails and status >= 400:
            raise BadAnswer(f"{url}: {status} {_phrase(response)}")
        return status, further

    def _further(self, url: Url, response: IResponse) -> Url | None:
        if not self.follows or response.code not in REDIRECTS:
            return None
        places = response.headers.getRawHeaders(b"location", [])
        if not places:
            return None
        try:
            return url.joined(places[0].decode("utf-8"))
        except ValueError as error:  # one of Unicode too
            raise BadAnswer(f"{url} leads to no URL: {error}") from None


def _phrase(response: IResponse) -> str:
    phrase: bytes = response.phrase
    return phrase.decode("utf-8", "surrogateescape")


def show_head(head: bytes) -> None:
    """The status and the headers, on standard error: the body has standard output for itself."""
    lines = head.replace(b"\r\n", b"\n").split(b"\n")
    sys.stderr.write("".join(f"{readable(line)}\n" for line in [*lines, b""]))


def to_target(url: Url) -> Target:
    """Where a URL is asked for."""
    transport = Transport.TLS if url.is_secure else Transport.TCP
    return Target(transport, host=url.host, port=url.port)


@click.command(cls=Command)
@click.argument("address", metavar="URL")
@click.option("--headers", "shows_headers", is_flag=True, help="Status and headers, on stderr.")
@click.option("--follow", "follows", is_flag=True, help="Go on where it leads, 5 times at most.")
@click.option("--fail", "fails", is_flag=True, help="A status of 400 or more is exit code 4.")
@click.option("--unix", "path", metavar="PATH", default="", help="By a socket file.")
@asks(has_tls=True)
def http(asking: Asking, address: str, shows_headers: bool, follows: bool, fails: bool) -> int:
    """Fetch a URL, and print what it holds.

    https verifies the certificate. Any answer is an answer, unless --fail: 404 too. -W is for each
    piece of it, -w for all. No proxy is used, nothing is cached, and no compression asked for.
    """
    try:
        url = parse_url(address)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    _check_options(url, asking, follows)
    target = Target(Transport.UNIX, path=asking.path) if asking.path else to_target(url)
    fetching = Fetching(url, follows, shows_headers, fails)
    speech = Speech(name="http", ports={Transport.TCP: PORTS["http"]}, stream=fetching.fetch)

    def make(run: Run, target: Target) -> ConversationHost:
        return ConversationHost(run, speech, target)

    return run_hosts("http", [target], asking, make)


def _check_options(url: Url, asking: Asking, follows: bool) -> None:
    """Raises UsageError where an option does not go with the URL."""
    if asking.port is not None:
        raise click.UsageError(f"the port is part of the URL: http://HOST:{asking.port}/")
    if asking.path and (url.is_secure or follows):
        raise click.UsageError("--unix is for http, and leads nowhere else")
    if not url.is_secure and (
        asking.ca or asking.certificate or asking.server_name or asking.is_insecure
    ):
        raise click.UsageError("--ca, --cert, --server-name and --insecure are for https")
