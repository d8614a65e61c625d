"""The client's datagrams on another host (a network namespace): run there by itself, as a module.

`ask HOST PORT`, `many HOST PORT COUNT` or `hear GROUP PORT COUNT`, and an interface; what comes of
it is lines of JSON on standard output.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from typing import Any

from twisted.internet.defer import Deferred

from tests.processes import PATIENCE

REACTOR = "SOCKD_TEST_REACTOR"
"""Names the reactor of the suite."""
MODULES = {
    "uvloop": "sockd.reactor.uv",
    "epoll": "twisted.internet.epollreactor",
    "asyncio": "twisted.internet.asyncioreactor",
}


def say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def work(reactor: Any, what: str, host: str, port: int, count: int, interface: str) -> None:
    from sockd.client.errors import ClientError
    from sockd.client.net.datagrams import open_group, open_host

    try:
        if what == "hear":
            datagrams = open_group(reactor, (host, port), interface=interface)
            say(joined=datagrams.opened.joined)
        else:
            datagrams = open_host(reactor, (host, port), interface=interface)
            say(many=datagrams.is_many, source=datagrams.opened.source)
    except ClientError as error:
        say(error=type(error).__name__, text=str(error))
        return
    try:
        if what == "ask":
            found = [await datagrams.ask(b"hello", wait=PATIENCE)]
        else:
            if what == "many":
                datagrams.send(b"hello")
            found = [await datagrams.receive(PATIENCE) for _ in range(count)]
        for one in found:
            say(
                data=one.data.decode(),
                sender=one.address[0],
                interface=one.interface,
                destination=one.destination,
            )
    except ClientError as error:
        say(error=type(error).__name__, text=str(error))
    say(icmp=[[one.text, one.sender, one.count] for one in datagrams.icmp()])
    datagrams.close()


def main(name: str, what: str, host: str, port: str, count: str, interface: str = "") -> None:
    import_module(MODULES[name]).install()
    from twisted.internet import reactor

    ours: Any = reactor

    def begin() -> None:
        done = Deferred.fromCoroutine(work(ours, what, host, int(port), int(count), interface))
        done.addErrback(lambda failure: say(traceback=failure.getTraceback()))
        done.addBoth(lambda _: ours.stop())

    ours.callWhenRunning(begin)
    ours.run()


def command(host: str, *arguments: object) -> list[str]:
    """How to run it on a host, on the reactor that the suite runs on."""
    name = os.environ[REACTOR]
    words = [sys.executable, "-m", "tests.client.abroad", name, *map(str, arguments)]
    return ["ip", "netns", "exec", host, *words]


if __name__ == "__main__":
    main(*sys.argv[1:])
