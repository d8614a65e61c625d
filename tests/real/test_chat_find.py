"""A chat's server is found by hosts of its network, through their firewalls; and `--doctor` tells
what is in the way.
"""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from sockd.formats.chat.events import Code, pack
from tests.client.lan import Lan, answering, lan
from tests.daemons import Daemon, namespace, run
from tests.processes import PATIENCE, finish, running, wait_until

CHAT = """
[service.chat]
listen = ["udp:2027:interface=*", "tcp:2027:interface=*"]
listen_multicast = ["udp:2029:interface=*"]
group_interface = "10.78.1.2"
"""
NARROW = """
[service.talk]
kind = "chat"
listen = ["udp:2027:interface=127.0.0.1"]
"""
USUAL_FIREWALL = """
table inet filter {
    chain input {
        type filter hook input priority 0; policy drop;
        iif lo accept
        ct state established,related accept
        meta l4proto { icmp, icmpv6 } accept
    }
}
"""
"""As most hosts have it: what comes is let in only if it comes from who was asked."""
NOTHING_LEAVES = """
table inet filter {
    chain output {
        type filter hook output priority 0; policy accept;
        oifname != "lo" udp dport { 2027, 2029 } drop
    }
}
"""
WAITS = ("1", "8", "30")
"""Seconds for answers: a machine that is busy is given more, and most need little."""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lan]:
    """Three hosts; beta has a chat server. Alpha and beta are on two networks, gamma on one."""
    with lan() as hosts, Daemon(tmp_path_factory.mktemp("chat"), CHAT, namespace=hosts.beta):
        yield hosts


@pytest.fixture(scope="module")
def silent() -> Iterator[Lan]:
    """Three hosts without a server."""
    with lan() as hosts:
        yield hosts


@contextmanager
def firewall(host: str, rules: str) -> Iterator[None]:
    """A host's packets are filtered while the block runs."""
    run("ip", "netns", "exec", host, "nft", rules)
    try:
        yield
    finally:
        run("ip", "netns", "exec", host, "nft", "flush ruleset")


def seek(host: str, *options: str) -> tuple[list[str], list[str], list[str]]:
    """A search on a host: the steps, where servers were found, and how they are named."""
    command = [sys.executable, "-m", "tests.client.chat.seeker", *options]
    done = finish(["ip", "netns", "exec", host, *command], seconds=2 * PATIENCE)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert "found" in told[-1], done.stderr
    return [one["step"] for one in told[:-1]], told[-1]["found"], told[-1]["names"]


def find(host: str, *options: str) -> tuple[list[str], list[str], list[str]]:
    """The same, where there is one: a server that stands still meanwhile is searched again."""
    for _ in WAITS:
        steps, found, names = seek(host, *options)
        if found:
            break
    return steps, found, names


def doctor(hosts: Lan, host: str, *options: str, wait: str = "0.5") -> CompletedProcess[bytes]:
    """What `sock chat --doctor` says there."""
    command = hosts.sock("chat", "--doctor", "-W", wait, *options, host=host)
    return finish(command, seconds=4 * PATIENCE)


def says(hosts: Lan, wanted: str, *options: str) -> CompletedProcess[bytes]:
    """What it says on gamma: that, once it waits long enough for a server that is slow."""
    for wait in WAITS:
        done = doctor(hosts, hosts.gamma, *options, wait=wait)
        if known(text_of(done), wait) == wanted:
            break
    assert known(text_of(done), wait) == wanted
    return done


def text_of(done: CompletedProcess[bytes]) -> str:
    text = done.stdout.decode()
    assert done.stderr == b""
    assert max(map(len, text.splitlines())) <= 80
    return text


# finding


def test_a_client_that_knows_nothing_finds_the_server_of_its_network(network: Lan) -> None:
    steps, found, names = find(network.gamma)
    assert steps[0] == "looking for a server on lo, red"
    [one] = found  # at several addresses, and at two doors
    assert one.rpartition(":")[0] == "10.78.1.2" or one.startswith("[fe80::")
    [name] = names
    assert name == f"{socket.gethostname()} ({one})"


