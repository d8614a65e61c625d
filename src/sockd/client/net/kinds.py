"""What an interface is: a cable, radio, a VPN, or one that is there in software only.

The kernel tells it in sysfs, of most; of others their names do.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from attrs import frozen

SYSFS = Path("/sys/class/net")

# linux/if_arp.h
_LOOPBACK = 772
_WIRELESS = 801
_TUNNELS = frozenset({512, 768, 769, 776, 778, 823, 65534})
"""PPP, IP in IP, IPv6 in it, SIT, GRE, GRE over IPv6, and what has no header of a link."""

_BY_DEVTYPE = {
    "wlan": ("Wi-Fi", False, False),
    "wwan": ("mobile network", False, False),
    "bond": ("bond", False, False),
    "vlan": ("VLAN", False, False),
    "bridge": ("bridge", False, False),
    "wireguard": ("VPN (WireGuard)", True, True),
    "ppp": ("tunnel (PPP)", True, True),
    "vxlan": ("virtual (VXLAN)", True, False),
    "geneve": ("virtual (Geneve)", True, False),
    "macvlan": ("virtual (macvlan)", True, False),
    "ipvlan": ("virtual (ipvlan)", True, False),
    "dummy": ("virtual (dummy)", True, False),
}
_BY_NAME = (
    (("docker", "podman", "cni", "lxcbr", "lxdbr"), "bridge of containers", False),
    (("virbr",), "bridge of machines", False),
    (("veth", "lxc", "vnet", "cali", "flannel"), "virtual (container)", False),
    (("vmnet", "vboxnet"), "virtual (machines)", False),
    (("wg", "nordlynx"), "VPN (WireGuard)", True),
    (("tailscale", "ts"), "VPN (Tailscale)", True),
    (("zt",), "VPN (ZeroTier)", True),
    (("tun", "utun", "tap", "ppp", "ipsec", "vti", "gpd", "cscotun"), "VPN or tunnel", True),
)
_OF_DOCKER = re.compile("br-[0-9a-f]{12}")
"""A bridge that docker has made; others may have a cable in them."""


@frozen
class Kind:
    """What an interface is."""

    label: str
    is_virtual: bool = False
    """There is no cable and no radio behind it; a VPN has none either."""
    is_vpn: bool = False
    """It leads through a tunnel, which takes no broadcasts as a rule."""


@frozen
class Facts:
    """What sysfs says of one."""

    type: int | None = None
    """ARPHRD_..."""
    devtype: str = ""
    is_tun: bool = False
    """Made by a program: a tun, or, with a header of a link, a tap."""
    is_bridge: bool = False
    is_wireless: bool = False
    is_virtual: bool = False
    is_pair: bool = False
    """Its other end is another interface."""


def kind(name: str, facts: Facts) -> Kind:
    """What an interface is, as far as it can be told."""
    if facts.type == _LOOPBACK or (facts.type is None and name == "lo"):
        return Kind("loopback", is_virtual=True)
    named = _by_name(name)
    if named is not None and (facts.is_virtual or facts.type is None):
        return named
    if facts.is_tun:
        label = "tunnel (tun)" if facts.type in _TUNNELS else "tunnel (tap)"
        return Kind(f"VPN or {label}", is_virtual=True, is_vpn=True)
    if facts.devtype in _BY_DEVTYPE:
        return Kind(*_BY_DEVTYPE[facts.devtype])
    if facts.is_wireless or facts.type == _WIRELESS:
        return Kind("Wi-Fi")
    if facts.is_bridge:
        return Kind("bridge")
    if facts.type in _TUNNELS:
        return Kind("VPN or tunnel", is_virtual=True, is_vpn=True)
    if facts.is_virtual:
        return Kind("virtual (veth)" if facts.is_pair else "virtual", is_virtual=True)
    return Kind("Ethernet" if facts.type == 1 else "other")


def _by_name(name: str) -> Kind | None:
    if _OF_DOCKER.fullmatch(name):
        return Kind("bridge of containers", is_virtual=True)
    for beginnings, label, is_vpn in _BY_NAME:
        for beginning in beginnings:
            rest = name.removeprefix(beginning)
            if rest != name and not (is_vpn and rest[:1].isalpha()):
                return Kind(label, is_virtual=True, is_vpn=is_vpn)
    return None


def facts(name: str, sysfs: Path = SYSFS) -> Facts:
    """What sysfs says of an interface; nothing where there is none."""
    folder = sysfs / name
    number = _text(folder / "type")
    devtype = ""
    for line in _text(folder / "uevent").splitlines():
        if line.startswith("DEVTYPE="):
            devtype = line.removeprefix("DEVTYPE=")
    with suppress(OSError):
        return Facts(
            type=int(number) if number.isdecimal() else None,
            devtype=devtype,
            is_tun=(folder / "tun_flags").exists(),
            is_bridge=(folder / "bridge").exists(),
            is_wireless=(folder / "wireless").exists() or (folder / "phy80211").exists(),
            is_virtual="virtual" in folder.resolve().parts,
            is_pair=_text(folder / "iflink") != _text(folder / "ifindex"),
        )
    return Facts()


def read(name: str) -> Kind:
    """What an interface of this host is."""
    return kind(name, facts(name))


def _text(file: Path) -> str:
    try:
        return file.read_text("ascii", "replace").strip()
    except OSError:
        return ""
