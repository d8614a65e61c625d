"""How fast travesty learns and makes up texts, beside the same algorithm in Perl.

    python -m benchmarks.travesty [--rounds N] [--text FILE]

Both work on the same text on the same core, in turn. Prints ratios, medians of the rounds, and what
memory a pair of words takes. The text is made of this machine's manual pages and fortunes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import pick_cores
from benchmarks.roster import SOURCES

ROUNDS = 7
TEXT_BYTES = 10_000_000
GENERATED = 1_000_000
"""Words."""
PATIENCE = 300.0
TARGETS = {"analysis": 3.0, "generation": 5.0}
MEMORY = 120
"""Bytes for each pair of words that differs from the others."""
OURS = [sys.executable, str(SOURCES / "travesty_peer.py")]
PERL = ["perl", str(SOURCES / "travesty.pl")]
_ESCAPE = re.compile(rb"\\(?:f[A-Z]|f\[[^]]*\]|[&|^])")


def main(rounds: int, text: Path | None) -> int:
    """Measure and print; the exit code: 0 where all is reached."""
    core = pick_cores().server
    with tempfile.TemporaryDirectory() as folder:
        if text is None:
            text = Path(folder, "text")
            text.write_bytes(made_text())
        found: list[tuple[dict[str, float], dict[str, float]]] = []
        for number in range(rounds):
            first, second = (OURS, PERL) if number % 2 else (PERL, OURS)
            results = {argv[0]: measured(argv, text, core) for argv in (first, second)}
            found.append((results[OURS[0]], results[PERL[0]]))
        size = text.stat().st_size
    ours = found[0][0]
    print(f"{size:,} bytes, {ours['words']:,} words, {ours['pairs']:,} pairs; {rounds} rounds")
    is_reached = True
    for what, target in TARGETS.items():
        ratios = sorted(one[what] / other[what] for one, other in found)
        rates = [median(pair[side][what] for pair in found) / 1e6 for side in (0, 1)]
        middle = median(ratios)
        is_reached &= middle >= target
        print(
            f"{what:10}  sockd {rates[0]:.2f}, Perl {rates[1]:.2f} million words/s: "
            f"{middle:.2f} [{ratios[0]:.2f}..{ratios[-1]:.2f}], wanted {target:g}"
        )
    memory = median(one["memory"] / one["pairs"] for one, _ in found)
    peak = median(one["peak"] / one["words"] for one, _ in found)
    print(f"memory      {memory:.0f} bytes a pair, wanted {MEMORY}; meanwhile {peak:.0f} a word")
    return int(not (is_reached and memory <= MEMORY))


def made_text() -> bytes:
    """English, as the machine has it."""
    found = bytearray()
    for page in _pages():
        found += page
        if len(found) >= TEXT_BYTES:
            break
    return bytes(found[:TEXT_BYTES])


def _pages() -> Iterator[bytes]:
    for fortunes in sorted(Path("/usr/share/games/fortunes").glob("*.u8")):
        yield fortunes.read_bytes().replace(b"%", b"")
    for packed in sorted(Path("/usr/share/man").glob("man[1-8]/*.gz")):
        lines = gzip.decompress(packed.read_bytes()).splitlines(keepends=True)
        text = b"".join(line for line in lines if not line.startswith((b".", b"'", b"\\")))
        yield _ESCAPE.sub(b"", text).replace(b"\\-", b"-").replace(b"\\", b"")


def measured(argv: list[str], text: Path, core: int) -> dict[str, Any]:
    """What one of both says of itself."""
    pinned = ["taskset", "--cpu-list", str(core), *argv, str(text), str(GENERATED)]
    done = subprocess.run(pinned, capture_output=True, check=True, timeout=PATIENCE)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--text", type=Path)
    options = parser.parse_args()
    sys.exit(main(options.rounds, options.text))
