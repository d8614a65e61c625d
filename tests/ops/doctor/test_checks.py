"""What the doctor says of a configuration on a host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from sockd.ops.doctor.checks import CHECKS, EARLY_DAYS, SUPER_SERVERS, findings
from sockd.ops.doctor.finding import Finding, Holder, Level, Wanted
from sockd.testing.certificate import make_certificate
from tests.ops.doctor.hosts import DAY, ETH, NOW, facts, settings

ECHO = '[service.echo]\nlisten = ["tcp:7:interface=127.0.0.1", "udp:7:interface=127.0.0.1"]\n'
BEACON = '[service.beacon]\nlisten = ["multicast:224.1.1.1:2070:interface=192.0.2.1"]\n'
EXEC = '[service.cat]\nkind = "exec"\ncommand = ["cat"]\nlisten = ["tcp:7000"]\n'
NONE = 0


def told(text: str, **changes: Any) -> list[Finding]:
    """What is not as it should be."""
    found = findings(settings(text), facts(**changes))
    return [one for one in found if one.level is not Level.OK]


def one(text: str, **changes: Any) -> Finding:
    [finding] = told(text, **changes)
    return finding


def test_on_a_host_where_all_is_well_each_thing_is_told_to_be_well(tmp_path: Path) -> None:
    certificate, key, *_ = make_certificate(tmp_path)
    tls = f'[service.tls]\nkind = "echo"\nlisten = ["tls:7001:{key}:{certificate}"]\n'
    log = f'[sockd]\nlog_file = "{tmp_path}/log"\nlog_max_size = "1M"\n'
    found = findings(settings(log + ECHO + BEACON + EXEC + tls), facts())
    assert {finding.level for finding in found} == {Level.OK}
    assert {finding.topic for finding in found} == {check.__name__ for check in CHECKS}


def test_what_is_not_there_needs_nothing() -> None:
    low = {"capabilities": NONE, "uid": 1000, "receive_buffer": 1, "programs": "no setsid"}
    assert told('[service.echo]\nlisten = ["tcp:7000:interface=127.0.0.1"]\n', **low) == []


def test_twistd_that_does_not_find_the_plugin_is_bad() -> None:
    finding = one(ECHO, plugin="/usr/bin/twistd does not find sockd")
    assert (finding.level, finding.topic) == (Level.BAD, "twistd")


def test_what_tls_needs_and_the_daemon_cannot_read_is_bad(tmp_path: Path) -> None:
    certificate, key, *_ = make_certificate(tmp_path)
    tls = f'[service.tls]\nkind = "echo"\nlisten = ["tls:7001:{key}:{certificate}"]\n'
    finding = one(tls, is_daemon=True, reads=lambda file: file != str(key))
    assert (finding.level, finding.topic) == (Level.BAD, "keys")
    assert finding.text == f"tls: the daemon (process 99) cannot read {key}"


def test_a_log_file_that_cannot_be_moved_away_is_warned_of(tmp_path: Path) -> None:
    file = str(tmp_path / "log")
    log = f'[sockd]\nlog_file = "{file}"\nlog_max_size = "1M"\n{ECHO}'
    finding = one(log, is_daemon=True, may_move=lambda one: one != file)
    assert (finding.level, finding.topic) == (Level.WARN, "log")
    assert finding.text == f"the daemon (process 99) cannot move {file} away, which grows beyond 1m"


@pytest.mark.parametrize("daemon", ["", '[sockd]\nlog_file = "/log"\n'])
def test_of_a_log_file_without_a_size_nothing_is_said(daemon: str) -> None:
    found = findings(settings(f"{daemon}{ECHO}"), facts(may_move=lambda file: False))
    assert not [one for one in found if one.topic == "log"]


def test_without_a_configuration_it_is_told_that_no_daemon_has_one() -> None:
    built_in = evolve(settings(ECHO), files=())
    for is_daemon in (True, False):
        found = findings(built_in, facts(is_daemon=is_daemon))
        [told_of] = [one.text for one in found if one.topic == "configuration"]
        assert told_of.startswith("1 service in the built-in configuration")
        assert told_of.endswith("no daemon answers, and no FILE is named") is not is_daemon


def test_another_reactor_is_warned_of() -> None:
    assert one(ECHO, reactor="No module named 'uvloop'").level is Level.WARN


@pytest.mark.parametrize("daemon", [True, False])
def test_low_ports_need_a_right(daemon: bool) -> None:
    few = {"uid": 1000, "capabilities": NONE, "is_daemon": daemon}
    finding = one(ECHO, **few)
    assert finding.level is Level.BAD
    assert finding.text.endswith("cannot bind ports below 1024: 7")
    assert ("(process 99)" in finding.text) is daemon
    assert "CAP_NET_BIND_SERVICE" in finding.advice
    assert told(ECHO, uid=1000, capabilities=1 << 10) == []
    assert told(ECHO, **{**few, "first_free_port": 0}) == []
    assert told('[service.echo]\nlisten = ["systemd:name=echo"]\n', **few) == []


def test_a_program_of_root_keeps_roots_capabilities_where_none_can_be_dropped() -> None:
    finding = one(EXEC, capabilities=NONE)
    assert (finding.level, finding.topic) == (Level.WARN, "capabilities")
    assert told(EXEC + 'user = "nobody"\n', capabilities=NONE) == []
    assert told(EXEC + "privileged = true\n", capabilities=NONE) == []


def test_what_programs_need_is_missed_where_there_are_programs() -> None:
    finding = one(EXEC, programs="programs cannot be run: setsid is not on this host")
    assert (finding.level, finding.text[:5]) == (Level.BAD, "cat: ")


def test_descriptors_are_counted_as_the_limits_let_connections_in() -> None:
    text = EXEC + "max_connections = 500\nmax_children = 10\n"
    # a listener, the connections, three pipes for each program, and what the daemon has itself
    enough = 1 + 500 + 30 + 100
    assert told(text, descriptors=enough) == []
    finding = one(text, descriptors=enough - 1)
    assert (finding.level, finding.topic) == (Level.WARN, "descriptors")
    assert f"LimitNOFILE={enough}" in finding.advice
    assert told(text + "socket = true\n", descriptors=enough - 30) == []
    assert told(BEACON, descriptors=101) == []


def test_a_receive_buffer_that_the_kernel_does_not_give_is_warned_of() -> None:
    finding = one(ECHO, receive_buffer=212992, capabilities=1 << 10)
    assert finding.text.startswith("the kernel gives a receive buffer of 208k and not of 4m")
    assert finding.advice.startswith("sysctl -w net.core.rmem_max=4194304")
    assert told(ECHO, receive_buffer=212992, capabilities=1 << 10 | 1 << 12) == []


@pytest.mark.parametrize(
    ("interface", "why", "advice"),
    [
        (evolve(ETH, addresses=frozenset()), "no interface of this host has 192.0.2.1", "see"),
        (evolve(ETH, is_up=False), "eth0 is down", "ip link set eth0 up"),
        (evolve(ETH, has_multicast=False), "switched off", "ip link set eth0 multicast on"),
    ],
)
def test_an_interface_that_takes_no_multicast_is_bad(interface: Any, why: str, advice: str) -> None:
    finding = one(BEACON, interfaces=(interface,))
    assert (finding.level, finding.topic) == (Level.BAD, "multicast")
    assert why in finding.text
    assert finding.advice.startswith(advice)


@pytest.mark.parametrize("name", ["nc", *SUPER_SERVERS])
def test_another_process_at_an_address_of_ours_is_bad(name: str) -> None:
    finding = one(ECHO, holder=lambda listen: Holder(name, 5) if "udp" in listen.text else None)
    assert finding.level is Level.BAD
    expected = f"echo: udp:7:interface=127.0.0.1 is held by {name} (process 5)"
    assert finding.text == expected
    assert ("systemctl disable" in finding.advice) == (name != "nc")
    late = one(
        ECHO + "required = false\n",
        holder=lambda listen: Holder(name, 5) if "udp" in listen.text else None,
    )
    assert late.level is Level.WARN


def test_a_process_that_only_root_would_see_is_warned_of() -> None:
    finding = one(ECHO, holder=lambda listen: Holder() if "udp" in listen.text else None)
    assert finding.level is Level.WARN
    assert finding.text.endswith("is held by a process of another user")


def test_another_super_server_that_will_want_a_port_of_ours_is_warned_of() -> None:
    others = (Wanted("/etc/inetd.conf:3", True, 9), Wanted("/etc/inetd.conf:4", False, 7))
    finding = one(ECHO, others=others)
    assert finding.level is Level.WARN
    assert "/etc/inetd.conf:4" in finding.text


@pytest.mark.parametrize(
    ("days", "level"),
    [(-3, Level.BAD), (0.5, Level.WARN), (EARLY_DAYS - 1, Level.WARN), (EARLY_DAYS, Level.OK)],
)
def test_a_certificate_is_told_of_before_it_ends(tmp_path: Path, days: float, level: Level) -> None:
    certificate, key, *_ = make_certificate(tmp_path)
    text = f'[service.tls]\nkind = "echo"\nlisten = ["tls:7001:{key}:{certificate}"]\n'
    found = findings(settings(text), facts(expires=lambda file: NOW + days * DAY))
    [finding] = [one for one in found if one.topic == "certificates"]
    assert finding.level is level
    assert str(certificate) in finding.text

    def unreadable(_: str) -> float:
        raise ValueError("permission denied")

    assert one(text, expires=unreadable).text.endswith("permission denied")


def test_warnings_of_the_configuration_are_told() -> None:
    finding = one('[service.echo]\nlisten = ["udp:7000:interface=*"]\n')
    assert (finding.level, finding.topic) == (Level.WARN, "configuration")
