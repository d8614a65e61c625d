"""The options that commands share, and what they say together: `Asking`.

A command takes the groups that mean something to it. click only: this is imported for `--help`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click
from attrs import fields

from sockd.client import asking as limits
from sockd.client.asking import Asking
from sockd.client.targets import Transport
from sockd.options.units import Duration, Size

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
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

_REPEATING = (
    click.option(
        "-c", "--count", type=click.IntRange(1, limits.MOST_COUNT), help="Ask so many times."
    ),
    click.option("-i", "--interval", type=SECONDS, help="Time between two questions."),
    click.option("-w", "--deadline", type=SECONDS, help="End after this time, whatever is open."),
    click.option(
        "--retries", type=click.IntRange(0, 100), default=0, help="Ask again where no answer came."
    ),
)


def _wait(seconds: float) -> Decorator:
    return click.option(
        "-W",
        "--wait",
        "--timeout",
        type=SECONDS,
        default=seconds,
        show_default=f"{seconds:g}s",
        help="Wait so long for one answer.",
    )


_GETTING_THERE = (
    click.option("-4", "family", flag_value=4, type=int, help="IPv4 only."),
    click.option("-6", "family", flag_value=6, type=int, help="IPv6 only."),
    click.option(
        "-I",
        "--interface",
        metavar="NAME",
        default="",
        help="Go out by this device, or from this address of ours.",
    ),
    click.option(
        "-n", "--numeric", "is_numeric", is_flag=True, help="Addresses only: look up no names."
    ),
    click.option("--port", type=click.IntRange(1, 65_535), help="Another port than the usual one."),
)
_TLS = (
    click.option("--ca", metavar="FILE", default="", help="Trust these certificates alone."),
    click.option(
        "--cert", "certificate", metavar="FILE", default="", help="Our certificate and its key."
    ),
    click.option(
        "--server-name", metavar="NAME", default="", help="Whom the certificate must be for."
    ),
    click.option(
        "--insecure", "is_insecure", is_flag=True, help="Take any certificate: nothing is proven."
    ),
)
_TELLING = (
    click.option("-q", "--quiet", "is_quiet", is_flag=True, help="Only what must be told."),
    click.option("-v", "--verbose", "verbosity", count=True, help="Tell more."),
    click.option("-J", "--json", "as_json", is_flag=True, help="JSON Lines on standard output."),
    click.option("--timing", "tells_timing", is_flag=True, help="Tell how long each step took."),
    click.option(
        "--explain", "explains", is_flag=True, help="Show each byte, and what the protocol says."
    ),
    click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        help="Colour: on a terminal without NO_COLOR, always, or never.",
    ),
    click.option("--check", "is_check", is_flag=True, help="Be a monitoring plugin."),
    click.option("--warn", multiple=True, metavar="METRIC=RANGE", help="With --check: a warning."),
    click.option("--crit", multiple=True, metavar="METRIC=RANGE", help="With --check: critical."),
    click.option("--prometheus", metavar="FILE", default="", help="Write metrics; - prints them."),
)
_MANY = click.option(
    "--any", "enough", type=click.IntRange(1), metavar="N", help="Answers of N hosts suffice."
)
_SIZE = click.option(
    "-s", "--size", type=click.IntRange(0, limits.LARGEST_SIZE), help="Bytes of a question."
)
_ALL_ADDRESSES = click.option(
    "--all-addresses", is_flag=True, help="Ask every address that a name has."
)
_ANSWERS = click.option(
    "--answers", type=click.IntRange(1), metavar="N", help="End after N answers."
)


def _transport_options(transports: tuple[Transport, ...]) -> list[Decorator]:
    """A flag for each transport but the first, which is the default."""
    made: list[Decorator] = []
    for transport in dict.fromkeys((*transports, *_PATHS)):
        if transport not in transports:
            continue
        if transport.is_local:
            continue
        made.append(
            click.option(
                f"--{transport}",
                f"over_{transport}",
                is_flag=True,
                help=f"Over {transport.upper()}{' (the default)' * (transport == transports[0])}.",
            )
        )
    if any(transport.is_local for transport in transports):
        made.append(
            click.option("--unix", "path", metavar="PATH", default="", help="By a socket file.")
        )
    return made


_PATHS = (Transport.UNIX, Transport.UNIXGRAM)


def asks(
    *transports: Transport,
    has_size: bool = False,
    has_answers: bool = False,
    has_tls: bool = False,
    wait: float = limits.DEFAULT_WAIT,
) -> Decorator:
    """The shared options, for a command that speaks over these transports; the first by default.

    `wait` is the command's default of `--wait`; `has_tls`: it is not the options that choose TLS.
    The function gets `asking` instead of them.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        def called(**given: Any) -> Any:
            asking = _asking(transports, given)
            own = {name: value for name, value in given.items() if name not in _SHARED}
            return function(asking=asking, **own)

        called.__doc__ = function.__doc__
        called.__name__ = function.__name__
        parameters = getattr(function, "__click_params__", [])
        setattr(called, "__click_params__", parameters)  # noqa: B010 - click's place for them
        options: list[Decorator] = [*_REPEATING, _wait(wait)]
        if has_size:
            options.append(_SIZE)
        if has_answers:
            options.append(_ANSWERS)
        options += [*_transport_options(transports), *_GETTING_THERE, _ALL_ADDRESSES, _MANY]
        if has_tls or Transport.TLS in transports:
            options += _TLS
        for option in reversed([*options, *_TELLING]):
            option(called)
        return called

    return decorate


_SHARED = FIELDS | {f"over_{transport}" for transport in Transport}


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
    asking = Asking(**values)
    _check(asking)
    return asking


def _by_path(transports: tuple[Transport, ...], chosen: list[Transport]) -> Transport:
    """Which kind of socket file: of datagrams with `--udp`, or where there is no other."""
    if Transport.UDP in chosen or Transport.UNIX not in transports:
        return Transport.UNIXGRAM
    return Transport.UNIX


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
    if (asking.warn or asking.crit) and not asking.is_check:
        raise click.UsageError("--warn and --crit are for --check")
    if asking.is_insecure and (asking.ca or asking.server_name):
        raise click.UsageError(
            "--insecure takes any certificate: --ca and --server-name do nothing"
        )
    if asking.transport not in (Transport.TLS, "") and (
        asking.ca or asking.certificate or asking.server_name or asking.is_insecure
    ):
        raise click.UsageError("--ca, --cert, --server-name and --insecure are for --tls")
