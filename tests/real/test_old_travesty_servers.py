"""Our client of the travesty with old servers: ^C in any transfer, and the next command in step."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import Self

import pytest

from tests.processes import BIN, finish, wait_until
from tests.real.old_travesty import old_server
from tests.real.programs import SECONDS, Session

WORDS = 1000
TEXT = "".join(f"word{number} comes, and\n  goes.\n\n" for number in range(WORDS - 3))
KNOWN = set(TEXT.split())
FOREVER = 10**9
LINES = 200_000
"""Of a text that is more than all buffers between two programs hold."""
LONGEST = 4096
"""More than all that is waited for at once."""
GREETINGS = pytest.mark.parametrize("greeting", [100, 200])


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text"
    path.write_text(TEXT, "utf-8")
    return path


@GREETINGS
def test_a_text_is_made_by_an_old_server_without_a_prompt(text: Path, greeting: int) -> None:
    with old_server(greeting) as (port, server):
        sock = [str(BIN / "sock"), "travesty", "--generate", "500", str(text)]
        done = finish([*sock, f"127.0.0.1:{port}"])
        assert done.returncode == 0, done.stderr
        words = done.stdout.decode().split()
        assert len(words) == 500
        assert set(words) <= KNOWN
        server.wait_for("^heard FEATURES$")
        server.wait_for(f"^said 202 there are {WORDS} words in it$")
        server.wait_for("^heard BYE$")


class Typist(Session):
    """Somebody at ours, at a terminal."""

    def __init__(self, port: int, folder: Path) -> None:
        sock = [str(BIN / "sock"), "travesty", f"127.0.0.1:{port}"]
        # nobody answers here where the cursor is
        variables = ["PROMPT_TOOLKIT_NO_CPR=1", f"XDG_STATE_HOME={folder}"]
        super().__init__("env", *variables, *sock, terminal=True)
        self.prompt()

    def skips_to(self, pattern: str) -> re.Match[bytes]:
        """This is shown some time."""
        until = time.monotonic() + SECONDS
        while (found := re.search(pattern.encode(), self.output)) is None:
            self.output = self.output[-LONGEST:]  # a text may be long
            assert self._more(until), f"no {pattern} in {self.output!r}"
        self.output = self.output[found.end() :]
        return found

    def prompt(self) -> Self:
        """It waits for a command."""
        self.skips_to(r"\x1b\[\?2004h")  # a terminal that tells what is pasted
        return self

    def says(self, command: str) -> Self:
        """Type this."""
        self.type(f"{command}\r".encode())
        return self

    def interrupts(self) -> Self:
        """Press ^C."""
        self.process.send_signal(signal.SIGINT)
        return self

    def is_in_step(self) -> Self:
        """A text comes, and the answer to what follows it."""
        self.says("generate 50").skips_to(r"\w+ comes, and|goes\.")
        self.prompt().says("reset").skips_to("forgotten")
        self.prompt().says("generate 50").skips_to("said: 500 nothing to begin with")
        return self.prompt()


def test_an_upload_to_an_old_server_is_interrupted_and_the_next_command_is_in_step(
    tmp_path: Path, text: Path
) -> None:
    large = tmp_path / "large"
    large.write_text("".join(f"word{number:076}\n" for number in range(LINES)), "ascii")
    with old_server(stops=True) as (port, server), Typist(port, tmp_path) as client:
        process = int(server.wait_for(r"^process (\d+)$")[1])
        for count in range(1, 3):
            client.says(f"analyze {large}")
            wait_until(lambda: stands_still(process), "it stands still")
            client.interrupts()
            os.kill(process, signal.SIGCONT)
            server.wait_for(rf"(?s)(?:^upload: aborted$.*?^said 202.*?){{{count}}}")
            client.skips_to(r"\(stopped; [\d,]+ bytes were sent\)")
            known = client.skips_to(r"([\d,]+) unique words?")[1]
            assert int(known.replace(b",", b"")) < LINES
            client.prompt()
        client.says(f"analyze {text}")
        wait_until(lambda: stands_still(process), "it stands still")
        os.kill(process, signal.SIGCONT)
        client.skips_to(f"{WORDS:,} unique words")
        client.prompt().is_in_step().says("bye")
        server.wait_for("^said 204")


def stands_still(process: int) -> bool:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_a_text_of_an_old_server_is_interrupted_and_the_next_command_is_in_step(
    tmp_path: Path, text: Path
) -> None:
    with old_server() as (port, server), Typist(port, tmp_path) as client:
        for count in range(1, 4):
            client.says(f"analyze {text}").skips_to(f"{WORDS:,} unique words")
            client.prompt().says(f"generate {FOREVER}").skips_to(r"comes, and|goes\.")
            client.interrupts().skips_to(r"\(stopped; [\d,]+ bytes discarded\)")
            server.wait_for(rf"(?s)(?:^generation: aborted$.*?){{{count}}}")
            client.prompt().is_in_step()
        client.says("bye")
        server.wait_for("^said 204")
