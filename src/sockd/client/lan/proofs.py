"""Questions whose answers prove that a service is there, and what they prove.

A proof looks at what has come so far: yes, no, or (None) more has to come. A question bears a token
where the answer must have it in it: then it is known which question was answered.
"""

from __future__ import annotations

import re
from binascii import crc32
from collections.abc import Callable
from hashlib import blake2b

from attrs import frozen

from sockd.client.targets import Transport
from sockd.formats import ports
from sockd.formats.answers import acknowledges, is_acknowledgement, numbered, was_said
from sockd.formats.chargen import BrokenPattern, Follower
from sockd.formats.chat.events import Code, unpack
from sockd.formats.chat.hello import NONCE_BYTES, Hello, Welcome
from sockd.formats.factors import are_factors
from sockd.formats.said import MOST_QUOTE, control_character

Proof = Callable[[bytes, bytes], bool | None]
"""Gets the token and what has come."""

MOST_ANSWER = 2_048
"""Bytes of an answer that are looked at: a quotation of 512, or a greeting and a line."""
MOST_LINE = 512
"""Bytes of a line that can be a time of day or a greeting; real ones have at most 100."""
LEAST_PATTERN = 16
"""Characters of the rotating pattern that are no accident; RFC 864 lets a datagram have fewer."""
_NUMBERS = 1_000_000
"""What is to be factored is below that, and 2 or more: any server is quick with it."""
_CHARGEN_REQUEST = b"?" * 74
"""As long as a line, for sockd's answers are no longer than questions; in no way like the pattern,
so that an echo is told from it."""
_TIME_OF_DAY = re.compile(rb"(?<!\d)[0-2]?\d:[0-5]\d(?!\d)")
_LINE_END = b"\r\n"


@frozen(kw_only=True)
class Question:
    """What to send to a port, and what the answer must be."""

    service: str
    transport: Transport
    port: int
    request: Callable[[bytes], bytes]
    """For a token of letters and digits."""
    proof: Proof
    bears_token: bool = False


def _nothing(_: bytes) -> bytes:
    return b""


def _first_line(data: bytes) -> bytes | None:
    """The first line, without its end; None where its end has not come. Too long: nothing."""
    line, end, _ = data.partition(b"\n")
    if not end and len(data) <= MOST_LINE:
        return None
    return line.removesuffix(b"\r") if end and len(line) <= MOST_LINE else b""


def is_text(data: bytes) -> bool:
    """Whether it is a text for people: something to see, and no control characters but white space.

    In any encoding that has ASCII in it: old servers know no UTF-8.
    """
    return bool(data.strip()) and control_character(data) is None


def says_time_of_day(_: bytes, data: bytes) -> bool | None:
    """A text with a time of day in it, as 17:37; RFC 867 leaves the rest to the server."""
    text = data.lstrip(_LINE_END)  # those of NIST begin with a line end
    if len(data) > MOST_LINE or (text and not is_text(text)):
        return False
    if _TIME_OF_DAY.search(text):
        return True
    return False if b"\n" in text else None


def says_seconds(_: bytes, data: bytes) -> bool | None:
    """Four bytes, whatever they are (RFC 868)."""
    return None if len(data) < 4 else len(data) == 4


def says_quote(_: bytes, data: bytes) -> bool | None:
    """A text of at most 512 bytes (RFC 865)."""
    return None if not data else len(data) <= MOST_QUOTE and is_text(data)


def says_pattern(_: bytes, data: bytes) -> bool | None:
    """The rotating pattern (RFC 864), from whichever of its lines."""
    follower = Follower()
    try:
        follower.feed(data)
    except BrokenPattern:
        return False
    return True if follower.size >= LEAST_PATTERN else None


def says_token(token: bytes, data: bytes) -> bool | None:
    """The question itself."""
    return _is(token, data)


def says_token_line(token: bytes, data: bytes) -> bool | None:
    """The question itself, a line."""
    return _is(token + _LINE_END, data)


def says_reversed(token: bytes, data: bytes) -> bool | None:
    """The line backwards, and no other order: an echo is none."""
    line = _first_line(data)
    return None if line is None else line == token[::-1]


def says_numbered_reversed(token: bytes, data: bytes) -> bool | None:
    """The number, and the text backwards."""
    return _is(_numbered(token[::-1]), data)


def number_of(token: bytes) -> bytes:
    """A number to be factored: another one for another token."""
    return b"%d" % (2 + crc32(token) % (_NUMBERS - 2))


