"""What each kind of service is asked, and what it answers: one row a kind.

The contract tests run these rows over every transport that a kind declares. A kind that is not in
`STREAMS`, `DATAGRAMS` or `SENDERS`, where it should be, fails with its name.
"""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Callable

from sockd.formats.http import MAX_HEAD, Request, Response, pack, plain
from sockd.formats.quotes import builtin_quotes
from sockd.net.context import NO_METRICS
from sockd.testing import HOSTNAME, NOON, DatagramSample, StreamSample, speaker, teller
from sockd.testing.samples import BIG, LARGEST, Answer

CTIME = time.ctime(NOON).encode()
TOO_LONG = b"x" * (16 * 1024 + 1) + b"\n"
TOO_LONG_ANSWER = b"error: line longer than 16384 bytes\r\n"
ACK_GREETING = b"Hello client how are you\r\n"
GREETING = b"Hello there, localhost, it's now " + CTIME + b"\r\n"
FILLED = b"Sockets are where programs on\r\ntwo machines meet and talk.\r\n"
TIME = struct.pack(">I", int(NOON) + 2_208_988_800)

TRAVESTY_GREETING = b"100 sockd travesty: DATA, GENERATE n, RESET, BYE\r\n"
TRAVESTY_COMMANDS = b"500 commands: DATA, GENERATE n, RESET, BYE, FEATURES\r\n"
TRAVESTY_ANSWERS = (
    TRAVESTY_GREETING + b"205 forgotten\r\n500 no words are known: send a text with DATA first\r\n"
)

LOG_IN = b"\x00\x0aplease log in"
"""An ERROR of the chat."""
FRAMED_LOG_IN = struct.pack(">H", len(LOG_IN)) + LOG_IN


def is_quote(got: bytes) -> bool:
    return got in builtin_quotes()


def is_chat_error(got: bytes) -> bool:
    return got.startswith(b"\x00\x0a") and len(got) > 2


def reported(got: bytes) -> tuple[bytes, bytes]:
    """The ordinary data and the urgent bytes that reports of `urgent` tell of."""
    normal, urgent = b"", b""
    for line in got.split(b"\r\n")[:-1]:
        found = re.fullmatch(rb"got (\d+) bytes of normal data: (.*)", line, re.S)
        if found is None:
            byte = line.removeprefix(b"got 1 byte of urgent data: ")
            assert byte != line, line
            urgent += unescaped(byte)
            continue
        data = unescaped(found[2])
        # what was not shown of it is a line end
        normal += data + {0: b"", 1: b"\n", 2: b"\r\n"}[int(found[1]) - len(data)]
    return normal, urgent


def unescaped(text: bytes) -> bytes:
    """What was escaped by `sockd.formats.text`."""

    def byte(found: re.Match[bytes]) -> bytes:
        one = found[1]
        if one == b"\\":
            return one
        if one[:1] == b"x":
            return bytes([int(one[1:], 16)])
        return chr(int(one[1:], 16)).encode()

    return re.sub(rb"\\(\\|x..|u.{4}|U.{8})", byte, text)


def tells_of(data: bytes) -> Callable[[bytes], bool]:
    """Reports of this data, in whichever reads it came."""
    return lambda got: reported(got) == (data, b"")


