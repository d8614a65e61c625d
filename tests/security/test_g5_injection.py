"""G5: text from the network never reaches a log, a terminal or an answer of ours unescaped."""

from __future__ import annotations

import contextlib
import json
import socket
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from twisted.logger import LogLevel

from sockd.formats.faults import ERROR_CHARACTERS, error_line
from sockd.formats.template import Template
from sockd.ops.log_lines import FORMATS
from sockd.services.localtime import local_time
from tests.daemons import receive_all, two_hosts
from tests.processes import wait_until
from tests.security.hosts import Watched, add_addresses, connect, hosts_file, udp

SURROGATES = range(0xD800, 0xE000)
ALL = [chr(code) for code in range(0x110000) if code not in SURROGATES]
"""Every character that there is, and could be."""
ACTING = [
    one
    for one in ALL
    if unicodedata.category(one) in ("Cc", "Cf", "Zl", "Zp") or ord(one) & 0xFFFE == 0xFFFE
]
"""The characters that do something where they are shown."""
HARMFUL = {one for one in [*ACTING, *map(chr, SURROGATES)] if one != "\t"}
"""What may not be in what is shown: a tab may."""
SHOWN = 20
"""Characters in one text: escaped they still fit what is shown of it."""
RUBBISH = [Random(seed).randbytes(60) for seed in range(300)]


def harmful(text: str) -> set[str]:
    """The characters of a text that a terminal or a reader of lines would act on."""
    return set(text) & HARMFUL


def chunks(characters: list[str], size: int) -> Iterator[str]:
    """All of the characters, so many at a time."""
    for start in range(0, len(characters), size):
        yield "".join(characters[start : start + size])


def texts() -> list[bytes]:
    """What a peer could send in a text: all that acts, and bytes that are no text at all."""
    acting = [chunk.encode() for chunk in chunks(ACTING, SHOWN)]
    bare = [bytes([byte]) for byte in range(256)]
    surrogates = ["\ud800\udfff\udbff".encode("utf-8", "surrogatepass")]
    return acting + bare + surrogates + RUBBISH


def check_log(daemon: Watched) -> None:
    """No line of the log has in it what a terminal acts on, raw or in the fields of its JSON."""
    for line in daemon.log.read_bytes().split(b"\n"):
        text = line.decode()
        assert not harmful(text), text
        if text.startswith("{"):
            for value in json.loads(text).values():
                assert not harmful(str(value)), text


@pytest.mark.parametrize("form", FORMATS)
def test_a_log_line_shows_all_of_unicode_harmless(form: str) -> None:
    """Whatever the field of an event holds, its line is one line, with nothing in it that acts."""
    for chunk in chunks(ALL, 300):
        event: dict[str, Any] = {
            "log_time": 0.0,
            "log_level": LogLevel.warn,
            "log_format": "{service}: {peer}: {reason}",
            "event": "failed",
            "service": "echo",
            "peer": chunk,
            "reason": chunk,
        }
        line = FORMATS[form].line(event)
        assert line.endswith("\n")
        assert not harmful(line[:-1])
        if form == "json":
            assert not any(harmful(str(value)) for value in json.loads(line).values())


def test_an_error_line_shows_all_of_unicode_harmless() -> None:
    """An `error: ` line may quote what was sent: one line of at most 200 characters."""
    for chunk in chunks(ALL, 300):
        line = error_line(chunk).decode()
        assert line.endswith("\r\n")
        assert not harmful(line[:-2])
        assert len(line) <= len("error: ") + ERROR_CHARACTERS + 2


def test_what_is_harmful_is_known() -> None:
    """Controls (C1 too), separators, and everything that turns the order of what is shown."""
    assert set("\x00\x07\x1b\x7f\x80\x85\x9b\x9f\u2028\u2029") <= HARMFUL
    assert set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e") <= HARMFUL
    assert set("\u2066\u2067\u2068\u2069\ufeff\ud800\U000e0041") <= HARMFUL
    assert not HARMFUL & set("\t abc\\ä漢")


def test_an_unknown_zone_is_shown_harmless() -> None:
    """localtime shows the name that it does not know: any name."""
    for text in [*(chunk.encode() for chunk in chunks(ALL, 100)), *texts()]:
        answer = local_time(text, 0.0).decode()
        assert not harmful(answer)
        assert len(answer) <= len("error: unknown time zone ") + 100


def test_a_name_in_a_greeting_is_shown_harmless() -> None:
    """The name of a host comes from whoever holds its address."""
    for chunk in chunks(ALL, 200):
        line = Template("Hello {name}").fill(name=chunk, address="::", port=1, time="").decode()
        assert not harmful(line)


CONFIG = """
[service.reverse]
listen = ["tcp:0:interface=127.0.0.1", "udp:0:interface=127.0.0.1"]
[service.ack]
listen = ["tcp:0:interface=127.0.0.1", "udp:0:interface=127.0.0.1"]
[service.factor]
listen = ["tcp:0:interface=127.0.0.1", "udp:0:interface=127.0.0.1"]
[service.said]
listen = ["tcp:0:interface=127.0.0.1"]
[service.wrap]
listen = ["tcp:0:interface=127.0.0.1"]
[service.localtime]
listen = ["udp:0:interface=127.0.0.1"]
[service.proxied]
kind = "reverse"
listen = ["haproxy:tcp:0:interface=127.0.0.1:proxies=127.0.0.1/32"]
[service.loud]
kind = "exec"
command = ["/bin/sh", "-c", "cat >&2"]
listen = ["tcp:0:interface=127.0.0.1"]
"""


