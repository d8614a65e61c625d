"""G7: what clients have the host do for them is bounded in number, time and memory."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from random import Random
from shutil import copy
from tempfile import TemporaryDirectory

from flint import fmpz

from sockd.services.factor import WORKER_FILE_BYTES
from tests.daemons import ask, children, receive_all
from tests.processes import NOBODY, PATIENCE, is_gone, wait_until
from tests.security.hosts import Watched, is_alive, paused, reset

DIGITS = 95
WAITING = 16
SLACK = 30.0
WORKER_DESCRIPTORS = 4
TCP = 'listen = ["tcp:0:interface=127.0.0.1"]\n'


def exec_config(*command: str, **options: str) -> str:
    """An instance that runs a program."""
    lines = "".join(f"{name} = {value}\n" for name, value in options.items())
    return f"[service.run]\nkind = 'exec'\ncommand = {json.dumps(command)}\n{TCP}{lines}"


def semiprimes(count: int) -> list[int]:
    """Products of two primes of about the same length: what takes longest to factor."""
    random = Random(95)
    found = []
    for _ in range(count):
        primes: list[int] = []
        while len(primes) < 2:
            number = fmpz(random.randrange(32 * 10 ** (DIGITS // 2 - 2), 10 ** (DIGITS // 2)) | 1)
            while not number.is_prime():
                number += 2
            primes.append(int(number))
        found.append(primes[0] * primes[1])
    return found


class Factoring(Watched):
    """A daemon that may keep its worker."""

    spare_descriptors = WORKER_DESCRIPTORS


def factor_config(deadline: str) -> str:
    """A service that takes long numbers."""
    return f'[service.factor]\nmax_digits = {DIGITS}\ndeadline = "{deadline}"\n{TCP}'


def test_of_twenty_hard_numbers_one_is_worked_on_and_sixteen_wait(tmp_path: Path) -> None:
    """The next three are told `error: busy` at once; the others get their turn, and no longer."""
    with Factoring(tmp_path, factor_config("200ms")) as daemon, ExitStack() as stack:
        socks = [stack.enter_context(daemon.connect("factor")) for _ in range(20)]
        for sock in socks:
            sock.sendall(b"42\n")
            assert sock.recv(100) == b"2 3 7\r\n"
        with paused(daemon.pid):  # however slow we are, it hears them all before the first is late
            for sock, number in zip(socks, semiprimes(20), strict=True):
                sock.sendall(b"%d\n" % number)
        answers = []
        for sock in socks:
            sock.settimeout(17 * 0.2 + SLACK)
            answers.append(sock.recv(1000))
        busy = b"error: busy\r\n"
        late = b"error: not done within 200ms\r\n"
        assert sorted(answers) == [busy] * 3 + [late] * (1 + WAITING)
        assert answers[0] == late
        # each had a worker of its own: the one before was ended with its number
        for sock in socks:
            sock.sendall(b"42\n")
            assert sock.recv(100) == b"2 3 7\r\n"
        wait_until(lambda: len(children(daemon.pid)) <= 1, "no worker but one is left")
        stack.close()


def test_three_are_told_at_once_that_the_worker_is_busy(tmp_path: Path) -> None:
    """While the worker is busy and sixteen wait, nobody waits to be refused; small ones go on."""
    with Factoring(tmp_path, factor_config("1m")) as daemon, ExitStack() as stack:
        numbers = semiprimes(21)
        socks = [stack.enter_context(daemon.connect("factor")) for _ in range(17)]
        for sock, number in zip(socks, numbers, strict=False):
            sock.sendall(b"%d\n" % number)
            sock.sendall(b"12\n")  # waits for its turn in its own connection
        small = stack.enter_context(daemon.connect("factor"))
        small.sendall(b"42\n")
        assert small.recv(100) == b"2 3 7\r\n"
        for number in numbers[17:]:
            with daemon.connect("factor") as sock:
                sock.settimeout(PATIENCE)
                sock.sendall(b"%d\n" % number)
                assert sock.recv(100) == b"error: busy\r\n"
        [worker] = children(daemon.pid)
        for sock in socks:
            reset(sock)
        wait_until(lambda: not is_alive(worker), "the worker is ended with its clients")
        wait_until(lambda: children(daemon.pid) == [], "and nothing was begun for those that left")
        small.sendall(b"340282366920938463463374607431768211456\n")
        assert small.recv(1000) == b" ".join([b"2"] * 128) + b"\r\n"
        stack.close()


def test_forty_programs_run_at_once_and_the_next_client_is_told_busy(tmp_path: Path) -> None:
    """The limit is of programs that run; one that ends makes room."""
    with Watched(tmp_path, exec_config("/bin/cat")) as daemon, ExitStack() as stack:
        socks = [stack.enter_context(daemon.connect("run")) for _ in range(40)]
        for sock in socks:
            sock.sendall(b"hello")
            assert sock.recv(100) == b"hello"
        assert len(children(daemon.pid)) == 40
        with daemon.connect("run") as sock:
            assert receive_all(sock) == b"error: busy\r\n"
        assert ask(socks[0], b"!") == b"!"
        wait_until(lambda: len(children(daemon.pid)) == 39, "one has ended")
        assert ask(daemon.connect("run"), b"again") == b"again"
        stack.close()
        wait_until(lambda: children(daemon.pid) == [], "all have ended")


def test_a_program_has_a_clean_environment(tmp_path: Path) -> None:
    """Nothing of the daemon's own environment reaches it but the zone; what it needs is set."""
    secret = {"SECRET": "of the daemon", "TZ": "Europe/Warsaw", "LD_LIBRARY_PATH": "/nowhere"}
    text = exec_config("/usr/bin/env", environment='{ MORE = "1" }')
    with Watched(tmp_path, text, environment=secret) as daemon:
        answer = ask(daemon.connect("run"), b"").decode()
        names = dict(line.split("=", 1) for line in answer.splitlines())
        assert names.pop("SOCKD_PROGRAM").startswith(f"{daemon.pid}.")
    assert names.pop("REMOTE_PORT").isdecimal()
    assert names == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/games",
        "LANG": "C.UTF-8",
        "TZ": "Europe/Warsaw",
        "REMOTE_ADDR": "127.0.0.1",
        "SOCKD_SERVICE": "run",
        "MORE": "1",
    }


