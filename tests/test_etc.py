"""The system configuration: right as it stands, right with anything in it switched on, and safe."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockd.config.load import load
from sockd.config.settings import Settings
from sockd.service import find
from tests.daemons import Daemon, inside, namespace
from tests.processes import BIN, run

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "etc" / "sockd.toml").read_text("utf-8")
SYSTEMD = ROOT / "etc" / "systemd"
UNIT = (SYSTEMD / "sockd.service").read_text("utf-8")
PORTS = {"echo": 7, "discard": 9, "daytime": 13, "quote": 17, "time": 37}
"""RFC 862, 863, 867, 865, 868."""
# TOML that is switched off has its `#` at once before it; a sentence has a space between
OFF = re.compile(r"(?:^#[^\s#-].*\n)+", re.M)
BLOCKS = [found[0] for found in OFF.finditer(TEXT)]


def switched_on(text: str, block: str) -> str:
    """The configuration with one block of it switched on."""
    assert text.count(block) == 1
    return text.replace(block, re.sub("^#", "", block, flags=re.M))


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, tls_files: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """As systemd says where it is; the files of TLS in it, as somebody has put them there."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    (tmp_path / "tls").symlink_to(tls_files[0].parent)


def loaded(folder: Path, text: str) -> Settings:
    """What sockd makes of a file with this text, with the folder for those of a host."""
    file = folder / "sockd.toml"
    for name in ("/etc/sockd/", "/var/log/sockd/"):
        text = text.replace(name, f"{folder}/")
    file.write_text(text, "utf-8")
    return load(str(file), None, (), find())


def test_it_has_no_mistake_and_nothing_to_warn_of(tmp_path: Path) -> None:
    assert loaded(tmp_path, TEXT).warnings == ()


def test_no_udp_service_and_nothing_else_that_can_be_abused_is_on(tmp_path: Path) -> None:
    on = loaded(tmp_path, TEXT).instances
    assert {listen.transport for one in on for listen in one.listen} == {"tcp", "unix", "unixgram"}
    assert not {one.kind.name for one in on} & {"beacon", "chargen", "exec", "factor"}


def test_what_is_open_to_the_network_are_small_services_on_the_ports_of_their_rfcs(
    tmp_path: Path,
) -> None:
    on = loaded(tmp_path, TEXT).instances
    open_ones = {
        (one.name, listen.port) for one in on for listen in one.listen if listen.scope == "wildcard"
    }
    assert open_ones == set(PORTS.items())


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0])
def test_what_is_switched_off_can_be_switched_on(block: str, tmp_path: Path) -> None:
    names = {one.name for one in loaded(tmp_path, TEXT).instances}
    added = set(re.findall(r"^#\[service\.([a-z-]+)\]", block, re.M))
    with_it = loaded(tmp_path, switched_on(TEXT, block))
    assert {one.name for one in with_it.instances} == names | added
    assert with_it.warnings == ()


def test_all_that_is_switched_off_can_be_switched_on_together(tmp_path: Path) -> None:
    text = TEXT
    for block in BLOCKS:
        text = switched_on(text, block)
    assert "\n#[" not in text
    everything = loaded(tmp_path, text)
    assert {one.kind.name for one in everything.instances} == set(find().kinds)


def reasons() -> Iterator[tuple[str, str]]:
    """Each service that is switched off, and the line above it."""
    lines = TEXT.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("#[service."):
            above = lines[:number]
            while above and not above[-1]:
                above.pop()
            yield line, above[-1]


def test_each_service_that_is_off_has_a_reason_beside_it_or_is_one_of_a_list_that_has() -> None:
    for line, above in reasons():
        assert re.match(r"# \w|#\w+ = ", above), line


def test_the_unit_starts_this_file_and_may_bind_its_ports() -> None:
    assert " sockd --config /etc/sockd/sockd.toml" in UNIT
    assert re.search(r"^AmbientCapabilities=CAP_NET_BIND_SERVICE$", UNIT, re.M)
    assert re.search(r"^RuntimeDirectory=sockd$", UNIT, re.M)
    assert re.search(r"^RuntimeDirectoryPreserve=restart$", UNIT, re.M)
    # with it the folders are in /run/private and /var/lib/private, where root alone goes
    assert not re.search(r"^DynamicUser=", UNIT, re.M)
    assert re.search(r"^User=sockd$", UNIT, re.M)
    assert "/etc/sockd/sockd.toml" in (ROOT / "docs" / "operations.md").read_text("utf-8")