def test_a_client_finds_it_by_ipv6_alone(network: Lan) -> None:
    _, [one], _ = find(network.gamma, "--family", "6")
    assert re.fullmatch(r"\[fe80::[0-9a-f:]+%red\]:20(27|29)", one)


def test_a_firewall_that_drops_answers_to_broadcasts_does_not_hide_the_server(
    network: Lan,
) -> None:
    with firewall(network.gamma, USUAL_FIREWALL):
        steps, found, _ = find(network.gamma, "--family", "4")
    assert found == ["10.78.1.2:2027"]
    assert steps == [
        "looking for a server on lo, red",
        "nobody answers broadcasts: asking 254 addresses one by one",
    ]


def test_a_server_behind_many_absent_hosts_is_found(tmp_path: Path) -> None:
    """Questions to hosts that are not there wait for their addresses, and fill a socket."""
    with lan() as hosts:
        ip = ("ip", "-n", hosts.beta, "addr")
        run(*ip, "del", "10.78.1.2/24", "dev", "red")
        run(*ip, "add", "10.78.1.250/24", "dev", "red")
        config = CHAT.replace("10.78.1.2", "10.78.1.250")
        with (
            Daemon(tmp_path, config, namespace=hosts.beta),
            firewall(hosts.gamma, USUAL_FIREWALL),
        ):
            _, found, _ = find(hosts.gamma, "--family", "4")
    assert found == ["10.78.1.250:2027"]


def test_the_last_server_is_first_though_there_is_another_one(network: Lan, tmp_path: Path) -> None:
    """Each of two servers is taken where it was the last, and the other one is named."""
    config = CHAT.replace("10.78.1.2", "10.78.1.3")
    with Daemon(tmp_path, config, namespace=network.gamma):
        for last, other in (("10.78.1.2", "10.78.1.3"), ("10.78.1.3", "10.78.1.2")):
            for others in WAITS:
                options = ("--last", last, "--others", others, "--family", "4")
                steps, found, _ = seek(network.alpha, *options)
                hosts = [one.rpartition(":")[0] for one in found]
                if len(hosts) == 2 and len(steps) == 1:
                    break
            assert steps == [f"looking for a server at {last}:2027, or on lo, red, blue"]
            assert hosts in ([last, other], [last, other.replace("10.78.1.2", "10.78.2.2")])


def test_an_old_server_is_found_and_what_is_no_answer_is_not(silent: Lan) -> None:
    def as_old(sock: socket.socket, _: bytes, peer: tuple[str, int]) -> None:
        sock.sendto(b"\x1b]0;owned\x07", peer)
        sock.sendto(pack(Code.WELCOME, b"1 " + b"0" * 16 + b" forged"), peer)
        sock.sendto(pack(Code.ERROR, b"please log in"), peer)

    sock = silent.datagrams(silent.beta)
    sock.bind(("", 2027))
    with answering(sock, as_old):
        _, found, names = find(silent.gamma)
    assert found == names == ["10.78.1.2:2027"]


def test_nobody_is_found_where_no_interface_is_up() -> None:
    with namespace() as host:
        run("ip", "-n", host, "link", "set", "lo", "down")
        steps, found, _ = seek(host)
    assert found == []
    assert steps == ["no interface is up that a server could be looked for on"]


@pytest.mark.parametrize("options", [(), ("-6",), ("-I", "red")])
def test_sock_chat_without_a_host_talks_to_who_was_found(
    network: Lan, tmp_path: Path, options: tuple[str, ...]
) -> None:
    command = network.sock(
        "chat", "--nick", "anna", "--join", "Weather", *options, host=network.gamma
    )
    done = finish(
        command, stdin=b"hello\n", environment={"XDG_STATE_HOME": str(tmp_path)}, seconds=PATIENCE
    )
    assert done.stdout.decode().splitlines()[-2:] == ["[Weather] anna: hello", "-- logged off"]
    assert done.returncode == 0


# the doctor