def says_factors(token: bytes, data: bytes) -> bool | None:
    """The prime factors of the token's number."""
    line = _first_line(data)
    return None if line is None else are_factors(number_of(token), line)


def says_ok(token: bytes, data: bytes) -> bool | None:
    """The acknowledgement of the token's line; over a connection a greeting may come before."""
    line = _first_line(data)
    if line is not None and not is_acknowledgement(line):
        if not is_text(line):
            return False
        line = _first_line(data.partition(b"\n")[2])
    return None if line is None else acknowledges(token, line)


def says_said(token: bytes, data: bytes) -> bool | None:
    """What was said."""
    line = _first_line(data)
    return None if line is None else was_said(token, line)


def says_line(_: bytes, data: bytes) -> bool | None:
    """A line of text, unasked: all that can be known of a greeting whose text can be set."""
    line = _first_line(data)
    return None if line is None else is_text(line)


def chat_hello(token: bytes) -> bytes:
    """What a chat server answers: an old one with an error, a new one with the token's nonce."""
    return Hello(_nonce(token)).write()


def says_chat(token: bytes, data: bytes) -> bool:
    """A chat server's answer to the token's hello."""
    event = unpack(data)
    if event is None:
        return False
    if event.code == Code.WELCOME:
        welcome = Welcome.read(event.text)
        return welcome is not None and welcome.nonce == _nonce(token)
    return event.code == Code.ERROR and is_text(event.text)


def _nonce(token: bytes) -> bytes:
    return blake2b(token, digest_size=NONCE_BYTES).digest()


def _is(wanted: bytes, data: bytes) -> bool | None:
    if data == wanted:
        return True
    return None if wanted.startswith(data) else False


def _numbered(token: bytes) -> bytes:
    return numbered(1, token)


def _line_of(token: bytes) -> bytes:
    return token + _LINE_END


_Row = tuple[str, tuple[int, ...], Callable[[bytes], bytes], Proof, bool]
_OVER_UDP: tuple[_Row, ...] = (
    ("echo", (ports.ECHO, 7), bytes, says_token, True),
    ("daytime", (ports.DAYTIME, 13), _nothing, says_time_of_day, False),
    ("quote", (ports.QUOTE, 17), _nothing, says_quote, False),
    ("time", (ports.TIME, 37), _nothing, says_seconds, False),
    ("chargen", (ports.CHARGEN, 19), lambda _: _CHARGEN_REQUEST, says_pattern, False),
    ("reverse", (ports.REVERSE_DATAGRAMS,), _numbered, says_numbered_reversed, True),
    ("ack", (ports.ACK,), bytes, says_ok, True),
    ("factor", (ports.FACTOR,), number_of, says_factors, True),
    ("chat", (ports.CHAT, ports.CHAT_CONTROL), chat_hello, says_chat, True),
)
_OVER_TCP: tuple[_Row, ...] = (
    ("echo", (ports.ECHO, 7), _line_of, says_token_line, True),
    ("daytime", (ports.DAYTIME, 13), _nothing, says_time_of_day, False),
    ("quote", (ports.QUOTE, 17), _nothing, says_quote, False),
    ("time", (ports.TIME, 37), _nothing, says_seconds, False),
    ("chargen", (ports.CHARGEN, 19), _nothing, says_pattern, False),
    ("reverse", (ports.REVERSE,), _line_of, says_reversed, True),
    ("factor", (ports.FACTOR,), lambda token: _line_of(number_of(token)), says_factors, True),
    ("ack", (ports.ACK,), _line_of, says_ok, True),
    ("said", (ports.SAID,), _line_of, says_said, True),
    ("greet", (ports.GREET,), _nothing, says_line, False),
    ("welcome", (ports.WELCOME,), _nothing, says_line, False),
    ("fortune", (ports.FORTUNE,), _nothing, says_line, False),
)


def _questions(transport: Transport, rows: tuple[_Row, ...]) -> tuple[Question, ...]:
    return tuple(
        Question(
            service=service,
            transport=transport,
            port=port,
            request=request,
            proof=proof,
            bears_token=bears_token,
        )
        for service, service_ports, request, proof, bears_token in rows
        for port in service_ports
    )


DATAGRAM_QUESTIONS = _questions(Transport.UDP, _OVER_UDP)
"""One small datagram for each service that answers one: nobody can see that discard is there."""
STREAM_QUESTIONS = _questions(Transport.TCP, _OVER_TCP)
"""For a connection: some services speak first. Nobody can tell discard from a port that is open."""
