"""Services that others install beside sockd, whole and broken."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.daemons import Daemon, ask
from tests.processes import succeed
from tests.transcripts import readme_service

KIND = "from sockd.service import Instance, Kind\nkind = Kind({})\n"
STREAM = "from sockd.services.echo import EchoStream\n" + KIND
# a file in sockd.services, and why it is disabled
BROKEN: dict[str, tuple[str | bytes, str]] = {
    "not Python": ("def (", "SyntaxError: "),
    "not UTF-8": (b"# \xff\xfe\n'\xff'", "SyntaxError: "),
    "an import that fails": (
        "import nowhere_to_be_found",
        "ModuleNotFoundError: No module named 'nowhere_to_be_found'",
    ),
    "an exception": ("1 / 0", "ZeroDivisionError: "),
    "an exit": ("import sys\nsys.exit('bye')", "SystemExit: bye"),
    "an unknown field": (KIND.format("nam='x'"), "TypeError: "),
    "no name": (KIND.format("name=3, doc=None"), "TypeError: "),
    "a bad name": (
        KIND.format("name='a b', doc=None"),
        "TypeError: name: expected letters, digits",
    ),
    "a known name": (
        KIND.format("name='echo', doc=None"),
        "ValueError: there is a kind 'echo' already",
    ),
    "no documentation": (
        KIND.format("name='liar', doc=5"),
        "TypeError: doc: expected a text, got 5",
    ),
    "no stream": (
        KIND.format("name='liar', doc=None, stream=42"),
        "TypeError: stream: expected a subclass of Stream",
    ),
    "no datagrams": (
        KIND.format("name='liar', doc=None, datagram=object"),
        "TypeError: datagram: expected a subclass of Datagrams",
    ),
    "no options": (
        KIND.format("name='liar', doc=None, options=int"),
        "TypeError: options: expected an attrs class",
    ),
    "no instances": (
        KIND.format("name='liar', doc=None, instances=3"),
        "TypeError: instances: expected a list of instances, got 3",
    ),
    "a known instance": (
        STREAM.format(
            "name='liar', doc=None, stream=EchoStream, instances=[Instance('said', ['tcp:0'])]"
        ),
        "ValueError: there is an instance 'said' already",
    ),
    "a bad listen string": (
        STREAM.format(
            "name='liar', doc=None, stream=EchoStream, instances=[Instance('liar', ['tpc:0'])]"
        ),
        "ValueError: unknown transport 'tpc'; did you mean 'tcp'?",
    ),
    "a transport that it has not": (
        STREAM.format(
            "name='liar', doc=None, stream=EchoStream, instances=[Instance('liar', ['udp:0'])]"
        ),
        "ValueError: udp:0: liar does not work over udp",
    ),
    "an unknown setting": (
        STREAM.format(
            "name='liar', doc=None, stream=EchoStream,"
            " instances=[Instance('liar', ['tcp:0'], {'volume': 11})]"
        ),
        "ValueError: liar: unknown keys: volume",
    ),
}


def test_a_broken_plugin_file_is_named_and_disabled_and_the_others_run(tmp_path: Path) -> None:
    folder = tmp_path / "others" / "sockd" / "services"
    folder.mkdir(parents=True)
    for number, (text, _) in enumerate(BROKEN.values()):
        file = folder / f"broken{number}.py"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    (folder / "shout.py").write_text(readme_service(), "utf-8")
    others = {"PYTHONPATH": str(tmp_path / "others"), "PYTHONDONTWRITEBYTECODE": "1"}
    text = '[service.shout]\nlisten = ["tcp:0:interface=127.0.0.1"]\n'
    with Daemon(tmp_path, text, environment=others) as daemon:
        assert ask(daemon.connect("shout"), b"hello\n") == b"HELLO\r\n"
        told = [event["detail"] for event in daemon.events("warning")]
    for number, (name, (_, why)) in enumerate(BROKEN.items()):
        start = f"sockd.services.broken{number} is disabled: {why}"
        assert [one for one in told if one.startswith(start)], f"{name}: {told}"
    assert len(told) == len(BROKEN)
    python = (sys.executable, "-m", "sockd.cli")
    said = succeed(*python, "services", environment=others)
    assert all(f"sockd.services.broken{number} is disabled" in said for number in range(len(told)))
    assert "\nshout " in said
    # without a configuration too
    assert "shout: tcp 127.0.0.1:7805\n" in succeed(*python, "check", environment=others)


def test_broken_plugin_files_take_no_command_from_twistd(tmp_path: Path) -> None:
    folder = tmp_path / "others" / "sockd" / "services"
    (folder / "package").mkdir(parents=True)
    (folder / "latin.py").write_bytes(b"'\xe9'")
    (folder / "shout.py").write_text(readme_service(), "utf-8")
    others = {"PYTHONPATH": str(tmp_path / "others"), "PYTHONDONTWRITEBYTECODE": "1"}
    script = (
        "from twisted.plugins import sockd_plugin as plugin\n"
        "print(plugin.sockd_shout.description, plugin.sockd_echo.tapname)"
    )
    assert succeed(sys.executable, "-c", script, environment=others) == "Shout back sockd-echo\n"
