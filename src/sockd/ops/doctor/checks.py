"""What is looked at, one function each: settings and facts in, findings out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sockd.config.settings import InstanceSettings, Settings
from sockd.listen.listen import Listen
from sockd.net.commands import ExecOptions
from sockd.ops.doctor.finding import Facts, Finding, Holder, Level
from sockd.options.units import LARGEST_SIZE, Size

NET_BIND_SERVICE = 10
NET_ADMIN = 12
SETPCAP = 8
"""Numbers of capabilities (linux/capability.h)."""
SPARE_DESCRIPTORS = 100
"""What the daemon has open besides connections: listeners, the log, pipes to itself."""
PIPES = 3
"""Of each program that has no socket of its own."""
DAY = 86400.0
EARLY_DAYS = 21
"""How long before its end a certificate is warned of: renewed ones are younger."""
SUPER_SERVERS = ("inetd", "xinetd", "rlinetd", "inetutils-inetd")

Findings = Iterator[Finding]


def configuration(settings: Settings, facts: Facts) -> Findings:
    """What the configuration itself is warned of."""
    for text in (*settings.warnings, *settings.unavailable):
        yield Finding(Level.WARN, "configuration", text)
    of = f"in {settings.files[0]}" if settings.files else "in the built-in configuration"
    if not (settings.files or facts.is_daemon):
        of += ": no daemon answers, and no FILE is named"
    text = f"{_count(len(settings.instances), 'service')} {of}"
    yield Finding(Level.OK, "configuration", text)


def twistd(_: Settings, facts: Facts) -> Findings:
    """twistd finds the plugin."""
    if facts.plugin:
        advice = "install sockd into the environment that twistd is in"
        yield Finding(Level.BAD, "twistd", facts.plugin, advice)
    else:
        yield Finding(Level.OK, "twistd", f"{facts.twistd} finds sockd")


def reactor(_: Settings, facts: Facts) -> Findings:
    """sockd's own reactor can run."""
    if facts.reactor:
        advice = "sockd runs on another one, with half the speed"
        yield Finding(Level.WARN, "reactor", facts.reactor, advice)
    else:
        yield Finding(Level.OK, "reactor", "sockd's own can run")


def capabilities(settings: Settings, facts: Facts) -> Findings:
    """What takes a right has it."""
    is_root = facts.uid == 0
    low = sorted(
        {
            listen.port
            for instance in settings.instances
            for listen in instance.listen
            if 0 < listen.port < facts.first_free_port and not listen.systemd
        }
    )
    may_bind = is_root or _has(facts, NET_BIND_SERVICE)
    if low and not may_bind:
        yield Finding(
            Level.BAD,
            "capabilities",
            f"{_who(facts)} cannot bind ports below {facts.first_free_port}: {_numbers(low)}",
            "give it CAP_NET_BIND_SERVICE, as the unit in etc/systemd does, or a socket unit",
        )
    elif low:
        text = f"{_who(facts)} can bind ports below {facts.first_free_port}"
        yield Finding(Level.OK, "capabilities", text)
    for instance in settings.instances:
        options = instance.options
        if not isinstance(options, ExecOptions):
            continue
        runs_as = facts.uid if options.user is None else options.user
        if runs_as == 0 and not (options.privileged or _has(facts, SETPCAP)):
            yield Finding(
                Level.WARN,
                "capabilities",
                f"{instance.name}: its program runs as root and keeps root's capabilities",
                "give it a user, or the daemon CAP_SETPCAP",
            )


def programs(settings: Settings, facts: Facts) -> Findings:
    """Programs can be run, and are ended."""
    names = [one.name for one in settings.instances if isinstance(one.options, ExecOptions)]
    if names and facts.programs:
        yield Finding(Level.BAD, "programs", f"{', '.join(names)}: {facts.programs}")
    elif names:
        yield Finding(Level.OK, "programs", f"what runs them is there: {', '.join(names)}")