class TextLog(Watched):
    """A daemon whose log is for people."""

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """Only whether it has started: the table is printed once everything listens."""
        return [{}] if name == "started" and "^C stops it" in self.text() else []

    def address(self, service: str, transport: str, index: int = 0) -> tuple[str, int]:
        """Where an instance listens: host and port, as the table says it."""
        name = ""
        for line in self.text().splitlines():
            columns = line.split()
            if columns and not line.startswith(" "):
                name = columns.pop(0)
            if name == service and columns[0] in (transport, f"haproxy:{transport}"):
                host, _, port = columns[1].rpartition(":")
                return host, int(port)
        raise AssertionError(f"no {service} over {transport} in:\n{self.text()}")


def converse(address: tuple[str, int], data: bytes) -> bytes:
    """Send it all, and take what comes: some services have heard enough before the end."""
    answer = b""
    with contextlib.suppress(OSError), socket.create_connection(address, 10) as sock:
        with contextlib.suppress(OSError):
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        while part := sock.recv(65_536):
            answer += part
    return answer


def ask_everybody(daemon: Watched) -> None:
    """Send all that is nasty to every service, and look at the `error: ` lines that come back."""
    for service in ("reverse", "ack", "factor", "said", "wrap", "proxied"):
        for ending in (b"\n", b"\r\n", b""):
            data = ending.join(texts()) if ending else b"".join(texts()) * 10
            answer = converse(daemon.address(service, "tcp"), data)
            for line in answer.split(b"\r\n"):
                if line.startswith(b"error: "):
                    assert not harmful(line.decode()), line
    for text in [b"1.2.3.4", b"::1%lo", b"999.1.1.1", *texts()]:
        header = b"PROXY TCP4 %s 127.0.0.1 50000 7\r\n" % text
        converse(daemon.address("proxied", "tcp"), header + b"abc\n")
    for service in ("reverse", "ack", "factor", "localtime"):
        with udp("") as sock:
            sock.connect(daemon.address(service, "udp"))
            for text in texts():
                sock.send(text)
                answer = sock.recv(65_535)
                if answer.startswith(b"error: "):
                    assert not harmful(answer.removesuffix(b"\r\n").decode()), answer
    for text in [b"".join(texts())[start : start + 900] for start in range(0, 4500, 900)]:
        assert converse(daemon.address("loud", "tcp"), text) == b""


def test_json_log_lines_are_harmless(tmp_path: Path) -> None:
    """All that is nasty, sent to every service: the log's lines are JSON, and act on nothing."""
    with Watched(tmp_path, CONFIG) as daemon:
        ask_everybody(daemon)
        wait_until(lambda: len(daemon.events("child-said")) == 5, "what the programs said")
        assert "\\x1b" in daemon.events("child-said")[0]["text"]
    check_log(daemon)


def test_text_log_lines_are_harmless(tmp_path: Path) -> None:
    """The same, with a log for people: no line is a second one, none acts on a terminal."""
    with TextLog(tmp_path, CONFIG, ["--log-format", "text"]) as daemon:
        ask_everybody(daemon)
        wait_until(lambda: daemon.text().count("reports: ") == 5, "what the programs said")
    check_log(daemon)
    log = daemon.text().partition("^C stops it")[2].splitlines()
    lines = [line for line in log if "T" in line.partition(" ")[0]]
    assert len(lines) > 30
    assert all(line.startswith("20") for line in lines)


def greeting_for(host: str, address: str) -> str:
    """What greet says to one of a host's addresses."""
    with connect(host, ("10.77.0.1", 2345), address) as sock:
        return receive_all(sock).decode()


def test_a_name_from_dns_is_harmless(tmp_path: Path) -> None:
    """Whoever holds an address names it: shown in greeting and log, the name does nothing."""
    names = [b"evil\x1b[2Jhost", "a\u202eb".encode(), b"\xff\xfe\x80name", b"\x9b31m", b"x" * 300]
    names += ["\u2066\u200b\x85".encode(), b"good.example"]
    addresses = [f"10.77.0.{number}" for number in range(2, 2 + len(names))]
    table = b"".join(
        address.encode() + b" " + name + b"\n"
        for address, name in zip(addresses, names, strict=True)
    )
    text = '[service.greet]\nlisten = ["tcp:2345:interface=10.77.0.1"]\n'
    with (
        two_hosts() as (first, second),
        hosts_file(first, "hosts", table),
        Watched(tmp_path, text, namespace=first) as daemon,
    ):
        add_addresses(second, addresses[1:])
        for _ in range(2):
            for address in addresses:
                greeting = greeting_for(second, address)
                assert greeting.startswith("Hello there, ")
                assert greeting.endswith("\r\n")
                assert not harmful(greeting[:-2])
        # by its address where the name comes late, and then by the name that has come
        wait_until(
            lambda: "Hello there, good.example, it's now" in greeting_for(second, addresses[-1]),
            "it is greeted by its name",
        )
    check_log(daemon)
