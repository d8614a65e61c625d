"""`sock` itself on a terminal, beside servers that send what a terminal would act on."""

from __future__ import annotations

import pytest

from sockd.client.outputs.figures import cells
from tests.client.liars import datagram_liar, says, stream_liar
from tests.client.outputs.terminals import on_terminal, seen
from tests.client.running import SOCK, sock

EVIL = b"\x1b]0;title\x07\x1b[2J\x9b31m\xc2\x9b1m\xe2\x80\xaetxet\x7f\x00\r\nno end\x1b"
WIDTHS = pytest.mark.parametrize("columns", [80, 120])


@WIDTHS
def test_what_a_server_says_is_escaped_on_a_terminal(columns: int) -> None:
    with stream_liar(says(EVIL)) as server:
        argv = [SOCK, "get", "-v", "127.0.0.1", str(server.port)]
        lines = seen(on_terminal(argv, columns))
    assert all(line.isprintable() for line in lines)
    shown = "\\x1b]0;title\\x07\\x1b[2J\\x9b31m\\u009b1m\\u202etxet\\x7f\\x00"
    assert lines.count(shown) == lines.count("no end\\x1b") == 1
    assert max(map(cells, lines)) <= columns


def test_what_a_server_says_goes_into_a_pipe_as_it_came() -> None:
    with stream_liar(says(EVIL)) as server:
        assert sock("get", "-W", "60s", "127.0.0.1", str(server.port)).out == EVIL


@WIDTHS
def test_an_echo_is_told_probe_by_probe_and_summed_up(columns: int) -> None:
    with datagram_liar(lambda data: [data, data]) as server:
        argv = [SOCK, "echo", "-c", "5", "-i", "0.02", f"127.0.0.1:{server.port}"]
        lines = seen(on_terminal(argv, columns))
    assert max(map(cells, lines)) <= columns
    text = " ".join(" ".join(lines).split())
    for number in range(5):
        assert f"64 bytes from 127.0.0.1: seq={number} time=" in text
    assert "5 sent, 5 received, 0 % loss" in text
    assert "Round trips" in lines
