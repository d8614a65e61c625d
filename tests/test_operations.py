"""docs/operations.md: a newcomer's path is walked as it is written, on a root of its own."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import namespace
from tests.environments import INSTALL_SECONDS, ROOT, Environment
from tests.roots import Root, root
from tests.transcripts import blocks

pytestmark = pytest.mark.timeout(3 * INSTALL_SECONDS)
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
PATH = PAGE.partition("\n## A host from the beginning\n")[2].partition("\n## ")[0]
STEPS = dict(re.findall(r"^### (.+?)\n(.*?)(?=^### |\Z)", PATH, re.M | re.S))
"""By their headings."""
MANAGER = f"""#!/bin/sh
exec {sys.base_prefix}/bin/python3 {Path(__file__).with_name("systemctl.py")} "$@"
"""

LEFTOVERS = """
find /etc /opt /usr/local /var/lib /run -newer /run/lock '(' -name 'sock*' -o -name '_sock*' ')'
"""
"""What is newer than the host itself."""
COPIES = {
    "etc/systemd/system/sockd.service": "doc/sockd/etc/systemd/sockd.service",
    "etc/sysusers.d/sockd.conf": "doc/sockd/etc/sysusers.d/sockd.conf",
    "etc/tmpfiles.d/sockd.conf": "doc/sockd/etc/tmpfiles.d/sockd.conf",
    **{
        f"usr/local/share/{name}": name
        for name in (
            *("man/man1/sock.1", "man/man5/sockd.toml.5", "man/man7/sockd-chat.7"),
            *("man/man8/sockd.8", "bash-completion/completions/sockd"),
            *("zsh/site-functions/_sock", "fish/vendor_completions.d/sockd.fish"),
        )
    },
}
"""What an installation has outside of /opt/sockd, and of which file in its `share` it is a copy."""
OLDER = "# of an older version\n"


def walk(host: Root) -> Iterator[tuple[str, str]]:
    """Each step, and what its commands have said."""
    for name, text in STEPS.items():
        scripts = [block.text for block in blocks(text) if block.kind == "sh"]
        if name == "Taking it away":
            host.run("umount --lazy /opt/sockd")  # a mount is not removed
        if name == "An upgrade":
            for copy in COPIES:
                with host.path(copy).open("a") as file:
                    file.write(OLDER)
        yield name, "".join(host.run(one, has_network=name == "Install") for one in scripts)


@pytest.fixture(scope="module")
def said(installed: Environment, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The whole path, walked once; what each step has said."""
    with namespace() as name, root(tmp_path_factory.mktemp("host"), installed, name) as host:
        for command in ("systemctl", "journalctl"):
            file = host.path(f"usr/local/bin/{command}")
            file.unlink(missing_ok=True)
            file.write_text(MANAGER, "utf-8")
            file.chmod(0o755)
        steps: dict[str, str] = {}
        older = [""]
        for step, text in walk(host):
            steps[step] = text
            if step == "An upgrade":
                older = [copy for copy in COPIES if not is_as_installed(host, copy)]
        left = host.run(LEFTOVERS)
        return {**steps, "left": left, "older": " ".join(older)}


def is_as_installed(host: Root, copy: str) -> bool:
    """Whether a copy is what the installation has now."""
    return host.path(copy).read_bytes() == host.path(f"opt/sockd/share/{COPIES[copy]}").read_bytes()


def test_every_step_is_there_and_has_commands_or_a_table() -> None:
    assert list(STEPS) == [
        "Install",
        "A first configuration",
        "The unit",
        "Who is there",
        "A change",
        "A certificate, and the next one",
        "What to graph",
        "An upgrade",
        "What to do when",
        "Taking it away",
    ]
    for name, text in STEPS.items():
        assert "\n```sh\n" in text or "\n|---|" in text, name


def test_what_is_installed_is_found_right_in_its_first_configuration(said: dict[str, str]) -> None:
    assert "hello: tcp 127.0.0.1:2350\n" in said["A first configuration"]
    assert "warning" not in said["A first configuration"]


def test_the_unit_starts_it_and_it_answers(said: dict[str, str]) -> None:
    assert said["The unit"].startswith("active\n")
    assert "echo: listening on tcp 0.0.0.0:7" in said["The unit"]
    assert "Hello localhost" in said["The unit"]


def test_a_ban_is_seen_by_who_asks_for_access(said: dict[str, str]) -> None:
    asked = said["Who is there"]
    assert asked.count("no: 1\n") == 1
    assert "knocks all night" in asked


def test_a_change_holds_and_a_mistake_changes_nothing_and_says_what_it_is(
    said: dict[str, str],
) -> None:
    change = said["A change"]
    assert "max_connections_per_source = 10 " in change
    assert "as it was: 1\n" in change
    # the reload says it, and so does the status
    assert change.count("did you mean 'idle_timeout'?") == 2


def test_a_certificate_is_used_and_so_is_the_next_one(said: dict[str, str]) -> None:
    assert re.findall("^(?:olleh|niaga)$", said["A certificate, and the next one"], re.M) == [
        "olleh",
        "niaga",
    ]


def test_there_are_figures_to_graph_and_rules_to_load(said: dict[str, str]) -> None:
    assert re.search("^sockd_connections", said["What to graph"], re.M)
    assert "SUCCESS" in said["What to graph"]


def test_an_upgrade_ends_with_a_daemon_that_serves(said: dict[str, str]) -> None:
    numbers = re.findall(r"^sockd \S+, process (\d+),", said["The unit"] + said["An upgrade"], re.M)
    assert len(set(numbers)) == len(numbers) == 2


def test_an_upgrade_renews_what_was_copied_out_of_the_installation(said: dict[str, str]) -> None:
    assert said["older"] == ""


def test_nothing_is_left_when_it_is_taken_away(said: dict[str, str]) -> None:
    assert said["left"] == ""
