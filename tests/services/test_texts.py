"""The services that say or hand back texts: quote, chargen, greet, ack, said; and line ends."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.access.peer import Peer
from sockd.config.build import build
from sockd.config.document import ConfigError, Document
from sockd.config.settings import DaemonSettings, Settings
from sockd.daemon.daemon import Daemon, StartError
from sockd.formats.answers import acknowledge, you_said
from sockd.formats.chargen import PATTERN
from sockd.formats.crlf import CrlfEnds
from sockd.formats.quotes import BUILTIN, builtin_quotes, parse_quotes
from sockd.formats.template import FIELDS, MAX_NAME, Template
from tests.helpers import (
    FOUND,
    HOSTNAME,
    QuickNames,
    connect,
    make_context,
    make_settings,
    make_world,
    open_port,
)
from tests.memory import Loop

# quote


def test_quotations_lie_between_lines_that_are_a_percent_sign_alone() -> None:
    data = b"one\n%\ntwo\nlines, 50 % of two\n%x\n%\n%\n\n%\nthree\n"
    assert parse_quotes(data) == (b"one\r\n", b"two\r\nlines, 50 % of two\r\n%x\r\n", b"three\r\n")


@given(st.lists(st.text("ab %é", min_size=1).filter(lambda line: line.strip(" %")), min_size=1))
def test_a_file_with_crlf_holds_the_same_quotations(quotes: list[str]) -> None:
    data = "\n%\n".join(quotes).encode()
    expected = tuple(quote.encode() + b"\r\n" for quote in quotes)
    assert parse_quotes(data, 10_000) == expected
    assert parse_quotes(data.replace(b"\n", b"\r\n") + b"\r\n%\r\n", 10_000) == expected


def test_a_quotation_of_more_than_512_bytes_is_left_out() -> None:
    fits, too_long = b"x" * 510, b"x" * 511
    assert parse_quotes(too_long + b"\n%\n" + fits + b"\n") == (fits + b"\r\n",)


@pytest.mark.parametrize("data", [b"", b"\n", b"%\n%\n", b" \n%\n\t\r\n", b"x" * 511])
def test_a_file_without_a_quotation_stops_the_start_and_is_named(
    data: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "quotes"
    file.write_bytes(data)
    with pytest.raises(ConfigError, match=re.escape(f"{file}: no quotation of at most 512 bytes")):
        make_context("quote", file=str(file))


def test_a_quotation_file_that_is_not_there_stops_the_start_and_is_named(tmp_path: Path) -> None:
    """Also one that is removed between the look at the configuration and the start."""
    file = tmp_path / "quotes"
    file.write_bytes(b"one\n")
    one = make_settings("quote", file=str(file))
    file.unlink()
    daemon = Daemon(Settings(DaemonSettings(), (one,)), make_world())
    with pytest.raises(StartError, match=f"^quote: {file}: No such file or directory$"):
        daemon.privilegedStartService()


def test_a_quotation_file_that_is_too_large_to_keep_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "large"
    with file.open("wb") as sparse:
        sparse.truncate(16 * 1024 * 1024 + 1)
    with pytest.raises(ConfigError, match="large: larger than 16777216 bytes"):
        make_context("quote", file=str(file))


def test_every_quotation_of_a_file_is_sent_sooner_or_later(tmp_path: Path) -> None:
    file = tmp_path / "quotes"
    file.write_bytes(b"one\n%\ntwo\n%\nthree\n")
    context = make_context("quote", file=str(file))
    found = {connect("quote", context).received for _ in range(50)}
    assert found == {b"one\r\n", b"two\r\n", b"three\r\n"}


def test_the_built_in_quotations_are_all_there() -> None:
    assert len(builtin_quotes()) == len(BUILTIN)


# chargen


def test_the_pattern_is_72_columns_of_95_characters_shifted_by_one_a_line() -> None:
    """RFC 864's example: the printable characters as a ring, each line one character on."""
    lines = PATTERN.split(b"\r\n")
    assert lines.pop() == b""
    assert len(lines) == len(set(lines)) == 95
    ring = bytes(range(32, 127))
    for number, line in enumerate(lines):
        assert line == (ring * 2)[number : number + 72]
    assert lines[94][1:] == lines[0][:71]  # and the ring is closed


def test_a_stream_rotates_without_a_seam() -> None:
    client = connect("chargen", make_context("chargen"), takes=3 * len(PATTERN) + 100)
    assert client.received == (PATTERN * 4)[: 3 * len(PATTERN) + 100]


@given(st.integers(0, 2000))
def test_a_datagram_gets_no_more_than_it_brought_and_at_most_512_bytes(size: int) -> None:
    [answer] = open_port("chargen", make_context("chargen")).ask(bytes(size))
    assert answer == PATTERN[: min(size, 512)]


# greet

PEER = Peer("192.0.2.7", 50_007)