def known(text: str, wait: str) -> str:
    """What is another each time, written as what it is."""
    text = text.replace(f"and {wait} s for answers", "and WAIT s for answers")
    text = re.sub(rf"\b{10 + int(wait)} s\b", "BEAT s", text)
    text = re.sub(r"fe80::[0-9a-f:]+", "fe80::LINK", text)
    text = re.sub(r"\(\d+\.\d ms\)", "(TIME ms)", text)
    return re.sub(r"after \d+\.\d s", "after TIME s", text).replace(socket.gethostname(), "NAME")


INTERFACES = """\
Interfaces of this host
  lo              up   loopback
                       127.0.0.1/8
                       ::1/128
  red             up   virtual (veth)
                       10.78.1.3/24  broadcast 10.78.1.255
                       fd78:1::3/64
                       fe80::LINK/64

Questions to udp 2027 and 2029, and WAIT s for answers
"""
WELL = (
    INTERFACES
    + """\
  lo   this host 127.0.0.1        4 sent, nobody listens
  lo   this host ::1              4 sent, nobody listens
  red  broadcast 10.78.1.255      4 sent, 2 answers
    NAME at 10.78.1.2: udp 2027 (TIME ms), udp 2029 (TIME ms)
  red  broadcast 255.255.255.255  4 sent, 2 answers
    NAME at 10.78.1.2: udp 2027 (TIME ms), udp 2029 (TIME ms)
  red  group 224.0.0.1            4 sent, 2 answers
    NAME at 10.78.1.2: udp 2027 (TIME ms), udp 2029 (TIME ms)
  red  group ff02::1              4 sent, 2 answers
    NAME at fe80::LINK%red: udp 2027 (TIME ms), udp 2029 (TIME ms)

A heartbeat of the server by multicast, in at most BEAT s
  one of 10.78.1.2:2029 came after TIME s: groups reach this host

All is well: sock chat finds a server at once.
"""
)
FILTERED = (
    INTERFACES
    + """\
       host 10.78.1.2             2 sent, 1 answer
    NAME at 10.78.1.2: udp 2027 (TIME ms)
  lo   this host 127.0.0.1        4 sent, nobody listens
  lo   this host ::1              4 sent, nobody listens
  red  broadcast 10.78.1.255      4 sent, no answer
  red  broadcast 255.255.255.255  4 sent, no answer
  red  group 224.0.0.1            4 sent, no answer
  red  group ff02::1              4 sent, no answer

Each address of small networks where nobody else has answered
  red  all of 10.78.1.0/24  508 sent, 1 host is there without a server, 2
                            answers
    NAME at 10.78.1.2: udp 2027 (TIME ms), udp 2029 (TIME ms)

A heartbeat of the server by multicast, in at most BEAT s
  NONE of 10.78.1.2:2029 came in BEAT s: groups do not reach this host

A server answers who asks it alone, and no broadcast: a firewall drops the
answers, most likely one on this host, or the server listens on one address
only. sock chat finds it all the same, some seconds later; at once by its
address:
    sock chat 10.78.1.2

Groups do not arrive: a firewall drops them, or Wi-Fi, or a switch that looks
into IGMP and has no querier; or the server has no route for them, which its log
tells. sock chat notices that, and is sent copies of its own; or use --tcp.

Firewalls
  This host sends to udp 2027 and 2029, and hears from them, from any address of
  the network; groups come in to udp 2028.
  To let answers and groups in, one of:
    nft insert rule inet filter input udp sport '{ 2027, 2029 }' accept
    nft insert rule inet filter input udp dport 2028 accept
    ufw allow proto udp from any port 2027,2029; ufw allow 2028/udp
    firewall-cmd --add-source-port={2027,2029}/udp --add-port=2028/udp
  Who is there may then send to any udp port here. Safer: name the server.
  The server hears at udp 2027 and 2029, by --tcp at tcp 2027. There one of:
    nft insert rule inet filter input udp dport '{ 2027, 2029 }' accept
    nft insert rule inet filter input tcp dport 2027 accept
    ufw allow 2027,2029/udp; ufw allow 2027/tcp
    firewall-cmd --add-port={2027,2029}/udp --add-port=2027/tcp
"""
)