def test_a_program_has_three_descriptors_and_a_session_of_its_own(tmp_path: Path) -> None:
    """Input, output, errors, and nothing else; no terminal, and not the daemon's group."""
    text = exec_config("/bin/sh", "-c", "ls /proc/$$/fd; cat /proc/$$/stat; pwd; ulimit -c")
    with Watched(tmp_path, text) as daemon, ExitStack() as stack:
        for _ in range(20):  # open descriptors that could be inherited
            stack.enter_context(daemon.connect("run"))
        answer = ask(daemon.connect("run"), b"").decode()
        *numbers, stat, folder, core = answer.splitlines()
        own_session = os.getsid(daemon.pid)
        stack.close()
    assert numbers == ["0", "1", "2"]
    pid, fields = int(stat.split()[0]), stat.rpartition(")")[2].split()
    group, session, terminal = (int(field) for field in fields[2:5])
    assert pid == group == session != own_session
    assert terminal == 0
    assert (folder, core) == ("/", "0")


def is_running(daemon: Watched, name: bytes) -> bool:
    """Whether the daemon's child has become the program, which takes it a moment."""
    return any(
        Path(f"/proc/{pid}/cmdline").read_bytes().startswith(name) for pid in children(daemon.pid)
    )


def test_a_program_that_ignores_term_is_killed_five_seconds_after(tmp_path: Path) -> None:
    """A client that leaves ends its program: politely first, and then surely, with all it began."""
    stubborn = "trap '' TERM; sleep 1000 & echo $$ $!; while :; do sleep 0.1; done"
    polite = "[service.polite]\nkind = 'exec'\ncommand = ['/bin/sleep', '1000']\n" + TCP
    text = exec_config("/bin/sh", "-c", stubborn) + polite
    with Watched(tmp_path, text) as daemon:
        with daemon.connect("polite") as sock:
            wait_until(lambda: is_running(daemon, b"/bin/sleep"), "the polite one is there")
            reset(sock)
        wait_until(lambda: not children(daemon.pid), "and gone", SLACK)
        with daemon.connect("run") as sock:
            pid, sleeper = (int(word) for word in sock.recv(100).split())
            start = time.monotonic()
            reset(sock)
        wait_until(lambda: not is_alive(pid), "it is killed", 5 + SLACK)
        assert time.monotonic() - start >= 4.5
        # one signal for the group, but the kernel ends its members one after the other
        wait_until(lambda: not is_alive(sleeper), "what it began, at once", SLACK)
        assert daemon.wait_for("child-reaped", pid=pid)["status"] == "signal SIGKILL"
        reaped = {one["pid"]: one["status"] for one in daemon.events("child-reaped")}
        assert sorted(reaped.values()) == ["signal SIGKILL", "signal SIGTERM"]


