"""What becomes of each attribute of xinetd: a setting of sockd's, or a note."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sockd.importer.entry import Entry, Lookups
from sockd.importer.prefixes import EVERYBODY, all_prefixes
from sockd.options.units import Size

ACCESS = ("only_from", "no_access")
LISTS = frozenset(
    {*ACCESS, "log_on_success", "log_on_failure", "passenv", "env", "disabled", "enabled"}
)
"""Attributes that are lists: those of several lines are one."""
LEAST_MEMORY = Size(16 * 1024 * 1024)
LEAST_DESCRIPTORS = 8

Words = Sequence[str]
Carry = Callable[[Entry, Words, Lookups], None]


def carry(entry: Entry, name: str, values: Words, lookups: Lookups) -> None:
    """Carry one attribute over."""
    if (how := CARRIED.get(name)) is not None:
        how(entry, values, lookups)


def _nothing(_: Entry, __: Words, ___: Lookups) -> None:
    """It is carried over with others, or holds anyway."""


def _lost(why: str, name: str) -> Carry:
    def lose(entry: Entry, values: Words, _: Lookups) -> None:
        entry.lose(f"{name} = {' '.join(values)}: {why}")

    return lose


def _unless(harmless: str, why: str, name: str) -> Carry:
    """Lost, but for one value."""

    def lose(entry: Entry, values: Words, lookups: Lookups) -> None:
        if [word.lower() for word in values] != [harmless]:
            _lost(why, name)(entry, values, lookups)

    return lose


def _bind(entry: Entry, values: Words, lookups: Lookups) -> None:
    found = lookups.addresses(values[0]) if values else ()
    if not found:
        entry.lose(f"bind = {' '.join(values)}: it has no address, so it is switched off")
        entry.is_enabled = False
        return
    if list(found) != [values[0]]:
        entry.differ(f"{values[0]} is looked up now, and not at each start")
    entry.hosts = tuple(found)


def _only_from(entry: Entry, values: Words, _: Lookups) -> None:
    found, unknown = all_prefixes(values)
    if unknown:
        entry.lose(f"only_from: {' '.join(unknown)}: sockd looks no names up; write prefixes")
    if found:
        entry.settings["allow"] = list(found)
    else:
        # without a rule everybody might come
        entry.settings["deny"] = list(EVERYBODY)


def _no_access(entry: Entry, values: Words, _: Lookups) -> None:
    found, unknown = all_prefixes(values)
    if unknown:
        entry.lose(
            f"no_access: {' '.join(unknown)}: sockd looks no names up, and lets them in; write "
            "prefixes"
        )
    if found:
        entry.settings["deny"] = [*entry.settings.get("deny", ()), *found]


def _instances(entry: Entry, values: Words, _: Lookups) -> None:
    if entry.is_stream and (number := _number(values)):
        entry.settings["max_connections"] = number


def _per_source(entry: Entry, values: Words, _: Lookups) -> None:
    if entry.is_stream and (number := _number(values)):
        entry.settings["max_connections_per_source"] = number
        entry.settings["trusted"] = []  # loopback is bound too, as it is there


def _cps(entry: Entry, values: Words, _: Lookups) -> None:
    if not entry.is_stream or not (number := _number(values)):
        return
    entry.settings["total_connect_rate"] = f"{number}/s"
    if len(values) > 1 and tuple(values) != ("50", "10"):
        entry.differ(
            f"cps = {' '.join(values)}: who is too many is refused; xinetd would take the service "
            f"away for {values[1]} s"
        )


def _number(values: Words) -> int:
    """A number above 0; 0 for UNLIMITED, and for what is none."""
    return int(values[0]) if values and values[0].isdecimal() else 0


def _bytes(values: Words) -> int:
    text = values[0].lower() if values else ""
    scale = {"k": 1024, "m": 1024**2}.get(text[-1:], 1)
    digits = text.rstrip("km")
    return int(digits) * scale if digits.isdecimal() else 0


def _memory(entry: Entry, values: Words, _: Lookups) -> None:
    size = _bytes(values)
    if size and size < LEAST_MEMORY:
        entry.differ(f"rlimit_as = {' '.join(values)}: {LEAST_MEMORY} is the least that sockd sets")
    if size:
        entry.settings["memory"] = str(Size(max(size, LEAST_MEMORY)))


def _cpu(entry: Entry, values: Words, _: Lookups) -> None:
    if number := _number(values):
        entry.settings["cpu"] = f"{number}s"


def _files(entry: Entry, values: Words, _: Lookups) -> None:
    if number := _number(values):
        entry.settings["descriptors"] = max(number, LEAST_DESCRIPTORS)


def _env(entry: Entry, values: Words, _: Lookups) -> None:
    pairs = dict(word.partition("=")[::2] for word in values)
    if entry.internal or not pairs:
        return
    entry.settings["environment"] = pairs


def _nice(entry: Entry, values: Words, _: Lookups) -> None:
    if entry.command and values and values[0] != "0":
        entry.command = ("nice", "-n", values[0], *entry.command)


def _flags(entry: Entry, values: Words, _: Lookups) -> None:
    for flag in values:
        if why := _FLAGS.get(flag, "sockd knows of no such flag"):
            entry.lose(f"{flag}: {why}")


def _logs(entry: Entry, values: Words, _: Lookups) -> None:
    if "USERID" in values:
        entry.lose("USERID: sockd asks no identification server (RFC 1413)")


def _log_type(entry: Entry, values: Words, _: Lookups) -> None:
    if values and values[0] == "FILE":
        entry.lose(f"log_type = {' '.join(values)}: sockd has one log for all")


_FLAGS = {
    "NODELAY": "",
    "REUSE": "",
    "NORETRY": "",
    "NOLIBWRAP": "",
    "NAMEINARGS": "",
    "DISABLE": "",
    "IPv4": "",
    "IPv6": "",
    "KEEPALIVE": "sockd asks for signs of life of whom it waits for alone",
    "IDONLY": "sockd asks no identification server (RFC 1413), and lets everybody in",
    "INTERCEPT": "sockd does not stand between a program and its client",
    "LABELED": "sockd sets no SELinux context",
}
"""Why a flag is not carried over; empty where nothing is lost."""

_LIMIT = "sockd has no such limit"
_BANNER = "a program that has the connection itself is its only speaker"
CARRIED: dict[str, Carry] = {
    **dict.fromkeys(
        (
            *("id", "type", "disable", "socket_type", "protocol", "wait", "user", "group"),
            *("server", "server_args", "port", "mdns", "disabled", "enabled", "redirect"),
            *("rpc_version", "rpc_number"),
        ),
        _nothing,
    ),
    "flags": _flags,
    "bind": _bind,
    "interface": _bind,
    "only_from": _only_from,
    "no_access": _no_access,
    "instances": _instances,
    "per_source": _per_source,
    "cps": _cps,
    "rlimit_as": _memory,
    "rlimit_cpu": _cpu,
    "rlimit_files": _files,
    "env": _env,
    "log_on_success": _logs,
    "log_on_failure": _logs,
    "log_type": _log_type,
    **{name: _lost(_LIMIT, name) for name in ("rlimit_data", "rlimit_rss", "rlimit_stack")},
    **{name: _lost(_BANNER, name) for name in ("banner", "banner_success")},
    "banner_fail": _lost("who is refused is told nothing", "banner_fail"),
    "access_times": _lost("sockd knows no hours, and serves at all of them", "access_times"),
    "max_load": _lost("sockd does not look at the load of the host", "max_load"),
    "deny_time": _lost("see `sockd ban`", "deny_time"),
    "nice": _nice,
    "umask": _unless("022", "a program has the daemon's; one that needs another sets it", "umask"),
    "groups": _unless("yes", "a program has the groups of its user", "groups"),
    "passenv": _lost("programs get nothing of the daemon's environment", "passenv"),
    "libwrap": _lost("sockd asks no TCP wrappers", "libwrap"),
}
"""What is done with each attribute, by its name."""
