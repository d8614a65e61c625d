"""G8: what runs under the unit does all that it should with the little that the unit allows."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests import confined
from tests.daemons import Daemon, ask, children
from tests.ops.managing import manager
from tests.processes import NOBODY, PATIENCE, SOCKD, running
from tests.security.hosts import Watched

UNIT = Path(__file__).parents[2] / "etc" / "systemd" / "sockd.service"
CAPABILITIES = "+net_bind_service,+dac_override"
"""One that the unit gives the daemon, and one without which it could not read this Python."""
WATCHDOG = "4000000"
"""A sign of life each second: the manager has room for some while a test stands still."""
UNDER_THE_UNIT = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *(f"--inh-caps={CAPABILITIES}", f"--ambient-caps={CAPABILITIES}", "--no-new-privs", "--"),
    *(sys.executable, confined.__file__, str(UNIT)),
)
CONFIG = """
[service.run]
kind = "exec"
command = {}
listen = ["tcp:0:interface=127.0.0.1"]
[service.factor]
listen = ["tcp:0:interface=127.0.0.1"]
"""


class Confined(Watched):
    """A daemon that may keep its worker."""

    spare_descriptors = 3


def test_programs_and_the_worker_run_with_the_system_calls_of_the_unit(tmp_path: Path) -> None:
    """They lose the daemon's capabilities, which is a system call too."""
    config = CONFIG.format(json.dumps(["/bin/cat", "/proc/self/status"]))
    with Confined(tmp_path, config, prefix=UNDER_THE_UNIT) as daemon:
        status = ask(daemon.connect("run"), b"").decode()
        with daemon.connect("factor") as sock:
            sock.sendall(b"%d\n" % 2**64)
            assert sock.recv(1000) == b" ".join([b"2"] * 64) + b"\r\n"
        assert len(children(daemon.pid)) == 1
    assert "Seccomp:\t2\n" in status
    for one in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert f"{one}:\t0000000000000000\n" in status


def test_it_reloads_and_is_upgraded_and_its_sockets_are_kept_with_those_calls(
    tmp_path: Path,
) -> None:
    config = '[service.echo]\nlisten = ["tcp:0:interface=127.0.0.1", "udp:0:interface=127.0.0.1"]\n'
    with manager(tmp_path) as told:
        told.path.chmod(0o666)
        environment = {**told.environment, "FDSTORE": "1024", "WATCHDOG_USEC": WATCHDOG}
        prefix, control = UNDER_THE_UNIT, tmp_path / "run" / "control.sock"
        with Daemon(tmp_path, config, prefix=prefix, environment=environment) as daemon:
            told.hear_until("READY")
            for command in ("reload", "upgrade"):
                with running([SOCKD, command, "--control", str(control)]) as asking:
                    told.hear_until("RELOADING")
                    told.hear_until("READY")
                    assert asking.process.wait(PATIENCE) == 0, asking.text()
                assert ask(daemon.connect("echo"), b"hi") == b"hi"
            told.hear_until("WATCHDOG")
            assert len(told.store) == 2
