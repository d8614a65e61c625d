"""`sock` with a garbage collector that works at every chance: run by itself, as a module.

Last it tells on standard error when the collector ran, by the wall clock, and how it is left.
"""

from __future__ import annotations

import gc
import json
import sys
import time

from sockd.client.main import main as sock


def main() -> None:
    ran_ns: list[int] = []
    gc.callbacks.append(lambda phase, _: ran_ns.append(time.time_ns()))
    gc.set_threshold(1, 1, 1)
    try:
        sock()
    finally:
        gc.callbacks.clear()
        found = {"ran_ns": ran_ns, "is_on": gc.isenabled(), "frozen": gc.get_freeze_count()}
        sys.stderr.write(json.dumps(found))


if __name__ == "__main__":
    main()