def is_chargen(got: bytes) -> bool:
    """The pattern from its beginning, by the words of RFC 864."""
    ring = bytes(range(33, 127)) + b" "
    lines = (got.count(b"\n") // 2 + 2) * 2
    start = len(ring) - 1
    whole = b"".join(
        bytes(ring[(start + row + column) % 95] for column in range(72)) + b"\r\n"
        for row in range(lines)
    )
    return whole.startswith(got)


STREAMS = {
    "ack": StreamSample(
        request=b"hello\r\nhow are you\n",
        answer=ACK_GREETING + b"OK : hello\r\nOK : how are you\r\n",
        finish="open",
        with_trailing=ACK_GREETING + b"OK : hello\r\nOK : how are you\r\nOK : and more\r\n",
        oversize=b"first\n" + TOO_LONG + b"never\n",
        of_oversize=ACK_GREETING + b"OK : first\r\n" + TOO_LONG_ANSWER,
        of_nothing=ACK_GREETING,
    ),
    "chargen": StreamSample(
        answer=is_chargen,
        finish="endless",
        with_trailing=is_chargen,
        of_oversize=is_chargen,
        of_nothing=is_chargen,
    ),
    "chat": StreamSample(
        request=b"\x00\x02\x00\x00\x00\x07\x00\x5ahello",
        answer=FRAMED_LOG_IN * 2,
        finish="open",
        trailing=b"\x00\x02\x00\xa0",
        with_trailing=FRAMED_LOG_IN * 3,
        oversize=b"\x00\x02\x00\x00\x04\x01",
        of_oversize=FRAMED_LOG_IN,
        table={"listen_multicast": ["udp:0:interface=127.0.0.1"]},
    ),
    "daytime": speaker(CTIME + b"\r\n"),
    "discard": StreamSample(
        request=b"into the void\n",
        answer=b"",
        finish="open",
        with_trailing=b"",
        of_oversize=b"",
    ),
    "echo": StreamSample(
        request=b"anybody home?\n\0\xff",
        answer=b"anybody home?\n\0\xff",
        finish="open",
        with_trailing=b"anybody home?\n\0\xffand more",
        of_oversize=BIG,
    ),
    "exec": StreamSample(
        request=b"through a program\n\0\xff",
        answer=b"through a program\n\0\xff",
        finish="open",
        with_trailing=b"through a program\n\0\xffand more",
        of_oversize=BIG,
        table={"command": ["cat"]},
    ),
    "factor": StreamSample(
        request=b"42\r\n360\n",
        answer=b"2 3 7\r\n2 2 2 3 3 5\r\n",
        finish="open",
        trailing=b"7",
        with_trailing=b"2 3 7\r\n2 2 2 3 3 5\r\n7\r\n",
        oversize=b"6\n" + TOO_LONG + b"42\n",
        of_oversize=b"2 3\r\n" + TOO_LONG_ANSWER,
    ),
    "greet": speaker(GREETING),
    "quote": speaker(is_quote),
    "reverse": StreamSample(
        request="stressed\r\nKraków\n".encode(),
        answer="desserts\r\nwókarK\r\n".encode(),
        finish="open",
        with_trailing="desserts\r\nwókarK\r\nerom dna\r\n".encode(),
        oversize=b"ab\n" + TOO_LONG + b"cd\n",
        of_oversize=b"ba\r\n" + TOO_LONG_ANSWER,
    ),
    "metrics": StreamSample(
        request=b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
        answer=pack(Response(200, b"# EOF\n", NO_METRICS), NOON, Request("GET", "/metrics")),
        finish="open",
        with_trailing=pack(Response(200, b"# EOF\n", NO_METRICS), NOON, Request("GET", "/")),
        oversize=b"GET /metrics HTTP/1.1\r\nHost: " + b"x" * MAX_HEAD,
        of_oversize=pack(plain(431), NOON),
    ),
    "said": StreamSample(
        request=b"Hello there!\n",
        answer=b"You said:Hello there!\r\n",
        finish="closed",
        with_trailing=b"You said:Hello there!\r\n",
        oversize=TOO_LONG,
        of_oversize=TOO_LONG_ANSWER,
    ),
    "time": speaker(TIME),
    "urgent": StreamSample(
        request=b"normal data\n\0\xff",
        answer=tells_of(b"normal data\n\0\xff"),
        finish="end",
        with_trailing=tells_of(b"normal data\n\0\xffand more"),
        of_oversize=tells_of(BIG),
    ),
    "travesty": StreamSample(
        request=b"RESET\r\ngenerate 3\n",
        answer=TRAVESTY_ANSWERS,
        finish="open",
        with_trailing=TRAVESTY_ANSWERS + TRAVESTY_COMMANDS,
        oversize=b"RESET\n" + TOO_LONG + b"never\n",
        of_oversize=TRAVESTY_GREETING + b"205 forgotten\r\n500 line longer than 16384 bytes\r\n",
        of_nothing=TRAVESTY_GREETING,
    ),
    "wrap": StreamSample(
        request=b"Sockets are where programs on two machines meet and talk.\n",
        answer=FILLED,
        finish="end",
        with_trailing=FILLED + b"and more\r\n",
        oversize=b"x" * (256 * 1024 + 1),
        of_oversize=b"error: text longer than 131072 bytes\r\n",
    ),
}


DATAGRAMS = {
    "ack": DatagramSample(
        questions={b"hello\r\n": b"OK : hello\r\n", b"hello": b"OK : hello\r\n", b"": b"OK : \r\n"},
        of_largest=b"error: line longer than 505 bytes\r\n",
    ),
    "chargen": DatagramSample(
        questions={b"": b"", b"five!": is_chargen, b"x" * 600: is_chargen},
        of_largest=lambda got: len(got) == 512 and is_chargen(got),
    ),
    "chat": DatagramSample(
        questions={b"": None, b"\0": None, b"\0\0": LOG_IN, b"\0\x14a b": is_chat_error},
        of_largest=LOG_IN,
        table={
            "legacy": "everywhere",
            "listen_multicast": ["udp:0:interface=127.0.0.1"],
        },  # in memory nobody is on a link
    ),
    "daytime": teller(CTIME + b"\r\n"),
    "discard": DatagramSample(questions={b"": None, b"into the void": None}, of_largest=None),
    "echo": DatagramSample(
        questions={b"": b"", b"anybody home?": b"anybody home?", b"\0\xff\r\n": b"\0\xff\r\n"},
        of_largest=b"a" * LARGEST,
    ),
    "factor": DatagramSample(
        questions={b"42\n": b"2 3 7\r\n", b"7": b"7\r\n", b"": b"error: not an integer\r\n"},
        of_largest=b"error: not an integer\r\n",
    ),
    "localtime": DatagramSample(
        questions={
            b" ": CTIME,
            b"": CTIME,
            b"UTC": b"Sat Jun 17 18:06:14 2000",
            b"Europe/Warsaw\n": b"Sat Jun 17 20:06:14 2000",
            b"Europe/Atlantis": b"error: unknown time zone Europe/Atlantis",
        },
        of_largest=b"error: unknown time zone " + b"a" * 97 + b"...",
    ),
    "quote": teller(is_quote),
    "reverse": DatagramSample(
        questions={b"stressed": b"desserts", b"42: abc": b"42: cba", b"": b"", b"a\nb": b"b\na"},
        of_largest=b"a" * LARGEST,
    ),
    "time": teller(TIME),
}

SENDERS: dict[str, Answer] = {
    "beacon": time.ctime(NOON - NOON % 15 + 15).encode() + b"/" + HOSTNAME.encode(),
}
"""The first datagram of each kind that sends unasked, after `NOON`."""
