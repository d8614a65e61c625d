"""Write what is made from the tables of the code: docs/services, the man pages, the completions.

With an argument, a folder, it is the root of them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from sockd.cli import main as sockd
from sockd.client.main import sock
from sockd.ops.describe import LIMITS_HEADING, limits_text, page
from sockd.ops.manual.files import files
from sockd.service import Found, find
from sockd.twistd import Options, alone_options

ROOT = Path(__file__).parents[1]
FOLDERS = ("docs/services", "man", "completions")
"""Which hold nothing else."""
NOTE = "<!-- Written by `make docs` from src/sockd: change it there. -->\n\n"
EVERY_SERVICE = "It has the [options of every service](README.md#options-of-every-service) too.\n"


def pages(found: Found) -> Iterator[tuple[str, str]]:
    """The path and the text of each file."""
    yield "docs/services/README.md", NOTE + index(found)
    for name, kind in found.kinds.items():
        yield f"docs/services/{name}.md", f"{NOTE}{page(kind)}\n{EVERY_SERVICE}"
    twistd = {"sockd": Options(), "sockd-KIND": alone_options("KIND")()}
    yield from files(sockd, sock, twistd, found)


def index(found: Found) -> str:
    """A line a kind, and the options that all of them have."""
    kinds = [f"- [{name}]({name}.md): {found.kinds[name].summary}" for name in sorted(found.kinds)]
    return "\n".join(
        [
            "# The kinds of service",
            "",
            "One page each: what it does, what to type to see it, and its options.",
            "`sockd services NAME` prints the same. What follows a `$` can be typed while",
            "`make run` runs, with `.venv/bin` on the path. Times and figures will differ; `...`",
            "stands for anything. `nc` is OpenBSD's netcat (on Debian: `netcat-openbsd`).",
            "",
            *kinds,
            "",
            LIMITS_HEADING,
            "",
            "`[defaults]` sets them for all instances, `[service.NAME]` for one. In brackets",
            "stands what a service must have for the option to have an effect, and from when on",
            "a change of it can hold. A daemon that runs is not told of changes yet.",
            "",
            limits_text(),
            "",
        ]
    )


def main() -> None:
    """Write every file; remove those of kinds, pages and programs that there are no more."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    wanted = {root / name: text for name, text in pages(find())}
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for old in set((root / folder).iterdir()) - wanted.keys():
            old.unlink()
    for file, text in wanted.items():
        file.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
