"""Old programs for urgent data: their client with our service, ours with their servers."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from itertools import islice

import pytest

from sockd.formats.urgent import short_lines
from tests.daemons import Daemon
from tests.processes import BIN, free_port, running
from tests.real.old_chat import Person, perl
from tests.real.old_urgent import CLIENT, SELECTING, SIGNALLED, old_server, script

CONFIG = """
[service.urgent]
listen = ["tcp:0:interface=localhost"]
[service.inline]
kind = "urgent"
inline = true
listen = ["tcp:0:interface=localhost"]
"""
NEVER = "100000"
"""Seconds to the next line."""
OFTEN = "0.01"
MANY = "1000000"
"""Lines that nobody waits for."""
URGENT = 5
"""Times that ^C is pressed."""
MODES = pytest.mark.parametrize("service", ["urgent", "inline"])
SERVERS = pytest.mark.parametrize(
    "server", [SIGNALLED, SELECTING], ids=["by its signal", "by select's exceptions"]
)
REPORT = {
    "urgent": "got 1 byte of urgent data: !",
    "inline": "got 1 bytes of normal data: !",
}
TOLD = {(): r"urgent 1: !", ("inline",): r"normal \d+: ![^\n]*"}
INLINE = pytest.mark.parametrize("inline", list(TOLD), ids=["out of line", "inline"])


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("urgent"), CONFIG) as made:
        yield made


def old(daemon: Daemon, service: str, interval: str, lines: str) -> Person:
    """Somebody at the old client."""
    host, port = daemon.address(service, "tcp")
    return Person(*perl(script(CLIENT), host, str(port), interval, lines))


def interrupt(person: Person) -> None:
    person.process.send_signal(signal.SIGINT)


@MODES
def test_each_urgent_byte_of_an_old_client_is_reported_to_it_and_to_the_log(
    daemon: Daemon, service: str
) -> None:
    with old(daemon, service, NEVER, "2") as client:
        client.hears("normal aa", "heard got 3 bytes of normal data: aa")
        for _ in range(3):
            interrupt(client)
            client.hears("urgent !", f"heard {REPORT[service]}")
        event = "urgent-data" if service == "urgent" else "normal-data"
        daemon.wait_for("normal-data", service=service, text="aa", size=3)
        daemon.wait_for(event, service=service, text="!")
        client.process.send_signal(signal.SIGQUIT)
        client.ends()
    daemon.wait_for("closed", service=service, bytes_in=6)


@MODES
def test_between_lines_of_an_old_client_urgent_bytes_take_nothing_with_them(
    daemon: Daemon, service: str
) -> None:
    told = r"heard got 1 byte of urgent data: !" if service == "urgent" else r"heard got .*: !"
    with old(daemon, service, OFTEN, MANY) as client:
        for _ in range(URGENT):
            client.skips_to("heard got")
            interrupt(client)
            skip_to(client, told)
        client.skips_to("heard got")
        client.process.send_signal(signal.SIGQUIT)
        printed = client.read_all().decode()
    reports = re.findall(r"^heard got (\d+) bytes of normal data: (.*)$", printed, re.MULTILINE)
    assert_in_order(sum(int(size) for size, _ in reports), [text for _, text in reports])
    in_place = sum(text.count("!") for _, text in reports)
    out_of_line = len(re.findall("^heard got 1 byte of urgent data: !$", printed, re.MULTILINE))
    assert (in_place, out_of_line) == ((0, URGENT) if service == "urgent" else (URGENT, 0))


@SERVERS
@INLINE
def test_an_old_server_is_told_of_each_urgent_byte_of_ours_and_loses_no_line(
    server: str, inline: tuple[str, ...]
) -> None:
    port = free_port()
    sock = [str(BIN / "sock"), "urgent", "-i", OFTEN, "-c", MANY, f"127.0.0.1:{port}"]
    with old_server(server, port, *inline) as there, running(sock) as here:
        for count in range(1, URGENT + 1):
            there.wait_for(rf"(?s)(?:^{TOLD[inline]}$.*?){{{count - 1}}}^normal")
            here.process.send_signal(signal.SIGINT)
            there.wait_for(rf"(?s)(?:^{TOLD[inline]}$.*?){{{count}}}^normal")
        here.process.send_signal(signal.SIGQUIT)
        there.wait_for("^end$")
        assert there.wait() == 0
        here.wait()
        told, sent = there.text(), here.text()
    reports = re.findall(r"^normal (\d+): (.*)$", told, re.MULTILINE)
    assert_in_order(sum(int(size) for size, _ in reports), [text for _, text in reports])
    assert told.count("urgent 1: !") == (0 if inline else URGENT)
    assert ("urgent? Invalid argument" in told) == bool(inline)
    assert sent.count("sending 1 byte of urgent data: !\n") == URGENT


def skip_to(client: Person, pattern: str) -> None:
    """A line is printed some time that matches."""
    while not re.fullmatch(pattern, client.line()):
        pass


def assert_in_order(size: int, texts: list[str]) -> None:
    """These reads are of the lines that were sent, in order, and of urgent bytes in their place."""
    words = re.findall("[a-z]+", " ".join(texts).replace(r"\x0a", " "))
    sent = [line.decode().rstrip() for line in islice(short_lines(), len(words))]
    assert words == sent
    in_place = [text for text in texts if "!" in text]
    assert all(text.startswith("!") for text in in_place)
    assert size == sum(len(word) + 1 for word in words) + len(in_place)
