"""The options say how a run is told; what is not told is not imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from attrs import evolve

from sockd.client.asking import Asking
from sockd.client.outputs.check import Check
from sockd.client.outputs.choose import choose
from sockd.client.outputs.human import Human
from sockd.client.outputs.jsonl import JsonLines
from sockd.client.outputs.output import Several
from sockd.client.outputs.prometheus import Prometheus
from tests.client.outputs.events import host, silent, summary


@pytest.mark.parametrize(
    ("asking", "kind"),
    [
        (Asking(), Human),
        (Asking(as_json=True), JsonLines),
        (Asking(is_check=True), Check),
        (Asking(prometheus="-"), Prometheus),
    ],
)
def test_one_output_has_standard_output(asking: Asking, kind: type) -> None:
    assert isinstance(choose("echo", ["a"], asking), kind)


@pytest.mark.parametrize(
    "asking", [Asking(is_quiet=True), Asking(as_json=True), Asking(is_check=True)]
)
def test_a_file_for_prometheus_is_written_beside_any_other_output(
    asking: Asking, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = tmp_path / "sock.prom"
    both = choose("echo", ["a"], evolve(asking, prometheus=str(path)))
    assert isinstance(both, Several)
    both(summary(host()))
    assert b"sock_up" in path.read_bytes()
    beside = capsysbinary.readouterr().out
    alone = choose("echo", ["a"], asking)
    alone(summary(host()))
    assert capsysbinary.readouterr().out == beside


def test_with_check_the_exit_code_is_the_plugins(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    asking = Asking(is_check=True, prometheus=str(tmp_path / "sock.prom"))
    tell = choose("echo", ["a"], asking)
    tell(summary(silent()))
    assert tell.exit_code(6) == 2
    assert capsysbinary.readouterr().out.startswith(b"SOCK CRITICAL - ")


@pytest.mark.parametrize(
    "asking",
    [
        Asking(is_check=True, warn=("nothing=1",)),
        Asking(is_check=True, crit=("rtt_avg=2:1",)),
        Asking(prometheus="/nowhere/sock.prom"),
    ],
)
def test_a_mistake_is_told_before_anything_is_asked(asking: Asking) -> None:
    with pytest.raises(click.UsageError):
        choose("echo", ["a"], asking)


@pytest.mark.parametrize("options", ["", "as_json=True", "is_check=True, warn=('loss=5%',)"])
def test_what_writes_for_prometheus_is_imported_only_where_it_is_wanted(options: str) -> None:
    code = (
        "import sys\n"
        "from sockd.client.asking import Asking\n"
        "from sockd.client.outputs.choose import choose\n"
        f"choose('echo', ['a'], Asking({options}))\n"
        "print(sorted({'prometheus_client', 'twisted', 'asyncio'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
