"""`sock completion`: shells complete names of commands and of options."""

from __future__ import annotations

import shutil

import pytest

from tests.client.running import sock
from tests.processes import BIN, run

COMPLETES = """
PATH={bin}:$PATH
source <(sock completion bash)
COMP_WORDS=({words}) COMP_CWORD={last}
_sock_completion sock
echo "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("sock re", "reverse"),
        ("sock d", "daytime discard discover"),
        ("sock reverse --retr", "--retries"),
        ("sock completion f", "fish"),
    ],
)
def test_bash_completes(words: str, found: str) -> None:
    script = COMPLETES.format(bin=BIN, words=words, last=words.count(" "))
    done = run("bash", "--norc", "-c", script)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, found, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_is_printed_is_a_script_of_that_shell(shell: str) -> None:
    done = sock("completion", shell)
    assert (done.code, done.err) == (0, "")
    assert b"_SOCK_COMPLETE" in done.out
    if shutil.which(shell):
        assert run(shell, "-n", "-c", done.out.decode()).returncode == 0


def test_another_shell_is_a_mistake() -> None:
    done = sock("completion", "cmd")
    assert (done.code, "'cmd'" in done.err) == (2, True)