def descriptors(settings: Settings, facts: Facts) -> Findings:
    """As many files may be open as the limits let connections in."""
    wanted = sum(map(_descriptors, settings.instances)) + SPARE_DESCRIPTORS
    if facts.descriptors < wanted:
        yield Finding(
            Level.WARN,
            "descriptors",
            f"{_who(facts)} may have {facts.descriptors} open, and the limits of all services "
            f"together let in what takes {wanted}: who comes when they are used up is closed",
            f"LimitNOFILE={wanted} in the unit, or a lower max_connections",
        )
    else:
        yield Finding(
            Level.OK,
            "descriptors",
            f"{_who(facts)} may have {facts.descriptors} open, and needs {wanted} at most",
        )


def buffers(settings: Settings, facts: Facts) -> Findings:
    """The kernel gives the buffers that datagrams are to have."""
    wanted = {
        instance.name: instance.limits.receive_buffer
        for instance in settings.instances
        if any(listen.transport in ("udp", "unixgram") for listen in instance.listen)
    }
    if not wanted:
        return
    most = max(wanted.values())
    if most <= facts.receive_buffer or _has(facts, NET_ADMIN):
        yield Finding(Level.OK, "buffers", f"datagrams have the {most} that they are to have")
        return
    yield Finding(
        Level.WARN,
        "buffers",
        f"the kernel gives a receive buffer of {Size(facts.receive_buffer)} and not of {most}: "
        f"bursts may lose datagrams ({_some(list(wanted))})",
        f"sysctl -w net.core.rmem_max={int(most)}, and the same in /etc/sysctl.d",
    )


def multicast(settings: Settings, facts: Facts) -> Findings:
    """What sends to groups has an interface that can."""
    for instance in settings.instances:
        for listen in instance.listen:
            if listen.transport == "multicast":
                yield _multicast(instance, listen, facts)


def _multicast(instance: InstanceSettings, listen: Listen, facts: Facts) -> Finding:
    topic, address = "multicast", listen.address.interface
    found = [one for one in facts.interfaces if not address or address in one.addresses]
    if not found:
        text = f"{instance.name}: no interface of this host has {address}"
        return Finding(Level.BAD, topic, text, "see `ip address`")
    # loopback says of itself that it has none, and carries it to this host
    able = [one for one in found if one.is_up and (one.has_multicast or one.name == "lo")]
    if able:
        return Finding(Level.OK, topic, f"{instance.name}: {able[0].name} takes it")
    one = found[0]
    advice = f"ip link set {one.name} {'multicast on' if one.is_up else 'up'}"
    why = "has multicast switched off" if one.is_up else "is down"
    return Finding(Level.BAD, topic, f"{instance.name}: {one.name} {why}", advice)


def addresses(settings: Settings, facts: Facts) -> Findings:
    """No other has our addresses, or will want them."""
    is_free = True
    for instance in settings.instances:
        for listen in {listen.text: listen for listen in instance.listen}.values():
            holder = None if listen.systemd else facts.holder(listen)
            if holder is not None:
                is_free = False
                yield _held(instance, listen, holder)
            elif rival := _rival(listen, facts):
                is_free = False
                yield Finding(
                    Level.WARN,
                    "addresses",
                    f"{instance.name}: {listen.text}: {rival} has the same port for another "
                    "super-server, which may take it first",
                    "take it out there; `sockd import` carries it over",
                )
    if is_free:
        yield Finding(Level.OK, "addresses", "no other process has them")


def _held(instance: InstanceSettings, listen: Listen, holder: Holder) -> Finding:
    if holder.pid is None:
        text = f"{instance.name}: {listen.text} is held by a process of another user"
        return Finding(Level.WARN, "addresses", text, "root is told whose; it may be the daemon")
    advice = f"end it, or choose another address: process {holder.pid}"
    if holder.name in SUPER_SERVERS:
        advice = f"systemctl disable --now {holder.name}; `sockd import` carries its services over"
    text = f"{instance.name}: {listen.text} is held by {holder.name} (process {holder.pid})"
    level = Level.BAD if instance.limits.required else Level.WARN
    return Finding(level, "addresses", text, advice)