def test_the_doctor_says_that_all_is_well(network: Lan) -> None:
    assert says(network, WELL).returncode == 0


def test_the_doctor_tells_of_a_firewall_by_what_does_not_come_through_it(network: Lan) -> None:
    """A host that is named is asked, too."""
    with firewall(network.gamma, USUAL_FIREWALL):
        assert says(network, FILTERED, "10.78.1.2").returncode == 0


def test_what_the_doctor_advises_opens_that_firewall(network: Lan) -> None:
    """Its rules are typed as they stand there, whatever else is in the chain."""
    advised = re.findall(r"^    (nft .* input udp (?:sport|dport 2028) .*)$", FILTERED, re.M)
    assert len(advised) == 2
    rules = USUAL_FIREWALL.replace("icmpv6 } accept", "icmpv6 } accept\n        iif red reject")
    with firewall(network.gamma, rules.replace("iif red", 'iifname "red"')):
        for command in advised:
            run("ip", "netns", "exec", network.gamma, "sh", "-c", command)
        says(network, WELL)


def test_the_doctor_names_a_firewall_that_keeps_questions_in(network: Lan) -> None:
    with firewall(network.gamma, NOTHING_LEAVES):
        done = doctor(network, network.gamma)
        text = text_of(done)
        [advised] = re.findall(r"^    (nft .* output .*)$", text, re.M)
        run("ip", "netns", "exec", network.gamma, "sh", "-c", advised)
        _, found, _ = find(network.gamma)
    assert done.returncode == 3
    assert "  red  broadcast 10.78.1.255      NOT SENT: operation not permitted" in text
    assert "  red  group ff02::1              NOT SENT: operation not permitted" in text
    assert "A firewall of this host keeps questions from leaving by red" in text
    assert len(found) == 1


def test_the_doctor_says_that_nobody_is_there(silent: Lan) -> None:
    done = doctor(silent, silent.gamma)
    text = text_of(done)
    assert done.returncode == 3
    assert "  red  broadcast 10.78.1.255      4 sent, no answer" in text
    assert "all of 10.78.1.0/24  508 sent, 2 hosts are there without a server" in text
    assert "Nobody answers." in text
    assert "heartbeat" not in text


def test_the_doctor_says_that_a_server_listens_for_its_own_host_only(
    silent: Lan, tmp_path: Path
) -> None:
    with Daemon(tmp_path, NARROW, namespace=silent.gamma):
        for wait in WAITS:
            done = doctor(silent, silent.gamma, wait=wait)
            if done.returncode == 0:
                break
    text = text_of(done)
    assert done.returncode == 0
    assert "Only this host has a server, and it listens for this host only." in text
    assert 'listen = ["udp:2027:interface=*"]' in text
    assert "it has not answered at udp 2029, the door of groups" in " ".join(text.split())


def test_the_doctor_works_without_any_network(silent: Lan) -> None:
    with namespace() as host:
        run("ip", "-n", host, "link", "set", "lo", "down")
        done = doctor(silent, host)
    text = text_of(done)
    assert done.returncode == 1
    assert "none: no interface is up that anybody could be asked on" in text
    assert text.endswith(
        "This host is on no network: no interface but the loopback is up and has an\naddress.\n"
    )


def test_the_doctor_names_tunnels(silent: Lan) -> None:
    tun = "TUN:10.9.0.2/16,tun-name=office,up"
    with (
        namespace() as host,
        running(["ip", "netns", "exec", host, "socat", tun, "SYSTEM:cat >/dev/null"]),
    ):
        wait_until(lambda: "office" in run("ip", "-n", host, "-o", "addr"), "there is a tunnel")
        text = text_of(doctor(silent, host))
    assert "  office          up   VPN or tunnel (tun)" in text
    assert "office is a VPN or a tunnel" in text
    assert "10.9.0.0/16 (office)" in " ".join(text.split())


def test_the_doctor_looks_by_udp_only(silent: Lan) -> None:
    done = doctor(silent, silent.gamma, "--tcp")
    assert done.returncode == 2
    assert b"--doctor looks for servers by UDP" in done.stderr
