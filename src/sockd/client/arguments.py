"""The options that commands share, and what they say together: `Asking`.

A command takes the groups that mean something to it. click only: this is imported for `--help`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import click
from attrs import fields

from sockd.client import asking as limits
from sockd.client.asking import Asking
from sockd.client.targets import Transport
from sockd.options.units import Duration, Size

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
FAMILIES = {"only_ipv4": 4, "only_ipv6": 6}
"""Options, each of which says what is a field together with the other."""
FIELDS = frozenset(field.name for field in fields(Asking))


class Seconds(click.ParamType[float]):
    """A duration: `0.1`, `100ms`, `2m`."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds."""
        try:
            return float(Duration.parse(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Bytes(click.ParamType[int]):
    """A number of bytes: `512`, `64k`, `4m`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number."""
        try:
            return int(Size.parse(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


SECONDS = Seconds()
BYTES = Bytes()
FILE = click.Path(readable=False)
"""A text, whatever is there; shells complete it to names of files."""


class Shared(click.Option):
    """An option of many commands, under a heading of its own in their help."""

    def __init__(self, heading: str, *declarations: str, **settings: Any) -> None:
        super().__init__(declarations, **settings)
        self.heading = heading


class Command(click.Command):
    """A command whose help has its own options first, and then the shared ones by headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click's, in parts."""
        parts: dict[str, list[tuple[str, str]]] = {"Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                heading = param.heading if isinstance(param, Shared) else "Options"
                parts.setdefault(heading, []).append(record)
        for heading, records in parts.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def _repeated(*names: str, **settings: Any) -> Shared:
    return Shared("How often, how long", *names, **settings)


def _repeating(wait: float) -> list[Shared]:
    made = _repeated
    return [
        made(
            "-c",
            "--count",
            type=click.IntRange(1, limits.MOST_COUNT),
            metavar="N",
            help="Ask so many times.",
        ),
        made(
            "-i",
            "--interval",
            type=SECONDS,
            help="Time between two questions; without -c they go on until ^C or -w.",
        ),
        made(
            "-W",
            "--wait",
            "--timeout",
            type=SECONDS,
            default=wait,
            help=f"Wait so long to get there, then for an answer ({wait:g} s).",
        ),
        made("-w", "--deadline", type=SECONDS, help="End after this time, whatever is open."),
        made(
            "--retries",
            type=click.IntRange(0, limits.MOST_RETRIES),
            default=0,
            metavar="N",
            help="Ask again where no answer came; each try has its own -W.",
        ),
    ]


def _enough() -> list[Shared]:
    made = _repeated
    return [
        made("-s", "--size", type=BYTES, help="Bytes of a question, as 64 or 4k."),
        made(
            "--answers",
            type=click.IntRange(0),
            metavar="N",
            help="End after so many answers; 0 waits for none.",
        ),
        made(
            "--any",
            "enough",
            type=click.IntRange(1),
            metavar="N",
            help="Answers of N hosts suffice; they end what goes on by itself.",
        ),
    ]


def _getting_there(transports: tuple[Transport, ...]) -> list[Shared]:
    def made(*names: str, **settings: Any) -> Shared:
        return Shared("How to get there", *names, **settings)

    options = [
        made(
            f"--{transport}",
            f"over_{transport}",
            is_flag=True,
            help=f"Over {transport.upper()}{' (the default)' * (transport == transports[0])}.",
        )
        for transport in transports
        if not transport.is_local
    ]
    if any(transport.is_local for transport in transports):
        options.append(
            made("--unix", "path", type=FILE, metavar="PATH", default="", help="By a socket file.")
        )
    return [
        *options,
        made("--port", type=click.IntRange(1, 65_535), metavar="N", help="Not the usual port."),
        made("-4", "only_ipv4", is_flag=True, help="IPv4 only."),
        made("-6", "only_ipv6", is_flag=True, help="IPv6 only."),
        made(
            "-I",
            "--interface",
            metavar="NAME",
            default="",
            help="By this device, or from this address of ours.",
        ),
        made("-n", "--numeric", "is_numeric", is_flag=True, help="Addresses only, no names."),
        made("--all-addresses", is_flag=True, help="Ask every address that a name has."),
    ]


def _tls() -> list[Shared]:
    def made(*names: str, **settings: Any) -> Shared:
        return Shared("TLS", *names, **settings)

    return [
        made("--ca", type=FILE, metavar="FILE", default="", help="Trust these certificates alone."),
        made(
            "--cert",
            "certificate",
            type=FILE,
            metavar="FILE",
            default="",
            help="Our certificate and its key.",
        ),
        made("--server-name", metavar="NAME", default="", help="Whom the certificate must be for."),
        made("--insecure", "is_insecure", is_flag=True, help="Any certificate: nothing is proven."),
    ]


def _telling() -> list[Shared]:
    def made(*names: str, **settings: Any) -> Shared:
        return Shared("What is told", *names, **settings)

    return [
        made(
            "-q",
            "--quiet",
            "is_quiet",
            is_flag=True,
            help="No line for each probe, and none that is redrawn.",
        ),
        made("-v", "--verbose", "verbosity", count=True, help="More."),
        made("--timing", "tells_timing", is_flag=True, help="How long each step took."),
        made("--explain", "explains", is_flag=True, help="Each byte, and what the protocol says."),
        made(
            "--color",
            type=click.Choice(["auto", "always", "never"]),
            default="auto",
            help="auto: on a terminal without NO_COLOR.",
        ),
        made("-J", "--json", "as_json", is_flag=True, help="JSON Lines on standard output."),
        made(
            "--prometheus",
            type=FILE,
            metavar="FILE",
            default="",
            help="Write metrics; - prints them.",
        ),
        made("--check", "is_check", is_flag=True, help="Be a monitoring plugin."),
        made("--warn", multiple=True, metavar="METRIC=RANGE", help="With --check: a warning."),
        made("--crit", multiple=True, metavar="METRIC=RANGE", help="With --check: critical."),
    ]


def asks(
    *transports: Transport,
    has_size: bool = False,
    has_answers: bool = False,
    has_tls: bool = False,
    leaves_out: Collection[str] = (),
    wait: float = limits.DEFAULT_WAIT,
) -> Decorator:
    """The shared options, for a command that speaks over these transports; the first by default.

    `wait` is the command's default of `--wait`; `has_tls`: it is not the options that choose TLS.
    `leaves_out` names fields of `Asking` that mean nothing to the command. The function gets
    `asking` instead of the options.
    """
    options = [*_repeating(wait), *_enough(), *_getting_there(transports)]
    if has_tls or Transport.TLS in transports:
        options += _tls()
    unwanted = {
        *leaves_out,
        *(() if has_size else ("size",)),
        *(() if has_answers else ("answers",)),
        *(FAMILIES if "family" in leaves_out else ()),
    }
    wanted = [option for option in (*options, *_telling()) if option.name not in unwanted]

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        def called(**given: Any) -> Any:
            asking = _asking(transports, given)
            own = {name: value for name, value in given.items() if name not in _SHARED}
            return function(asking=asking, **own)

        called.__doc__ = function.__doc__
        called.__name__ = function.__name__
        own_options = getattr(function, "__click_params__", [])
        # click's place for them, in reverse
        setattr(called, "__click_params__", [*own_options, *reversed(wanted)])  # noqa: B010
        return called

    return decorate


_SHARED = FIELDS | {f"over_{transport}" for transport in Transport} | {*FAMILIES}


def _asking(transports: tuple[Transport, ...], given: Mapping[str, Any]) -> Asking:
    """What the options say. Raises UsageError where two of them exclude each other."""
    values = {name: value for name, value in given.items() if name in FIELDS and value is not None}
    chosen = [transport for transport in transports if given.get(f"over_{transport}")]
    path = given.get("path") or ""
    if path and (Transport.TCP in chosen or Transport.TLS in chosen or len(chosen) > 1):
        raise click.UsageError(f"--unix and --{chosen[0]} exclude each other")
    if len(chosen) > 1:
        raise click.UsageError(f"--{chosen[0]} and --{chosen[1]} exclude each other")
    if path:
        values["transport"] = _by_path(transports, chosen)
    elif chosen or transports:
        values["transport"] = (chosen or [transports[0]])[0]
    families = [version for name, version in FAMILIES.items() if given.get(name)]
    if len(families) > 1:
        raise click.UsageError("-4 and -6 exclude each other")
    if families:
        values["family"] = families[0]
    asking = Asking(**values)
    _check(asking)
    return asking


def check_end(asking: Asking, options: str) -> None:
    """Raises UsageError where monitoring would wait for ever: `options` are what ends a run."""
    if asking.is_check:
        raise click.UsageError(f"--check has to come to an end: give {options}")


def check_times(asking: Asking) -> None:
    """Raises UsageError where to ask without end cannot be meant."""
    if asking.times is None and asking.deadline is None:
        check_end(asking, "-c or -w")
        if not round((asking.interval or 0) * 1e9):
            raise click.UsageError("-i 0 asks without a pause: give it an end, -c or -w")


def check_local(asking: Asking, what: str) -> None:
    """Raises UsageError where an option is about a network, to which no socket file leads."""
    for option, is_given in (
        ("--port", asking.port is not None),
        ("-I", bool(asking.interface)),
        (f"-{asking.family}", asking.family),
        ("--all-addresses", asking.all_addresses),
    ):
        if is_given:
            raise click.UsageError(f"{what} is on this host: {option} does nothing there")


def _by_path(transports: tuple[Transport, ...], chosen: list[Transport]) -> Transport:
    """Which kind of socket file: of datagrams with `--udp`, or where there is no other."""
    is_stream = not transports or Transport.UNIX in transports
    return Transport.UNIX if is_stream and Transport.UDP not in chosen else Transport.UNIXGRAM


def _check(asking: Asking) -> None:
    told = [
        name
        for name, is_on in (
            ("--json", asking.as_json),
            ("--check", asking.is_check),
            ("--prometheus -", asking.prometheus == "-"),
        )
        if is_on
    ]
    if len(told) > 1:
        raise click.UsageError(f"{told[0]} and {told[1]} both want standard output")
    if not asking.wait:
        raise click.UsageError("-W 0 leaves no time for an answer")
    if (asking.warn or asking.crit) and not asking.is_check:
        raise click.UsageError("--warn and --crit are for --check")
    for option, value in (("-W", asking.wait), ("-w", asking.deadline)):
        if value == 0:
            raise click.UsageError(f"{option} 0 leaves no time for an answer")
    if asking.path:
        check_local(asking, "--unix")
    if asking.is_insecure and (asking.ca or asking.server_name):
        raise click.UsageError(
            "--insecure takes any certificate: --ca and --server-name do nothing"
        )
    if asking.transport not in (Transport.TLS, "") and (
        asking.ca or asking.certificate or asking.server_name or asking.is_insecure
    ):
        raise click.UsageError("--ca, --cert, --server-name and --insecure are for --tls")
