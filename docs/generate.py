"""Write the pages of docs/services, one a kind of service, from what the services declare.

With an argument, a folder, they are written there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from sockd.ops.describe import LIMITS_HEADING, limits_text, page
from sockd.service import Found, find

HERE = Path(__file__).parent / "services"
NOTE = "<!-- Written by `make docs` from src/sockd: change it there. -->\n\n"
EVERY_SERVICE = "It has the [options of every service](README.md#options-of-every-service) too.\n"


def pages(found: Found) -> Iterator[tuple[str, str]]:
    """The name and the text of each file."""
    yield "README.md", NOTE + index(found)
    for name, kind in found.kinds.items():
        yield f"{name}.md", f"{NOTE}{page(kind)}\n{EVERY_SERVICE}"


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
    """Write every page; remove those of kinds that there are no more."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    folder.mkdir(parents=True, exist_ok=True)
    wanted = dict(pages(find()))
    for old in set(folder.glob("*.md")) - {folder / name for name in wanted}:
        old.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
