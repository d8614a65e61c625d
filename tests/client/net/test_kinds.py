"""An interface is told by what sysfs says of it, or else by its name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sockd.client.net.kinds import Facts, Kind, facts, kind, read
from tests.daemons import inside, namespace, run

CABLE = Facts(type=1)
SOFT = Facts(type=1, is_virtual=True)
TUN = Facts(type=65534, is_tun=True, is_virtual=True)
TAP = Facts(type=1, is_tun=True, is_virtual=True)
WIREGUARD = Facts(type=65534, devtype="wireguard", is_virtual=True)


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("lo", Facts(type=772, is_virtual=True), Kind("loopback", True)),
        ("eth0", CABLE, Kind("Ethernet")),
        ("tsn0", CABLE, Kind("Ethernet")),
        ("wlan0", Facts(type=1, devtype="wlan", is_wireless=True), Kind("Wi-Fi")),
        ("wlp2s0", Facts(type=1, is_wireless=True), Kind("Wi-Fi")),
        ("mon0", Facts(type=801), Kind("Wi-Fi")),
        ("eth0.7", Facts(type=1, devtype="vlan", is_virtual=True), Kind("VLAN")),
        ("bond0", Facts(type=1, devtype="bond", is_virtual=True), Kind("bond")),
        ("red", Facts(type=1, is_virtual=True, is_pair=True), Kind("virtual (veth)", True)),
        ("dummy0", SOFT, Kind("virtual", True)),
        ("lan", Facts(type=1, devtype="bridge", is_bridge=True, is_virtual=True), Kind("bridge")),
        ("br-lan", Facts(type=1, is_bridge=True, is_virtual=True), Kind("bridge")),
        ("docker0", SOFT, Kind("bridge of containers", True)),
        ("br-0123456789ab", SOFT, Kind("bridge of containers", True)),
        ("virbr0", SOFT, Kind("bridge of machines", True)),
        ("veth12ab34", SOFT, Kind("virtual (container)", True)),
        ("office", TUN, Kind("VPN or tunnel (tun)", True, True)),
        ("office", TAP, Kind("VPN or tunnel (tap)", True, True)),
        ("home", WIREGUARD, Kind("VPN (WireGuard)", True, True)),
        ("tailscale0", TUN, Kind("VPN (Tailscale)", True, True)),
        ("zt5", TAP, Kind("VPN (ZeroTier)", True, True)),
        ("ppp0", Facts(type=512, is_virtual=True), Kind("VPN or tunnel", True, True)),
        ("he-ipv6", Facts(type=776, is_virtual=True), Kind("VPN or tunnel", True, True)),
        ("what", Facts(type=32), Kind("other")),
        # without sysfs
        ("lo", Facts(), Kind("loopback", True)),
        ("tun0", Facts(), Kind("VPN or tunnel", True, True)),
        ("wg0", Facts(), Kind("VPN (WireGuard)", True, True)),
        ("eth0", Facts(), Kind("other")),
    ],
)
def test_what_an_interface_is(name: str, known: Facts, expected: Kind) -> None:
    assert kind(name, known) == expected


def test_a_card_with_a_name_like_that_of_a_tunnel_is_a_card() -> None:
    assert kind("tun0", CABLE) == Kind("Ethernet")


def test_sysfs_is_read_as_the_kernel_writes_it(tmp_path: Path) -> None:
    folder = tmp_path / "eth0"
    folder.mkdir()
    for name, text in (
        ("type", "1\n"),
        ("uevent", "DEVTYPE=wlan\nINTERFACE=eth0\nIFINDEX=4\n"),
        ("iflink", "4\n"),
        ("ifindex", "4\n"),
    ):
        (folder / name).write_text(text, "ascii")
    (folder / "phy80211").mkdir()
    assert facts("eth0", tmp_path) == Facts(type=1, devtype="wlan", is_wireless=True)
    assert facts("eth9", tmp_path) == Facts()


def test_interfaces_of_this_kernel_are_told_from_each_other() -> None:
    made = {
        "here": ("veth peer name there", "virtual (veth)"),
        "switch": ("bridge", "bridge"),
    }
    program = "import sys; from sockd.client.net.kinds import read; print(read(sys.argv[1]).label)"
    with namespace() as host:
        for name, (words, _) in made.items():
            run("ip", "-n", host, "link", "add", name, "type", *words.split())
        run("ip", "-n", host, "tuntap", "add", "office", "mode", "tun")
        run("ip", "-n", host, "tuntap", "add", "lab", "mode", "tap")
        expected = {name: label for name, (_, label) in made.items()}
        expected |= {"office": "VPN or tunnel (tun)", "lab": "VPN or tunnel (tap)"}
        for name, label in expected.items():
            assert inside(host, sys.executable, "-c", program, name).decode().strip() == label


def test_this_hosts_loopback_is_one() -> None:
    assert read("lo").label == "loopback"
