"""What travesty does with a text: `travesty_peer.py FILE WORDS`, words a second as JSON."""

from __future__ import annotations

import gc
import json
import random
import resource
import sys
import time
from pathlib import Path

import numpy  # noqa: F401 - to load it is no part of what is measured

from sockd.travesty.memory import give_back
from sockd.travesty.model import Travesty
from sockd.travesty.uploads import Uploads

READ = 64 * 1024
"""Bytes that come at once."""


def memory() -> int:
    """Bytes that are resident."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def main(name: str, count: int) -> None:
    """Learn, and make up a text."""
    gc.collect()
    give_back()
    before = memory()
    travesty = Travesty(1 << 28, 1 << 40)
    uploads = Uploads(1024)
    uploads.feed(b"DATA\r\n")
    uploads.take()
    start = time.perf_counter()
    uploads.begin_text()
    with Path(name).open("rb") as file:
        while data := file.read(READ):
            uploads.feed(data)
            while uploads.has_request:
                travesty.add(uploads.take())
    uploads.end()
    while uploads.has_request and (block := uploads.take()) != b".":
        travesty.add(block)
    words = travesty.words
    travesty.finish()
    give_back()
    learnt = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    kept = memory() - before
    made = time.perf_counter()
    for _ in travesty.generate(count, random.Random(1)):
        pass
    result = {
        "analysis": words / (learnt - start),
        "generation": count / (time.perf_counter() - made),
        "words": words,
        "pairs": travesty.pairs,
        "memory": kept,
        "peak": peak,
    }
    print(json.dumps(result))


main(sys.argv[1], int(sys.argv[2]))
