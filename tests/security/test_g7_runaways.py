"""G7: programs of clients end with all that they have started, and nobody else's with them."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.daemons import children, run, two_hosts
from tests.processes import is_gone, wait_until
from tests.security.hosts import Watched, add_addresses, connect, is_alive, reset

CONFIG = """
[service.run]
kind = "exec"
command = ["/bin/sh", "-c", 'IFS= read -r script; eval "$script"']
listen = ["tcp:0:interface={interface}"]
"""
"""A program that does what its client wants."""
SILENT = "exec sleep 1000 <&- >&- 2>&-"


def starts(sock: socket.socket, script: str) -> list[int]:
    """Have it done; the numbers that it says in its first line."""
    sock.sendall(script.encode() + b"\n")
    line = b""
    while not line.endswith(b"\n"):
        data = sock.recv(1000)
        assert data, line
        line += data
    return [int(word) for word in line.split()]


def test_what_has_left_its_group_ends_with_its_client(tmp_path: Path) -> None:
    """From three addresses; the programs of the others go on."""
    with two_hosts() as (host, other), ExitStack() as stack:
        add_addresses(other, ["10.77.0.3", "10.77.0.4"])
        text = CONFIG.format(interface="10.77.0.1")
        daemon = stack.enter_context(Watched(tmp_path, text, namespace=host))
        address = daemon.address("run", "tcp")
        places = [(other, f"10.77.0.{number}") for number in (2, 3, 4)]
        socks = [stack.enter_context(connect(place, address, source)) for place, source in places]
        script = f"setsid -f sh -c 'echo $$; {SILENT}'; exec cat"
        runaways = [starts(sock, script)[0] for sock in socks]
        hidden = stack.enter_context(connect(other, address, "10.77.0.2"))
        [lost] = starts(hidden, f"exec env -i setsid -f sh -c 'echo $$; {SILENT}'")
        wait_until(lambda: set(runaways) <= set(children(daemon.pid)), "they have come to it")
        while socks:
            reset(socks.pop())
            own = runaways.pop()
            wait_until(partial(is_gone, own), "its own has ended")
            assert all(is_alive(pid) for pid in runaways)
        wait_until(lambda: not is_alive(lost), "and so has one that hid whose it was")
        wait_until(lambda: children(daemon.pid) == [], "none is left, no zombie either")
        stack.close()


def test_a_daemon_that_stops_leaves_no_runaway(tmp_path: Path) -> None:
    """Nor what that has started."""
    with Watched(tmp_path, CONFIG.format(interface="127.0.0.1")) as daemon:
        sock = daemon.connect("run")
        nested = f'setsid -f sh -c "echo \\$\\$ \\$PPID; {SILENT}"'
        [pid, above] = starts(sock, f"setsid -f sh -c '{nested}; {SILENT}'; exec cat")
        daemon.stop()
        assert not is_alive(pid)
        assert not is_alive(above) or above == 1
        sock.close()


def test_a_number_that_comes_again_is_not_anothers_end(tmp_path: Path) -> None:
    """The program leaves, what it started holds its output, the numbers of processes begin anew.

    In a namespace of process numbers: nobody else takes the number, and the next can be chosen.
    """
    last = "/proc/sys/kernel/ns_last_pid"
    apart = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    text = CONFIG.format(interface="127.0.0.1")
    with Watched(tmp_path, text, prefix=apart) as daemon, ExitStack() as stack:
        within = ("nsenter", f"--target={daemon.pid}", "--pid", "--mount", "sh", "-c")
        attacker = stack.enter_context(daemon.connect("run"))
        [number] = starts(attacker, "echo $$; setsid -f sleep 1000")
        leader = f"cut -d' ' -f3 /proc/{number}/stat 2>/dev/null"
        wait_until(lambda: run(*within, f"{leader} || true").strip() in ("Z", ""), "it has left")
        # the next process has its number, if that is free
        run(*within, f"echo {number - 1} > {last}")
        victim = stack.enter_context(daemon.connect("run"))
        [other] = starts(victim, "echo $$; exec cat")
        reset(attacker)
        ended = daemon.wait_for("child-reaped")
        assert (ended["pid"], ended["status"]) == (number, "exit 0")
        victim.sendall(b"still here")
        assert victim.recv(100) == b"still here"
        assert other != number
        stack.close()
