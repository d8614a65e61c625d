"""Ways that a hostile peer, a file or an order of events has once found into the daemon."""

from __future__ import annotations

import socket
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sockd.formats.fill import fill
from sockd.formats.lines import split_lines
from sockd.services.reverse import reverse, reverse_block, reverse_lines
from tests.daemons import Daemon
from tests.processes import PATIENCE

LINE_BYTES = st.lists(st.sampled_from([b"a", b"\r", b"\r\n", b"\n", "é".encode(), b"\xcc\x81"]))


@given(LINE_BYTES)
def test_a_block_is_reversed_as_its_lines_are(parts: list[bytes]) -> None:
    block = b"".join(parts) + b"\n"
    lines = split_lines(block)
    each = b"".join(reverse(line) + b"\r\n" for line in lines)
    assert reverse_block(block) == reverse_lines(lines) == each


def test_a_word_of_marks_without_width_is_cut_all_the_same() -> None:
    lines = list(fill("\u0301" * 65_000, 30))
    assert "".join(lines).replace(" ", "") == "\u0301" * 65_000
    assert max(map(len, lines)) <= 31 * 121


def test_a_name_that_leads_to_the_daemons_own_socket_starts_no_loop(tmp_path: Path) -> None:
    """A client binds a name, has it lead to the service's socket, and asks once."""
    config = f'[service.echo]\nlisten = ["unixgram:{tmp_path}/echo.sock:mode=666"]\n'
    with Daemon(tmp_path, config) as daemon:
        name = tmp_path / "client.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.bind(str(name))
            name.unlink()
            name.symlink_to(tmp_path / "echo.sock")
            client.sendto(b"round and round", str(tmp_path / "echo.sock"))
        refused = daemon.wait_for("refused", PATIENCE)
        assert refused["reason"] == "own_process"
        # datagrams come in order: when this one is answered, a loop would have gone round
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.settimeout(PATIENCE)
            other.bind(str(tmp_path / "other.sock"))
            other.sendto(b"still there?", str(tmp_path / "echo.sock"))
            assert other.recv(100) == b"still there?"
        assert len(daemon.events("refused")) == 1