def test_a_program_that_spins_is_ended_by_its_limit_of_cpu_time(tmp_path: Path) -> None:
    """The kernel ends it; the client sees the end of its connection."""
    text = exec_config("/bin/sh", "-c", "while :; do :; done", cpu='"1s"')
    with Watched(tmp_path, text) as daemon:
        with daemon.connect("run") as sock:
            sock.settimeout(1 + 2 * SLACK)
            assert receive_all(sock) == b""
        assert daemon.wait_for("child-reaped")["status"] in ("signal SIGKILL", "signal SIGXCPU")


def test_a_program_that_takes_long_is_ended_by_max_time(tmp_path: Path) -> None:
    """Time is limited too, whether it works or sleeps."""
    with Watched(tmp_path, exec_config("/bin/sleep", "1000", max_time='"300ms"')) as daemon:
        with daemon.connect("run") as sock:
            sock.settimeout(SLACK)
            assert receive_all(sock) == b""
        assert daemon.wait_for("child-reaped")["status"] == "signal SIGTERM"


def test_a_program_gets_no_more_than_its_memory(tmp_path: Path) -> None:
    """An allocation beyond the limit fails in the program; what it says of it is in the log."""
    command = ("/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1")
    with Watched(tmp_path, exec_config(*command, memory='"100m"')) as daemon:
        assert ask(daemon.connect("run"), b"") == b""
        said = daemon.wait_for("child-said")
        assert re.search("memory exhausted|Cannot allocate", said["text"])
        assert daemon.wait_for("child-reaped")["status"] == "exit 1"


CAPABILITIES = "+net_bind_service,+dac_override"
"""One that the unit gives the daemon, and one without which it could not read this Python."""
AS_NOBODY = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *(f"--inh-caps={CAPABILITIES}", f"--ambient-caps={CAPABILITIES}", "--"),
)


def status_of(text: str) -> dict[str, str]:
    """The fields of /proc/PID/status."""
    return {name: value.strip() for name, value in re.findall(r"^(\w+):(.*)$", text, re.M)}


def test_a_program_has_no_capability_of_the_daemons(tmp_path: Path) -> None:
    """Not even an ambient one, which every program inherits that is not kept from it."""
    text = exec_config("/bin/cat", "/proc/self/status")
    with Watched(tmp_path, text, prefix=AS_NOBODY) as daemon:
        ours = status_of(Path(f"/proc/{daemon.pid}/status").read_text("ascii"))
        program = status_of(ask(daemon.connect("run"), b"").decode())
    assert int(ours["CapAmb"], 16) == int(ours["CapEff"], 16) != 0
    assert program["Uid"].split() == [str(NOBODY)] * 4
    assert [int(program[f"Cap{which}"], 16) for which in ("Inh", "Prm", "Eff", "Amb")] == [0] * 4
    assert program["NoNewPrivs"] == "1"


