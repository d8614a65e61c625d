"""`python -m tests.client.chat.seeker [OPTIONS]`: one search for chat servers, told as JSON lines.

In a process of its own, so that it can run on another host (a network namespace).
"""

from __future__ import annotations

import argparse
import json
import sys

from sockd.client.asking import Asking
from sockd.client.chat.find import OTHERS_WAIT, Search, Server
from sockd.client.exits import Exit
from sockd.client.process import Run, run_process
from sockd.formats.hostport import host_port


def _write(**what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Search, and tell each step and all that was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--last", help="the host of the last server")
    parser.add_argument("--others", type=float, default=OTHERS_WAIT)
    parser.add_argument("--family", type=int, default=0)
    wanted = parser.parse_args()

    async def body(run: Run) -> Exit:
        search = Search(run, lambda step: _write(step=step), others_wait=wanted.others)
        found = await search.find(Server(wanted.last, 2027) if wanted.last else None)
        _write(found=[host_port(one.host, one.port) for one in found], names=list(map(str, found)))
        return Exit.ANSWERED

    return run_process(body, Asking(family=wanted.family), lambda _: None)


if __name__ == "__main__":
    raise SystemExit(main())
