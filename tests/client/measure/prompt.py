"""An echo server over UDP which answers at once, whatever else runs: run by itself, as a module.

What a test looks at is the client; how soon a busy machine lets a server run would hide it. So it
has the priority of real time, where that is allowed. It prints its port.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress

PRIORITY = 10
"""Any is before all ordinary processes."""


def main() -> None:
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sys.stdout.write(f"port {sock.getsockname()[1]}\n")
        sys.stdout.flush()
        while True:
            sock.sendto(*sock.recvfrom(65_535))


if __name__ == "__main__":
    main()