@pytest.mark.parametrize("text", ["{host}", "{}", "{0}", "{name.x}", "{name!r}", "{name:>9}"])
def test_a_field_that_there_is_not_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"unknown field .* there are \{name\}, \{address\}"):
        Template.parse(text)


@pytest.mark.parametrize("text", ["{", "}", "{name", "a } b"])
def test_a_brace_alone_is_a_mistake_that_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="a brace itself is written twice"):
        Template.parse(text)


@given(st.lists(st.one_of(st.sampled_from(FIELDS), st.text("ab{}é "))))
def test_a_template_says_what_is_written_and_the_values_of_its_fields(parts: list[str]) -> None:
    values = {"name": "n", "address": "192.0.2.7", "port": 7, "time": "t"}
    source = "".join(
        f"{{{part}}}" if part in FIELDS else part.replace("{", "{{").replace("}", "}}")
        for part in parts
    )
    template = Template.parse(source)
    filled = template.fill(name="n", address="192.0.2.7", port=7, time="t")
    assert filled.decode() == "".join(str(values.get(part, part)) for part in parts)
    assert template.wants_name == ("name" in parts)


@given(st.text(st.characters(codec="utf-8"), max_size=600))
def test_a_host_name_can_neither_act_on_a_terminal_nor_flood_it(name: str) -> None:
    filled = Template("{name}").fill(name=name, address="", port=0, time="").decode()
    assert len(filled) <= MAX_NAME
    assert not any(
        unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp")
        for character in filled.replace("\t", "")
    )


def greeting(template: str, names: dict[str, str], peer: Peer = PEER) -> bytes:
    loop = Loop()
    host = make_world(loop, names=QuickNames(loop, names))
    client = connect("greet", make_context("greet", host, template=template), peer)
    assert client.is_closed
    return client.received


def test_a_hostile_name_stays_in_its_line() -> None:
    names = {PEER.host: "evil\r\n\x1b[2J\N{RIGHT-TO-LEFT OVERRIDE}{port}"}
    answer = greeting("Hello {name}, {{you}}", names)
    assert answer == b"Hello evil\\x0d\\x0a\\x1b[2J\\u202e{port}, {you}\r\n"


def test_a_greeting_has_address_and_port_of_its_peer() -> None:
    assert greeting("{name} is {address}:{port}", {}) == b"192.0.2.7 is 192.0.2.7:50007\r\n"


def test_a_peer_on_a_unix_socket_is_greeted_by_the_name_of_this_host() -> None:
    loop = Loop()
    context = make_context("greet", make_world(loop), template="{name} {address} {port}")
    local = connect("greet", context, Peer("", 0, uid=1000))
    assert local.received == f"{HOSTNAME} {HOSTNAME} 0\r\n".encode()


def test_the_mistake_in_a_template_is_found_before_the_start() -> None:
    with pytest.raises(ConfigError, match=r"unknown field \{nobody\}"):
        build(Document({"service": {"greet": {"template": "{nobody}"}}}), FOUND, "/run/sockd")


# ack and said


@given(st.lists(st.binary().map(lambda line: line.replace(b"\n", b"")), min_size=1))
def test_each_line_is_acknowledged_by_a_line(lines: list[bytes]) -> None:
    answers = acknowledge(lines).split(b"\r\n")
    if not any(b"\r" in line for line in lines):
        assert answers == [*(b"OK : " + line for line in lines), b""]
    assert acknowledge(lines) == b"".join(acknowledge([line]) for line in lines)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (b"hello\r\n", b"OK : hello\r\n"),
        (b"two\nlines\n", b"OK : two\nlines\r\n"),
        (b"x" * 505, b"OK : " + b"x" * 505 + b"\r\n"),
        (b"x" * 506, b"error: line longer than 505 bytes\r\n"),
    ],
)
def test_a_datagram_is_one_line(question: bytes, answer: bytes) -> None:
    assert open_port("ack", make_context("ack")).ask(question) == [answer]
    assert len(answer) <= 512


@given(st.binary().map(lambda data: data.replace(b"\n", b"").replace(b"\r", b"")), st.binary())
def test_what_was_said_is_the_first_line_and_nothing_of_the_rest(line: bytes, rest: bytes) -> None:
    client = connect("said", make_context("said"))
    client.send(line + b"\r\n" + rest)
    client.send(rest)
    assert client.received == you_said(line) == b"You said:" + line + b"\r\n"
    assert client.saw_end


def test_nothing_said_is_answered_with_nothing() -> None:
    client = connect("said", make_context("said"))
    client.end()
    assert client.received == b""
    assert client.is_closed


# line ends


@given(st.lists(st.text("a\r\n").map(str.encode)))
def test_line_ends_become_crlf_however_the_pieces_are_cut(pieces: list[bytes]) -> None:
    ends = CrlfEnds()
    converted = b"".join([*map(ends.convert, pieces), ends.rest()])
    assert converted == re.sub(rb"\r?\n", b"\r\n", b"".join(pieces))
    assert ends.rest() == b""