def test_the_worker_has_no_capability_of_the_daemons(tmp_path: Path) -> None:
    """Nor may it fill the disk."""
    with (
        Factoring(tmp_path, factor_config("1m"), prefix=AS_NOBODY) as daemon,
        daemon.connect("factor") as sock,
    ):
        sock.sendall(b"%d\n" % 2**64)
        assert sock.recv(1000).startswith(b"2 2 2")
        [worker] = children(daemon.pid)
        status = status_of(Path(f"/proc/{worker}/status").read_text("ascii"))
        limits = Path(f"/proc/{worker}/limits").read_text("ascii")
    assert [int(status[f"Cap{which}"], 16) for which in ("Inh", "Prm", "Eff", "Amb")] == [0] * 4
    assert status["NoNewPrivs"] == "1"
    assert re.search(rf"^Max file size +{WORKER_FILE_BYTES} +{WORKER_FILE_BYTES} ", limits, re.M)


def test_no_bound_is_above_the_daemons_own(tmp_path: Path) -> None:
    """A daemon that is not root could not raise its own, and so would run no program at all."""
    few = ("prlimit", "--fsize=1024000", "--nofile=200", *AS_NOBODY)
    text = exec_config("/bin/sh", "-c", "ulimit -n; ulimit -f")
    with Watched(tmp_path, text, prefix=few) as daemon:
        assert ask(daemon.connect("run"), b"").split() == [b"200", b"2000"]


def test_a_privileged_program_may_become_another_user_and_ends_when_it_likes(
    tmp_path: Path,
) -> None:
    """A setuid program takes no signal of the daemon's, which is no fault of the daemon."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        program = Path(name, "setpriv")
        copy("/usr/bin/setpriv", program)
        program.chmod(0o4755)
        become = (str(program), "--reuid=0", "--regid=0", "--clear-groups")
        text = exec_config(*become, "/bin/sh", "-c", "id -u; exec cat", privileged="true")
        with Watched(tmp_path, text, prefix=AS_NOBODY) as daemon:
            with daemon.connect("run") as sock:
                assert sock.recv(10) == b"0\n"
                reset(sock)
            # it has seen the end of its input
            assert daemon.wait_for("child-reaped")["status"] == "exit 0"


def test_what_is_killed_takes_its_programs_and_its_worker_with_it(tmp_path: Path) -> None:
    """However silent they are, and though they ignore what can be ignored."""
    silent = "trap '' TERM HUP PIPE; echo ready; exec sleep 1000"
    text = exec_config("/bin/sh", "-c", silent) + factor_config("1m")
    with Watched(tmp_path, text) as daemon, ExitStack() as stack:
        sock = stack.enter_context(daemon.connect("run"))
        assert sock.recv(6, socket.MSG_WAITALL) == b"ready\n"
        asking = stack.enter_context(daemon.connect("factor"))
        asking.sendall(b"%d\n" % semiprimes(1)[0])
        wait_until(lambda: is_running(daemon, sys.executable.encode()), "the worker is there")
        left = children(daemon.pid)
        assert len(left) == 2
        daemon.kill()
        (daemon.runtime / "control.sock").unlink()  # nobody is left to do it
        for pid in left:
            assert is_gone(pid)


def test_a_thousand_runs_leave_no_zombie_and_no_descriptor(tmp_path: Path) -> None:
    """Each is reaped, whether its client waits for the end or leaves before."""
    with Watched(tmp_path, exec_config("/bin/true")) as daemon:
        address = daemon.address("run", "tcp")  # once: it is read from the log, which grows

        def visit(number: int) -> bytes:
            with socket.create_connection(address, PATIENCE) as sock:
                return b"" if number % 4 == 0 else receive_all(sock)

        with ThreadPoolExecutor(24) as pool:
            assert set(pool.map(visit, range(1000))) == {b""}
        # its turn comes after theirs: some left while they still waited to be accepted
        assert visit(1001) == b""
        daemon.settle()
        wait_until(lambda: children(daemon.pid) == [], "each has been reaped")

        def are_told() -> bool:
            told = daemon.events()  # one reading of a log that is written beside what it tells of
            started = [one["pid"] for one in told if one["event"] == "child-started"]
            ended = [one["pid"] for one in told if one["event"] == "child-reaped"]
            return len(started) >= 750 and sorted(started) == sorted(ended)

        wait_until(are_told, "each that was started has been told as reaped")
