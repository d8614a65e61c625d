"""`systemctl` and `journalctl` as far as a page needs them, where no systemd runs.

What systemd would run of a unit is run: as its user, with its capabilities, its folders and a
socket to notify. A unit is up once it has said that it is ready.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

UNITS = Path("/etc/systemd/system")
STATE = Path("/run/systemctl")
SECONDS = 60.0
CAPABILITIES = "+dac_read_search"
"""Beside those of a unit: the interpreter can lie in root's home."""


def unit(name: str) -> dict[str, list[str]]:
    """The settings of a unit, each as often as it stands there."""
    text = (UNITS / f"{name}.service").read_text("utf-8")
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", text, re.M):
        found.setdefault(key, []).append(value)
    return found


def prepared(settings: dict[str, list[str]]) -> tuple[list[str], dict[str, str]]:
    """How its user is become, and its variables; its folders are made."""
    [user] = settings["User"]
    variables = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    variables |= {"NOTIFY_SOCKET": str(STATE / "notify"), "INVOCATION_ID": "1" * 32}
    variables |= dict(one.split("=", 1) for one in settings.get("Environment", []))
    for setting, parent, variable in (
        ("RuntimeDirectory", "/run", "RUNTIME_DIRECTORY"),
        ("StateDirectory", "/var/lib", "STATE_DIRECTORY"),
    ):
        for name in settings.get(setting, []):
            mode = settings.get(f"{setting}Mode", ["0755"])[0]
            folder = f"{parent}/{name}"
            subprocess.run(
                ["install", "-d", "-o", user, "-g", user, "-m", mode, folder], check=True
            )
            variables[variable] = folder
    wanted = [one.removeprefix("CAP_").lower() for one in settings["AmbientCapabilities"] if one]
    given = ",".join(["-all", CAPABILITIES, *(f"+{one}" for one in wanted)])
    become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--no-new-privs"]
    return [*become, *(f"--{kind}={given}" for kind in ("inh-caps", "ambient-caps"))], variables


def main_process() -> int:
    """Its number; 0 where it does not run."""
    with contextlib.suppress(FileNotFoundError):
        return int((STATE / "pid").read_text())
    return 0


def start(name: str) -> None:
    """Start it, and wait until it is ready."""
    settings = unit(name)
    STATE.mkdir(exist_ok=True)
    become, variables = prepared(settings)
    if os.fork():
        until = time.monotonic() + SECONDS
        while not (STATE / "ready").exists():
            if (STATE / "failed").exists() or time.monotonic() > until:
                sys.exit(f"{name} did not start; see journalctl -u {name}")
            time.sleep(0.02)
        return
    os.setsid()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(variables["NOTIFY_SOCKET"])
        Path(variables["NOTIFY_SOCKET"]).chmod(0o666)
        watch(notify, settings, become, variables)


def watch(
    notify: socket.socket,
    settings: dict[str, list[str]],
    become: list[str],
    variables: dict[str, str],
) -> None:
    """Run it, hear what it says, and see to its end."""
    argv = [*become, *shlex.split(settings["ExecStart"][0])]
    with (STATE / "journal").open("ab") as journal:
        null = subprocess.DEVNULL
        process = subprocess.Popen(
            argv, env=variables, stdin=null, stdout=journal, stderr=journal, umask=0o077, cwd="/"
        )
        os.dup2(journal.fileno(), 1)
        os.dup2(journal.fileno(), 2)
    (STATE / "pid").write_text(str(process.pid))
    notify.settimeout(0.05)
    while process.poll() is None:
        with contextlib.suppress(TimeoutError):
            if "READY=1" in notify.recv(65536).decode().splitlines():
                (STATE / "ready").touch()
    if not (STATE / "ready").exists():
        (STATE / "failed").touch()
    Path(variables["NOTIFY_SOCKET"]).unlink()
    (STATE / "ready").unlink(missing_ok=True)
    (STATE / "pid").unlink()
    os._exit(0)


def stop() -> None:
    """Stop it, and wait until it has ended."""
    if pid := main_process():
        os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + SECONDS
        while main_process():
            if time.monotonic() > until:
                sys.exit("it does not stop")
            time.sleep(0.02)
    (STATE / "failed").unlink(missing_ok=True)


def systemctl(command: str, *arguments: str) -> None:
    """What this command does."""
    names = [one for one in arguments if not one.startswith("-")]
    if command == "daemon-reload":
        units = list(UNITS.glob("sockd.*"))
        subprocess.run(
            [*(["systemd-analyze", "verify", "--man=no"] if units else ["true"]), *units]
        )
    elif command == "is-active":
        print("active" if main_process() else "inactive")  # noqa: T201
        sys.exit(not main_process())
    elif command == "reload":
        subprocess.run(shlex.split(unit(names[0])["ExecReload"][0]), check=True)
    elif command in ("enable", "disable", "start", "stop", "restart"):
        if command in ("disable", "stop", "restart"):
            stop()
        if command in ("disable", "stop"):
            for folder in unit(names[0]).get("RuntimeDirectory", []):
                shutil.rmtree(f"/run/{folder}", ignore_errors=True)
        if command in ("enable", "start", "restart"):
            start(names[0])
    else:
        sys.exit(f"this systemctl knows no {command}")


if __name__ == "__main__":
    if sys.argv[1] == "-u":
        sys.stdout.write((STATE / "journal").read_text("utf-8"))
    else:
        systemctl(*sys.argv[1:])
