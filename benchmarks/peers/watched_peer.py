"""sockd as it is, in a process that tells what it holds: `watched_peer.py`.

The first line has its ports by service and transport, each later line a `Sample` of `soak.py`.
"""

import json
import os
from pathlib import Path
from typing import Any

from twisted.application.reactors import installReactor
from twisted.internet.task import LoopingCall
from twisted.logger import globalLogBeginner

from benchmarks.soak import SAMPLE_SECONDS, SERVICES
from sockd.config.load import load
from sockd.daemon.daemon import make_daemon
from sockd.ops.log_lines import FORMATS
from sockd.ops.logs import LogWriter
from sockd.ops.table import all_rows
from sockd.service import find

reactor: Any = installReactor("uvloop")
null = Path(os.devnull).open("w")  # noqa: SIM115 - to the end of the process
globalLogBeginner.beginLoggingTo([LogWriter(null, FORMATS["text"])], redirectStandardIO=False)

certificate = os.environ["CERTIFICATE"]
secure = f"tls:0:interface=127.0.0.1:privateKey={certificate}:certKey={certificate}"
listens = {"tcp": "tcp:0:interface=127.0.0.1", "udp": "udp:0:interface=127.0.0.1", "tls": secure}
settings = [
    f"service.{name}.listen={json.dumps([listens[one] for one in transports])}"
    for name, transports in SERVICES.items()
]
daemon = make_daemon(load(None, list(SERVICES), settings, find()), reactor)
daemon.privilegedStartService()
daemon.startService()
reactor.addSystemEventTrigger("before", "shutdown", daemon.stopService)

pages = Path("/proc/self/statm")
descriptors = Path("/proc/self/fd")


def tell() -> None:
    """Resident bytes, open descriptors, delayed calls."""
    resident = int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    held = [resident, len(list(descriptors.iterdir())), len(reactor.getDelayedCalls())]
    print(json.dumps(held), flush=True)


rows = all_rows(daemon.instances)
ports = {f"{row.service} {row.transport}": row.address.split(":")[-1] for row in rows}
print(json.dumps(ports), flush=True)
LoopingCall(tell).start(SAMPLE_SECONDS)
reactor.run()
