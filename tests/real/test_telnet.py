"""telnet, as somebody types into it: each line ends in CRLF, and no options are negotiated."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.daemons import Daemon
from tests.real.programs import Session

CONFIG = """
[service.ack]
listen = ["tcp:0:interface=localhost"]
[service.said]
listen = ["tcp:0:interface=localhost"]
[service.echo]
listen = ["tcp:0:interface=localhost"]
[service.urgent]
listen = ["tcp:0:interface=localhost"]
[service.greet]
listen = ["tcp:0:interface=localhost"]
template = "Hello {address}"
"""
GREETING = b"Hello client how are you\r\n"
FAMILIES = pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("telnet"), CONFIG) as running:
        yield running


def telnet(daemon: Daemon, service: str, family: int) -> Session:
    """telnet at a terminal, once it is connected."""
    host, port = daemon.address(service, "tcp", family)
    session = Session("telnet", host, str(port), terminal=True)
    try:
        session.read_until(b"Escape character is '^]'.\r\n")
    except BaseException:
        session.__exit__(None, None, None)
        raise
    return session


@FAMILIES
def test_a_line_typed_into_telnet_comes_with_crlf_and_nothing_else(
    daemon: Daemon, family: int
) -> None:
    line = b"typed" + b"." * family
    with telnet(daemon, "ack", family) as session:
        session.read_until(GREETING)
        session.type(line + b"\r")
        session.read_until(b"OK : " + line + b"\r\n")
        session.type(b"again\r")
        session.read_until(b"OK : again\r\n")
        session.type(b"\x1d")
        session.read_until(b"telnet> ")
        session.type(b"quit\r")
        session.read_until(b"Connection closed.")
    asked = len(line + b"\r\n" + b"again\r\n")
    answered = len(GREETING) + asked + 2 * len(b"OK : ")
    daemon.wait_for("closed", service="ack", bytes_in=asked, bytes_out=answered)


@FAMILIES
def test_telnet_says_that_said_closed_the_connection(daemon: Daemon, family: int) -> None:
    with telnet(daemon, "said", family) as session:
        session.type("Zażółć\r".encode())
        session.read_until("You said:Zażółć\r\nConnection closed by foreign host.\r\n".encode())


@FAMILIES
def test_a_greeting_is_there_before_anything_is_typed(daemon: Daemon, family: int) -> None:
    with telnet(daemon, "greet", family) as session:
        host, _ = daemon.address("greet", "tcp", family)
        session.read_until(f"Hello {host}\r\nConnection closed by foreign host.\r\n".encode())


def test_telnet_with_a_pipe_for_a_keyboard_is_answered_too(daemon: Daemon) -> None:
    host, port = daemon.address("ack", "tcp")
    with Session("telnet", host, str(port)) as session:
        session.read_until(b"Escape character is '^]'.\n")
        session.type(b"piped\n")
        session.read_until(b"OK : piped\n")  # its own line end: it prints to no terminal
        session.end_input()
        session.read_all()
    daemon.wait_for("closed", service="ack", bytes_in=len(b"piped\r\n"))


def test_echo_gives_telnets_own_commands_back_as_the_bytes_that_they_are(daemon: Daemon) -> None:
    """`send ayt` sends IAC AYT: two bytes to echo, which telnet then takes for the server's own."""
    with telnet(daemon, "echo", 0) as session:
        session.type(b"before it\r")  # only now does telnet look for its escape character
        session.read_until(b"before it\r\nbefore it\r\n")
        session.type(b"\x1d")
        session.read_until(b"telnet> ")
        session.type(b"send ayt\r")
        session.type(b"after it\r")
        session.read_until(b"after it\r\nafter it\r\n")  # the terminal's echo, then the service's
    asked = len(b"before it\r\n\xff\xf6after it\r\n")
    daemon.wait_for("closed", service="echo", bytes_in=asked, bytes_out=asked)


def test_the_byte_that_telnet_sends_as_urgent_is_told_of_as_such(daemon: Daemon) -> None:
    """`send synch` sends IAC DM, and the first of them is the urgent byte."""
    with telnet(daemon, "urgent", 0) as session:
        session.type(b"before\r")
        session.read_until(b"got 8 bytes of normal data: before\r\n")
        session.type(b"\x1d")
        session.read_until(b"telnet> ")
        session.type(b"send synch\r")
        session.read_until(b"got 1 byte of urgent data: \\xff\r\n")
        session.read_until(b"got 1 bytes of normal data: \\xf2\r\n")
        session.type(b"after\r")
        session.read_until(b"got 7 bytes of normal data: after\r\n")
