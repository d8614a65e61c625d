"""`--explain`: each datagram, write and read, and what the protocol says at that point.

What is printed is a hex dump that text2pcap reads: `text2pcap -D -t %H:%M:%S.%f -u 7,1000 FILE OUT`
(`-T` for TCP). Its times are since the first host was asked. All that is for people is a comment.
"""

from __future__ import annotations

import importlib
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TextIO

from attrs import define, field

from sockd.client.asking import Asking
from sockd.client.definitions import DEFINITIONS, measures
from sockd.client.outputs.figures import fill, milliseconds
from sockd.client.process import Hooks
from sockd.client.targets import Target, Transport
from sockd.formats.text import readable
from sockd.formats.urgent import UrgentByte

if TYPE_CHECKING:
    from sockd.service import Exchange, Kind

BYTES_OF_A_LINE = 16
MOST_SHOWN = 256
"""Bytes of one datagram, write or read: sixteen lines. `-v` shows all."""
COMMENT_WIDTH = 79
"""Columns of a comment: it fits where the dump does."""
NO_SEGMENTS = (
    "What follows are this program's writes and reads, not segments: TCP carries a stream of "
    "bytes, which the kernels cut and join as they like."
)
INSIDE_TLS = "They are shown as they are inside TLS: on the wire they are encrypted."


def explainer(
    kind: str,
    asking: Asking,
    *,
    err: TextIO | None = None,
    now_ns: Callable[[], int] = time.monotonic_ns,
) -> Callable[[Target], Hooks]:
    """What makes the hooks of each target; prints at once what the measures mean.

    `kind` is the kind of service whose documentation explains the protocol; where there is none of
    this name, bytes are shown without sentences.
    """
    explained = Explained(kind, asking, err or sys.stderr, now_ns)
    explained.define()
    return explained.hooks


def find_kind(name: str) -> Kind | None:
    """A kind of service of this name, of ours or of others, imported."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name):
        return None
    from sockd.service import Kind

    try:
        module = importlib.import_module(f"sockd.services.{name}")
    except ImportError:
        return None
    kind = getattr(module, "kind", None)
    return kind if isinstance(kind, Kind) else None


@define(eq=False)
class Explained:
    """One run that is explained."""

    name: str
    asking: Asking
    err: TextIO
    now_ns: Callable[[], int]
    _started_ns: int = field(init=False, default=0)
    """When the first target was made ready, which is what times are told from."""
    _kind: Kind | None = field(init=False)
    _targets: int = field(init=False, default=0)
    _begun: set[str] = field(init=False, factory=set)
    """Protocols that were told of."""

    def __attrs_post_init__(self) -> None:
        self._kind = find_kind(self.name)

    @property
    def _exchanges(self) -> Mapping[str, Exchange]:
        return {} if self._kind is None else self._kind.wire

    def define(self) -> None:
        """Print the definitions of the measures of this command."""
        asking = self.asking
        is_one_way = asking.answers == 0
        for name in measures(self.name, is_repeated=asking.is_repeated, is_one_way=is_one_way):
            self._comment(f"{name}: {DEFINITIONS[name]}")

    def hooks(self, target: Target) -> Hooks:
        """What is told of the bytes to and from a target."""
        if not self._targets:
            self._started_ns = self.now_ns()
        self._targets += 1

        def wrote(data: bytes, address: str | None = None) -> None:
            self._tell(target, data, address, is_ours=True)

        def read(data: bytes, address: str | None = None) -> None:
            self._tell(target, data, address, is_ours=False)

        return Hooks(wrote, read)

    def _begin(self, target: Target) -> None:
        """Once for each protocol: what is to be known of it."""
        protocol = _protocol(target)
        if protocol in self._begun:
            return
        self._begun.add(protocol)
        if target.transport.is_stream:
            self._comment(NO_SEGMENTS)
        if target.transport is Transport.TLS:
            self._comment(INSIDE_TLS)
        if (exchange := self._exchanges.get(protocol)) is not None:
            self._comment("How it ends: " * target.transport.is_stream + exchange.ends)

    def _tell(self, target: Target, data: bytes, address: str | None, *, is_ours: bool) -> None:
        self._begin(target)
        elapsed_ns = max(0, self.now_ns() - self._started_ns)
        is_stream = target.transport.is_stream
        act = {
            (True, True): "write to",
            (True, False): "read from",
            (False, True): "datagram to",
            (False, False): "datagram from",
        }[is_stream, is_ours]
        name = readable(str(target))
        if address is not None and address not in (target.host, str(target)):
            name += f" at {readable(address)}"
        kind = "urgent byte" if isinstance(data, UrgentByte) else "byte"
        what = f"{len(data)} {kind}{'s' * (len(data) != 1)}"
        is_end = is_stream and not is_ours and not data
        if is_end:
            act, what = "end of the stream from", "nothing more will come"
        self._comment(f"{milliseconds(elapsed_ns)}: {act} {name} ({target.transport}), {what}")
        if (exchange := self._exchanges.get(_protocol(target))) is not None:
            self._comment(
                exchange.asks if is_ours else exchange.ends if is_end else exchange.answers
            )
        if data:
            most = len(data) if self.asking.verbosity else MOST_SHOWN
            self.err.write(f"{'O' if is_ours else 'I'} {clock(elapsed_ns)}\n")
            self.err.write("".join(f"{line}\n" for line in dump(data[:most])))
            if (rest := len(data) - most) > 0:
                self._comment(f"{rest} more bytes are not shown: -v shows all")
        self.err.flush()

    def _comment(self, text: str) -> None:
        width = COMMENT_WIDTH - 2
        self.err.write("".join(f"# {line}\n" for line in fill(text.split(" "), width)))


def _protocol(target: Target) -> str:
    return "stream" if target.transport.is_stream else "datagram"


def clock(ns: int) -> str:
    """Hours, minutes, seconds and a fraction since the start, as text2pcap reads them."""
    seconds, rest = divmod(ns // 1000, 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours % 24:02d}:{minutes:02d}:{seconds:02d}.{rest:06d}"


def dump(data: bytes) -> Iterator[str]:
    """Lines of offset, bytes and text; that begins with `|`, so that it is never read as hex."""
    for at in range(0, len(data), BYTES_OF_A_LINE):
        part = data[at : at + BYTES_OF_A_LINE]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        yield f"{at:06x}  {part.hex(' '):<{3 * BYTES_OF_A_LINE}} |{text}|"
