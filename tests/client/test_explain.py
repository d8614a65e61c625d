"""`--explain`: each datagram, write and read, in a form that text2pcap reads, and a sentence."""

from __future__ import annotations

import io
import re
import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.client.asking import Asking
from sockd.client.definitions import DEFINITIONS, measures
from sockd.client.explain import (
    COMMENT_WIDTH,
    INSIDE_TLS,
    MOST_SHOWN,
    NO_SEGMENTS,
    clock,
    dump,
    explainer,
    find_kind,
)
from sockd.client.targets import Target, Transport
from sockd.service import find
from tests.processes import succeed

UDP = Target(Transport.UDP, host="localhost", port=10013)
TCP = Target(Transport.TCP, host="localhost", port=10013)
TLS = Target(Transport.TLS, host="localhost", port=10013)
KINDS = sorted(find().kinds)
LINE = re.compile(r"([0-9a-f]{6})  ((?:[0-9a-f]{2} ){1,16}) *\|(.{1,16})\|")
TIME = re.compile(r"[IO] \d\d:\d\d:\d\d\.\d{6}")


class Shown:
    """An explainer, and what it has printed; each event is a millisecond after the last."""

    def __init__(self, kind: str = "daytime", *, count: int = 1, verbosity: int = 0) -> None:
        self.text = io.StringIO()
        self.now_ns = -1_000_000
        asking = Asking(count=count, verbosity=verbosity)
        self.hooks = explainer(kind, asking, err=self.text, now_ns=self.later)
        self.head = self.text.getvalue()

    def later(self) -> int:
        self.now_ns += 1_000_000
        return self.now_ns

    def wrote(self, data: bytes, target: Target = UDP, address: str | None = None) -> None:
        hook = self.hooks(target).wrote
        assert hook is not None
        hook(data, address)

    def read(self, data: bytes, target: Target = UDP, address: str | None = None) -> None:
        hook = self.hooks(target).read
        assert hook is not None
        hook(data, address)

    @property
    def lines(self) -> list[str]:
        return self.text.getvalue().removeprefix(self.head).splitlines()

    @property
    def said(self) -> str:
        """The comments as running text."""
        return " ".join(line[2:] for line in self.lines if line.startswith("# "))


def test_a_datagram_is_shown_with_time_direction_peer_length_bytes_and_a_sentence() -> None:
    shown = Shown()
    shown.wrote(b"\n", address="127.0.0.1")
    shown.read(b"Sat Jun 17 18:06:14 2000\r\n", address="127.0.0.1")
    assert shown.lines == [
        "# Nothing ends: each datagram stands alone, and either way it may be lost.",
        "# 1.00 ms: datagram to localhost:10013 at 127.0.0.1 (udp), 1 byte",
        "# Any datagram asks, an empty one too (RFC 867).",
        "O 00:00:00.001000",
        f"000000  0a{' ' * 47}|.|",
        "# 2.00 ms: datagram from localhost:10013 at 127.0.0.1 (udp), 26 bytes",
        "# One datagram with the line: RFC 867 fixes no form of it, here it is C's ctime",
        "# and CRLF.",
        "I 00:00:00.002000",
        "000000  53 61 74 20 4a 75 6e 20 31 37 20 31 38 3a 30 36  |Sat Jun 17 18:06|",
        f"000010  3a 31 34 20 32 30 30 30 0d 0a{' ' * 20}|:14 2000..|",
    ]


def test_of_tcp_it_is_said_once_that_writes_and_reads_are_no_segments() -> None:
    shown = Shown()
    for _ in range(2):
        shown.read(b"one", TCP)
        shown.read(b"two", TCP)
    assert shown.said.count(NO_SEGMENTS) == 1
    assert "read from localhost:10013 (tcp), 3 bytes" in shown.said
    assert INSIDE_TLS not in shown.said


def test_of_tls_it_is_said_that_the_wire_has_other_bytes() -> None:
    shown = Shown()
    shown.wrote(b"one", TLS)
    assert INSIDE_TLS in shown.said


def test_the_end_of_a_stream_is_told_with_who_ends_it() -> None:
    shown = Shown()
    shown.read(b"", TCP)
    assert "end of the stream from localhost:10013 (tcp), nothing more will come" in shown.said
    assert shown.said.endswith("The service closes when the line is sent.")


def test_an_empty_datagram_has_no_dump() -> None:
    shown = Shown()
    shown.wrote(b"")
    assert "datagram to localhost:10013 (udp), 0 bytes" in shown.said
    assert all(line.startswith("# ") for line in shown.lines)


def test_long_data_is_cut_and_what_is_left_is_counted_unless_verbose() -> None:
    data = bytes(MOST_SHOWN + 44)
    shown, verbose = Shown(), Shown(verbosity=1)
    for one in (shown, verbose):
        one.wrote(data)
    assert sum(bool(LINE.fullmatch(line)) for line in shown.lines) == MOST_SHOWN // 16
    assert "44 more bytes are not shown: -v shows all" in shown.said
    assert sum(bool(LINE.fullmatch(line)) for line in verbose.lines) == MOST_SHOWN // 16 + 3
    assert "more bytes" not in verbose.said


