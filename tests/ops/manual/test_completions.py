"""Completion as it is installed: three shells ask both programs, and files are completed too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.processes import BIN, succeed

FILES = Path(__file__).parents[3] / "completions"
WORDS = {
    "sockd rel": "reload",
    "sockd reload --dry": "--dry-run",
    "sockd services ech": "echo",
    "sock rever": "reverse",
    "sock reverse --retr": "--retries",
}
"""What is typed, and what it becomes."""
PATH = {"PATH": f"{BIN}:{os.environ['PATH']}"}


@pytest.mark.parametrize("typed", WORDS)
def test_bash_completes(typed: str) -> None:
    program = typed.split()[0]
    script = f"""source {FILES}/{program}.bash
    COMP_WORDS=({typed}) COMP_CWORD={typed.count(" ")}
    _{program}_completion {program}
    echo "${{COMPREPLY[@]}}"
    complete -p {program}"""
    first, second = succeed("bash", "--norc", "-c", script, environment=PATH).splitlines()
    assert first == WORDS[typed]
    assert second == f"complete -o nosort -F _{program}_completion {program}"


@pytest.mark.parametrize("typed", WORDS)
def test_fish_completes(typed: str) -> None:
    script = f"source {FILES}/{typed.split()[0]}.fish; complete -C '{typed}'"
    said = succeed("fish", "--no-config", "-c", script, environment=PATH)
    assert [line.split("\t")[0] for line in said.splitlines()] == [WORDS[typed]]


def test_fish_completes_the_name_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").touch()
    script = f"source {FILES}/sockd.fish; complete -C 'sockd run mi'"
    said = succeed("fish", "--no-config", "-c", script, environment=PATH, cwd=tmp_path)
    assert said.split() == ["mine.toml"]


ZSH = r"""
zmodload zsh/zpty
zpty typist zsh -f -i
zpty -w typist "bindkey -e; fpath=($1 \$fpath); autoload -U compinit; compinit -u -D
say() { print re\$1 }; say ady"
zpty -r typist line '*ready*'
zpty -w -n typist "$2"$'\t'
zpty -r typist line "*$2*$3*"
zpty -w typist $'\C-aprint -r -- '
zpty -r typist line $'*\n'"$2$3"$'*\n*'
zpty -d typist
print -r -- ${line%$'\r\n'*}
"""
"""A terminal: the first argument's functions, what is typed, and what completes it."""


@pytest.mark.parametrize(("typed", "rest"), [("sock rever", "se"), ("sockd rel", "oad")])
def test_zsh_completes_at_a_terminal(typed: str, rest: str) -> None:
    """What stands there is printed then, with what the shell has put there."""
    said = succeed("zsh", "-f", "-c", ZSH, "zsh", FILES, typed, rest, environment=PATH)
    assert said.splitlines()[-1].rstrip() == f"{typed}{rest}"