def installed(folder: Path, *drop_ins: str) -> Path:
    """The units as they are installed, with the programs of this environment."""
    for name in ("sockd.service", "sockd.socket"):
        text = (SYSTEMD / name).read_text("utf-8")
        # it looks for the programs too
        (folder / name).write_text(text.replace("/opt/sockd/bin", str(BIN)), "utf-8")
    for name in drop_ins:
        beside = folder / "sockd.service.d"
        beside.mkdir(exist_ok=True)
        (beside / name).write_text((SYSTEMD / name).read_text("utf-8"), "utf-8")
    return folder / "sockd.service"


@pytest.mark.parametrize("drop_ins", [(), ("no-capability.conf", "credentials.conf")])
def test_systemd_finds_nothing_wrong_with_the_units(
    drop_ins: tuple[str, ...], tmp_path: Path
) -> None:
    unit = installed(tmp_path, *drop_ins)
    verified = run(
        "systemd-analyze", "verify", "--man=no", str(unit), str(unit.with_suffix(".socket"))
    )
    assert verified.returncode == 0
    assert "sockd." not in verified.stdout + verified.stderr


def test_the_unit_restricts_all_that_can_be(tmp_path: Path) -> None:
    """G8: 1.6 of 10, where a unit that restricts nothing has 9.6."""
    unit = installed(tmp_path)
    exposed = run("systemd-analyze", "security", "--offline=yes", "--threshold=16", str(unit))
    assert exposed.returncode == 0, exposed.stdout
    stricter = run("systemd-analyze", "security", "--offline=yes", "--threshold=10", str(unit))
    assert stricter.returncode != 0


def test_the_unit_is_watched_reloads_and_keeps_its_sockets() -> None:
    for line in (
        "Type=notify",
        "ExecReload=/opt/sockd/bin/sockd reload",
        "WatchdogSec=30s",
        "FileDescriptorStoreMax=1024",
        "Environment=FDSTORE=1024",
        "StateDirectory=sockd",
    ):
        assert f"\n{line}\n" in UNIT


def test_the_sockets_are_those_of_the_configuration_below_1024(tmp_path: Path) -> None:
    text = (SYSTEMD / "sockd.socket").read_text("utf-8")
    bound = re.findall(r"^ListenStream=(?:0\.0\.0\.0|\[::\]):(\d+)$", text, re.M)
    wanted = [
        str(listen.port)
        for one in loaded(tmp_path, TEXT).instances
        for listen in one.listen
        if 0 < listen.port < 1024
    ]
    assert bound == wanted
    assert "\nBindIPv6Only=ipv6-only\n" in text


def test_the_user_and_the_folders_are_made_as_they_should_be(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    for tool, name in (("sysusers", "sysusers.d"), ("tmpfiles", "tmpfiles.d")):
        more = ["--create"] if tool == "tmpfiles" else []
        done = run(
            f"systemd-{tool}", f"--root={root}", *more, str(ROOT / "etc" / name / "sockd.conf")
        )
        assert done.returncode == 0, done.stderr
    [user] = (root / "etc" / "passwd").read_text("utf-8").splitlines()
    name, _, uid, gid, *_, shell = user.split(":")
    assert (name, Path(shell).name) == ("sockd", "nologin")
    assert int(uid) < 1000  # of the system
    tls = (root / "etc" / "sockd" / "tls").stat()
    assert (tls.st_uid, tls.st_gid, tls.st_mode & 0o777) == (0, int(gid), 0o750)
    assert (root / "etc" / "sockd" / "conf.d").stat().st_mode & 0o777 == 0o755


def test_it_runs_and_serves_on_the_well_known_ports(tmp_path: Path) -> None:
    with namespace() as host, Daemon(tmp_path, TEXT, namespace=host):
        begin = time.time()
        daytime = inside(host, "nc", "127.0.0.1", "13", seconds=60).decode().rstrip("\r\n")
        assert daytime in {time.ctime(begin + late) for late in range(60)}
        assert inside(host, "nc", "-N", "::1", "7", seconds=60, data=b"hello") == b"hello"
        assert len(inside(host, "nc", "::1", "37", seconds=60)) == 4