def _rival(listen: Listen, facts: Facts) -> str:
    if listen.path or listen.systemd or not listen.port:
        return ""
    is_stream = listen.transport in ("tcp", "tls")
    wanted = (is_stream, listen.port)
    found = (one.place for one in facts.others if (one.is_stream, one.port) == wanted)
    return next(found, "")


def log(settings: Settings, facts: Facts) -> Findings:
    """A log file that is to have a size can be moved away."""
    daemon = settings.daemon
    if not daemon.log_file or daemon.log_max_size == LARGEST_SIZE:
        return
    if facts.may_move(daemon.log_file):
        text = f"{daemon.log_file} is moved away before it has more than {daemon.log_max_size}"
        yield Finding(Level.OK, "log", text)
        return
    yield Finding(
        Level.WARN,
        "log",
        f"{_who(facts)} cannot move {daemon.log_file} away, which grows beyond "
        f"{daemon.log_max_size}",
        "give its folder to the daemon's user, or have logrotate do it",
    )


def keys(settings: Settings, facts: Facts) -> Findings:
    """What TLS needs can be read, at the next start too."""
    files: dict[str, str] = {}
    for instance in settings.instances:
        for listen in instance.listen:
            for file in listen.terms.tls_files:
                files.setdefault(file, instance.name)
    kept_from = {file: name for file, name in files.items() if not facts.reads(file)}
    for file, name in kept_from.items():
        advice = "give it, and its folder, to the daemon's group, with mode 640, and 750"
        text = f"{name}: {_who(facts)} cannot read {file}"
        yield Finding(Level.BAD, "keys", text, advice)
    if files and not kept_from:
        yield Finding(Level.OK, "keys", f"{_who(facts)} can read what TLS needs")


def certificates(settings: Settings, facts: Facts) -> Findings:
    """Certificates are valid for a while."""
    files: dict[str, str] = {}
    for instance in settings.instances:
        for listen in instance.listen:
            for file in listen.terms.certificates:
                files.setdefault(file, instance.name)
    for file, name in files.items():
        try:
            left = facts.expires(file) - facts.now
        except ValueError as error:
            yield Finding(Level.BAD, "certificates", f"{name}: {file}: {error}")
            continue
        days = int(left // DAY)
        if left <= 0:
            text = f"{name}: {file} has expired {-days} days ago"
            yield Finding(Level.BAD, "certificates", text, "renew it: it is used without a restart")
        elif days < EARLY_DAYS:
            text = f"{name}: {file} expires in {days} days"
            yield Finding(Level.WARN, "certificates", text, "see why it has not been renewed")
        else:
            text = f"{name}: {file} is valid for {days} days more"
            yield Finding(Level.OK, "certificates", text)


CHECKS: tuple[Callable[[Settings, Facts], Findings], ...] = (
    configuration,
    twistd,
    reactor,
    capabilities,
    programs,
    descriptors,
    buffers,
    multicast,
    addresses,
    log,
    keys,
    certificates,
)
"""In the order in which they are told."""


def findings(settings: Settings, facts: Facts) -> list[Finding]:
    """All that there is to tell."""
    return [finding for check in CHECKS for finding in check(settings, facts)]


def _has(facts: Facts, capability: int) -> bool:
    return bool(facts.capabilities >> capability & 1)


def _who(facts: Facts) -> str:
    if facts.is_daemon:
        return f"the daemon (process {facts.pid})"
    return "a process started as this one"


def _descriptors(instance: InstanceSettings) -> int:
    if not any(listen.transport in ("tcp", "tls", "unix") for listen in instance.listen):
        return len(instance.listen)
    options, connections = instance.options, instance.limits.max_connections
    pipes = 0
    if isinstance(options, ExecOptions) and not options.socket:
        pipes = PIPES * min(options.max_children, connections)
    return len(instance.listen) + connections + pipes


def _numbers(numbers: list[int]) -> str:
    return _some([str(number) for number in numbers])


def _some(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
