"""sockd.toml(5): the configuration file."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from sockd.access.limits import Limits
from sockd.config.settings import DaemonSettings
from sockd.listen.schemes import SCHEMES, Scheme
from sockd.ops.manual.pages import option_items, page, table
from sockd.ops.manual.roff import document, example, references, section, subsection
from sockd.service import MAIN_KEY, Found, Kind

ABOUT = """
A TOML file in UTF-8. What it names runs, and nothing else. `sockd check FILE` finds every mistake
at once; `sockd config FILE` prints every setting that holds and where it came from; `sockd
config` alone prints the built-in configuration, annotated.

The files `*.toml` in a folder `conf.d` beside it are laid over it, in name order. Tables are
merged, all else is replaced as a whole, lists too. From the weakest to the strongest: the
option's default, `[defaults]`, what the built-in instance of that name says, `[service.NAME]` in
the file, in `conf.d`, and by `--set`. A relative path starts at the folder of the file that it
stands in, unless its option says that it starts at the runtime directory or at the state
directory: which these are tells `sockd(8)`, below ENVIRONMENT and FILES.
"""
CHANGES = """
Behind each option stands when a change of it holds, once `sockd reload` has told the daemon: "now",
for what is open too; "new connections", for what comes later; "bind", when its address is bound
anew; "restart", when the daemon is started anew.
"""
TABLES = {
    "[sockd]": "The process.",
    "[defaults]": "The options of every service, for all instances.",
    "[service.NAME]": "One instance: `kind`, `enabled`, `listen`, the options of its kind, and "
    "those of every service. `kind` may be left out where NAME is that of a kind or of a built-in "
    "instance, `listen` where NAME is a built-in instance. A further door of a kind has "
    "`listen_ROLE`. With `enabled = false` it does not run.",
}
VALUES = {
    "duration": '`30`, `"500ms"`, `"30 sec"`, `"1h30m"`, `"1 day"`. Without a unit, seconds.',
    "size": '`512`, `"64k"`, `"4MB"`, `"1.5g"`: powers of 1024.',
    "rate": '`"50/s"`, `"10 per minute"`, `"3/30s"`: so many for each span of time.',
    "pace": '`"1k/m"`, `"100 per 10s"`: at least so many bytes in each span of time.',
    "prefix": '`"192.168.0.0/16"`, `"fe80::/10"`, `"127.0.0.1"`: addresses, never names.',
    "user": '`"www-data"`, `33`: a user of this host.',
}
LISTEN = """
Where to listen is a list of texts, each of words between colons: the transport, and what it
takes, by place or as `key=value`. A colon of a value has a backslash before it. `interface` is an
address, `localhost` (127.0.0.1 and ::1) or `*` (every address, IPv4 and IPv6). A port of 0 has
the kernel choose. `${RUNTIME}` is the runtime directory, see `sockd(8)`.
"""
PROXIED = "haproxy:tcp:7800:proxies=192.0.2.1/32"
MINIMAL = """[defaults]
idle_timeout = "30s"

[service.echo]
listen = ["tcp:7:interface=*"]

[service.hello]
kind = "greet"
listen = ["tcp:2345:interface=localhost"]
allow = ["127.0.0.0/8", "::1"]
template = "Hello {name}"
"""


def config_page(found: Found) -> str:
    """The page, with the kinds of service that were found."""
    return page(
        "sockd.toml",
        5,
        "configuration of sockd",
        section("DESCRIPTION", document(ABOUT)),
        section("TABLES", table(TABLES), [".Pp"], document(CHANGES)),
        section("THE PROCESS", option_items(attrs.fields(DaemonSettings))),
        section(
            "EVERY SERVICE",
            document("In `[defaults]` for all instances, in `[service.NAME]` for one."),
            option_items(attrs.fields(Limits)),
        ),
        section("WHERE TO LISTEN", document(LISTEN), _schemes()),
        section("VALUES", table(VALUES)),
        section("KINDS OF SERVICE", *(_kind(found.kinds[name]) for name in sorted(found.kinds))),
        section("EXAMPLES", example(MINIMAL.splitlines())),
        section("SEE ALSO", references("sockd(8)", "sockd-chat(7)")),
    )


def _schemes() -> list[str]:
    rows = {scheme.example: _takes(scheme) for scheme in SCHEMES.values()}
    rows[PROXIED] = "behind a proxy that sends the PROXY protocol, from the prefixes in `proxies`."
    return table(rows)


def _takes(scheme: Scheme) -> str:
    kinds = {
        "needs": [name for name in scheme.positional if name in scheme.required],
        "may have": [name for name in scheme.positional if name not in scheme.required],
        "by name alone": [*scheme.named],
    }
    told = [f"{kind} {_listed(names)}" for kind, names in kinds.items() if names]
    words = (name for name, one in SCHEMES.items() if one is scheme)
    return f"{_listed(words)}: {'; '.join(told)}."


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _kind(kind: Kind) -> list[str]:
    """A kind: what it does, where, and the options of its own."""
    lines = [f"{kind.summary}. Transports: {', '.join(kind.transports)}."]
    lines += [f"Its door `{door.key}`: {', '.join(door.transports)}." for door in kind.doors]
    for instance in kind.instances:
        listens = "; ".join(
            f"`{key}` " * (key != MAIN_KEY) + ", ".join(f"`{text}`" for text in listen)
            for key, listen in instance.listens().items()
        )
        lines.append(f"Built-in instance `{instance.name}`: {listens}.")
    return subsection(
        kind.name, document(" ".join(lines)), option_items(attrs.fields(kind.options))
    )