def test_names_and_addresses_are_escaped_and_nothing_but_the_dump_is_no_comment() -> None:
    shown = Shown()
    target = Target(Transport.UDP, host="ho\x1b[2Jst\n000000 00", port=7)
    shown.wrote(b"\x1b[2J\n\xe2\x80\xae", target, "\u202e\x07")
    assert all(line.isprintable() for line in shown.lines)
    for line in shown.lines:
        assert line.startswith("# ") or TIME.fullmatch(line) or LINE.fullmatch(line), line


def test_a_kind_that_is_unknown_is_shown_without_sentences() -> None:
    for name in ("", "no_such_kind", "../echo", "__init__", "echo.kind"):
        assert find_kind(name) is None
        shown = Shown(name)
        shown.wrote(b"data")
        assert shown.said == "1.00 ms: datagram to localhost:10013 (udp), 4 bytes"


@pytest.mark.parametrize("name", KINDS)
def test_the_sentences_are_those_of_the_service(name: str) -> None:
    kind = find_kind(name)
    assert kind is not None
    for protocol, target in (("stream", TCP), ("datagram", UDP)):
        if protocol in kind.wire:
            shown = Shown(name)
            shown.wrote(b"1", target)
            shown.read(b"2", target)
            exchange = kind.wire[protocol]
            for sentence in (exchange.asks, exchange.answers, exchange.ends):
                assert sentence in shown.said


def test_services_are_imported_to_explain_only_and_bring_no_reactor() -> None:
    script = (
        "import sys, sockd.client.explain as explain\n"
        "print([name for name in sys.modules if name.startswith('sockd.service')])\n"
        "explain.find_kind('daytime')\n"
        "print('sockd.services.daytime' in sys.modules, 'twisted.internet.reactor' in sys.modules)"
    )
    assert succeed(sys.executable, "-c", script) == "[]\nTrue False\n"


# definitions


def test_the_measures_of_a_command_are_defined_at_the_start() -> None:
    assert "throughput" not in measures("echo", is_repeated=True)
    assert "jitter" not in measures("daytime", is_repeated=True)
    for kind, count in (("echo", 1), ("daytime", 3), ("daytime", 1), ("chargen", 1), ("time", 1)):
        head = Shown(kind, count=count).head
        text = " ".join(line.removeprefix("# ") for line in head.splitlines())
        names = measures(kind, is_repeated=count > 1)
        assert text == " ".join(f"{name}: {DEFINITIONS[name]}" for name in names)
        assert max(map(len, head.splitlines())) <= COMMENT_WIDTH


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_definition_is_a_few_sentences_and_every_measure_is_of_some_command(name: str) -> None:
    text = DEFINITIONS[name]
    assert text.isprintable()
    assert text.endswith(".")
    assert len(text) <= 400
    assert any(name in measures(kind, is_repeated=True) for kind in KINDS)


# the form


@given(st.binary(min_size=1, max_size=100))
def test_a_dump_can_be_read_back(data: bytes) -> None:
    read = b""
    for line in dump(data):
        parts = LINE.fullmatch(line)
        assert parts is not None, line
        assert int(parts[1], 16) == len(read)
        read += bytes.fromhex(parts[2])
    assert read == data


def test_times_are_of_hours_minutes_and_seconds() -> None:
    assert clock(0) == "00:00:00.000000"
    assert clock(3_723_004_005_999) == "01:02:03.004005"
    assert clock(90_000_000_000_000) == "01:00:00.000000"


def packets(text: str, tmp_path: Path, *options: str) -> list[tuple[int, bytes]]:
    """What text2pcap makes of a dump: microseconds and bytes of each packet."""
    source, made = tmp_path / "dump.txt", tmp_path / "dump.pcap"
    source.write_text(text)
    argv = ["text2pcap", "-q", "-F", "pcap", "-D", "-t", "%H:%M:%S.%f", *options]
    succeed(*argv, str(source), str(made))
    data, found = made.read_bytes()[24:], []
    while data:
        seconds, micros, size, _ = struct.unpack("<IIII", data[:16])
        found.append((seconds * 1_000_000 + micros, data[16 : 16 + size]))
        data = data[16 + size :]
    return found


def test_text2pcap_reads_every_byte_and_time_and_nothing_else(tmp_path: Path) -> None:
    sent = [
        bytes(range(256)),
        b"de ad be ef 00 11 22 33",
        b"|00 01|\r\n#TEXT2PCAP x\r\n000000 00",
        b"\0" * 17,
        bytes(MOST_SHOWN + 1)[:MOST_SHOWN],
    ]
    shown = Shown("echo", count=2)
    for number, data in enumerate(sent):
        (shown.wrote if number % 2 else shown.read)(data)
        shown.wrote(b"")
    # as Human tells things beside a dump
    shown.text.write("# sock: 000000 00 01 02\n# 000000 03\n")
    found = packets(shown.text.getvalue(), tmp_path, "-l", "147")
    assert [data for _, data in found] == sent
    assert [at - found[0][0] for at, _ in found] == [2_000 * number for number in range(len(sent))]


def test_text2pcap_tells_directions_apart(tmp_path: Path) -> None:
    shown = Shown()
    shown.wrote(b"question")
    shown.read(b"answer")
    (_, asked), (_, answered) = packets(shown.text.getvalue(), tmp_path, "-u", "1000,13")
    assert struct.unpack("!HH", asked[34:38]) == struct.unpack("!HH", answered[34:38])[::-1]
