"""Every mistake of a configuration is named at once: file, line, key, and what to do about it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sockd.config.build import build
from sockd.config.document import MAX_FILE, ConfigError, read
from sockd.service import Found, find
from tests.processes import NOBODY

FOUND = find()
BROKEN = Found(FOUND.kinds, {"sockd.services.shout": "SyntaxError: invalid syntax"})
"""The registry, with a file in it that cannot be used."""

DURATION = 'expected a duration such as "30s" or "2m", got'
SIZE = 'expected a size such as "512", "64k" or "4m", got'
RATE = 'expected a rate such as "50/s" or "10/m", got'
COLONS = (
    "write an IPv6 address in square brackets, as in interface=[::1], "
    "and a backslash before any other colon that belongs to a value"
)
ALL = "tcp, tls, unix, udp, unixgram"

# a configuration, and what is said of it, without the file's name
MISTAKES = [
    # not TOML
    (
        "[service.echo",
        "1: not TOML: Expected ']' at the end of a table declaration (at line 1, column 14)",
    ),
    ("[service.echo]\nlisten = [\n'tcp:0'", "3: not TOML: Unclosed array (at end of document)"),
    ("a = 1\na = 2", "2: a is set a second time"),
    ("a = [\n1]\na = [\n2\n]", "5: a key is set a second time"),
    (
        "[service.echo]\n[service.'a b']\n\n[service.echo]",
        "4: [service.echo] stands here a second time, the first time on line 1: "
        "put both into one table",
    ),
    # tables
    ("[daemon]\n[service.echo]", "1: daemon: unknown key"),
    ("[servce.echo]", "1: servce: unknown key; did you mean 'service'?"),
    ("service = 3", "1: service: expected a table, got 3"),
    ("sockd = []\n[service.echo]", "1: sockd: expected a table, got []"),
    ("defaults = 'x'\n[service.echo]", "1: defaults: expected a table, got 'x'"),
    ("[service]\necho = true", "2: service.echo: expected a table, got True"),
    ("[[service.echo]]", "1: service.echo: expected a table, got [{}]"),
    # unknown keys, in each table
    (
        "[sockd]\nlog_formt = 'json'\n[service.echo]",
        "2: sockd.log_formt: unknown key; did you mean 'log_format'?",
    ),
    (
        "[defaults]\nidle_timout = '5s'\n[service.echo]",
        "2: defaults.idle_timout: unknown key; did you mean 'idle_timeout'?",
    ),
    (
        "[service.echo]\nlisen = ['tcp:0']",
        "2: service.echo.lisen: unknown key; did you mean 'listen'?",
    ),
    (
        "[service.wrap]\ncolums = 3",
        "2: service.wrap.colums: unknown key; did you mean 'columns'?",
    ),
    ("[service.echo]\ncolumns = 3", "2: service.echo.columns: unknown key"),
    ("[service.echo]\n'a\u202eb' = 3", "2: service.echo.a\\u202eb: unknown key"),
    # values that are right alone and not together
    (
        "[service.mine]\nkind = 'exec'\nlisten = ['tcp:1']",
        '1: service.mine: exec needs a command, such as ["/usr/games/fortune"]',
    ),
    (
        "[service.mine]\nkind = 'exec'\nlisten = ['tcp:1']\ncommand = ['./here']",
        "1: service.mine: './here' is a relative path: give an absolute one, or a name to look for",
    ),
    (
        "[service.fortune]\nenvironment = {'A=B' = 'x'}",
        "1: service.fortune: 'A=B' cannot be the name of an environment variable",
    ),
    ("[service.fortune]\nuser = 99999", "1: service.fortune: there is no user 99999 on this host"),
    (
        "[service.echo]\nconnect_rate = '0/s'",
        "2: service.echo.connect_rate: 'connect_rate' must be above 0: 0/s lets nobody in",
    ),
    # kinds and names
    (
        "[service.ecko]",
        "1: service.ecko: there is no kind of service 'ecko'; did you mean 'echo'?",
    ),
    (
        "[service.mine]",
        "1: service.mine: there is no kind of service 'mine'; say with kind = \"...\" which it is",
    ),
    (
        "[service.mine]\nkind = 'revers'",
        "2: service.mine.kind: there is no kind of service 'revers'; did you mean 'reverse'?",
    ),
    ("[service.mine]\nkind = 3", "2: service.mine.kind: there is no kind of service 3"),
    (
        "[service.mine]\nkind = 'shout'",
        "2: service.mine.kind: there is no kind of service 'shout'; "
        "its file is broken: SyntaxError: invalid syntax",
    ),
    (
        "[service.'a b']\nkind = 'echo'",
        "1: service.a b: a name has letters, digits, '_' and '-', at most 64",
    ),
    # where to listen
    (
        "[service.mine]\nkind = 'echo'",
        f"1: service.mine.listen: missing; echo can be listened on over {ALL}",
    ),
    (
        "[service.echo]\nlisten = []",
        '2: service.echo.listen: expected a list such as ["tcp:7800:interface=127.0.0.1"], got []',
    ),
    (
        "[service.echo]\nlisten = 'tcp:0'",
        '2: service.echo.listen: expected a list such as ["tcp:7800:interface=127.0.0.1"], '
        "got 'tcp:0'",
    ),
    ("[service.echo]\nlisten = [7]", "2: service.echo.listen[0]: expected a text, got 7"),
    (
        "[service.echo]\nlisten = [\n'tcp:0',\n'tpc:0']",
        "4: service.echo.listen[1]: unknown transport 'tpc'; did you mean 'tcp'?",
    ),
    (
        "[service.echo]\nlisten = ['7800']",
        "2: service.echo.listen[0]: '7800' names no transport; write \"tcp:7800\"",
    ),
    (
        "[service.echo]\nlisten = ['tcp:70000']",
        "2: service.echo.listen[0]: port must be from 0 to 65535, got 70000",
    ),
    (
        "[service.echo]\nlisten = ['tcp:0:interface=eth0']",
        '2: service.echo.listen[0]: interface must be an IP address, "localhost" or "*", '
        "got 'eth0': no name is looked up",
    ),
    (
        "[service.echo]\nlisten = ['tcp:0:interface=::1']",
        f"2: service.echo.listen[0]: interface is empty in 'tcp:0:interface=::1'; {COLONS}",
    ),
    (
        "[service.echo]\nlisten = ['unix:/tmp/x:mode=999']",
        "2: service.echo.listen[0]: mode must be three octal digits such as 660, got '999'",
    ),
    (
        "[service.echo]\nlisten = ['haproxy:tcp:1']",
        "2: service.echo.listen[0]: haproxy needs one proxies=PREFIX,PREFIX, as in "
        '"haproxy:tcp:7800:interface=127.0.0.1:proxies=127.0.0.1/32": '
        "without it anyone could forge an address",
    ),
    # transports that a kind does not serve
    (
        "[service.wrap]\nlisten = ['udp:0']",
        "2: service.wrap.listen[0]: wrap does not work over udp, only over tcp, tls, unix",
    ),
    (
        "[service.localtime]\nlisten = ['tcp:0']",
        "2: service.localtime.listen[0]: localtime does not work over tcp, only over udp, unixgram",
    ),
    (
        "[service.beacon]\nlisten = ['udp:0']",
        "2: service.beacon.listen[0]: beacon does not work over udp, only over multicast",
    ),
    (
        "[service.echo]\nlisten = ['multicast:224.0.0.1:5']",
        f"2: service.echo.listen[0]: echo does not work over multicast, only over {ALL}",
    ),
    # addresses that two want
    (
        "[service.echo]\nlisten = ['tcp:5']\n[service.ack]\nlisten = ['udp:5', 'tcp:5']",
        "4: service.ack.listen: tcp:5: service.echo listens there already",
    ),
    (
        "[service.echo]\nlisten = ['udp:5', 'udp:5']",
        "2: service.echo.listen: udp:5: service.echo listens there already",
    ),
    (
        "[service.echo]\nlisten = ['tcp:5:interface=[::1]']\n"
        "[service.ack]\nlisten = ['tcp:5:interface=*']",
        "4: service.ack.listen: tcp:5:interface=*: service.echo listens there already",
    ),
    (
        "[service.echo]\nlisten = ['unix:/tmp/x']\n[service.wrap]\nlisten = ['unix:/tmp/x']",
        "4: service.wrap.listen: unix:/tmp/x: service.echo listens there already",
    ),
    # values of each type
    ("[service.echo]\nrequired = 1", "2: service.echo.required: expected true or false, got 1"),
    (
        "[service.echo]\nmax_connections = true",
        "2: service.echo.max_connections: expected a whole number, got True",
    ),
    (
        "[service.echo]\nmax_connections = 1.5",
        "2: service.echo.max_connections: expected a whole number, got 1.5",
    ),
    (
        "[service.echo]\nmax_connections = -1",
        "2: service.echo.max_connections: 'max_connections' must be >= 1: -1",
    ),
    ("[service.echo]\nidle_timeout = '5 mon'", f"2: service.echo.idle_timeout: {DURATION} '5 mon'"),
    ("[service.echo]\nidle_timeout = -1", f"2: service.echo.idle_timeout: {DURATION} -1"),
    ("[service.echo]\nidle_timeout = nan", f"2: service.echo.idle_timeout: {DURATION} nan"),
    (
        "[service.echo]\nidle_timeout = 0",
        "2: service.echo.idle_timeout: 'idle_timeout' must be > 0: 0s",
    ),
    ("[service.echo]\nmax_line = '16 kW'", f"2: service.echo.max_line: {SIZE} '16 kW'"),
    ("[service.echo]\nmax_line = 1.5", f"2: service.echo.max_line: {SIZE} 1.5"),
    (
        "[service.echo]\nreceive_buffer = '5g'",
        "2: service.echo.receive_buffer: 'receive_buffer' must be <= 1g: 5g",
    ),
    ("[service.echo]\nreply_rate = 10", f"2: service.echo.reply_rate: {RATE} 10"),
    ("[service.echo]\nreply_rate = '9/year'", f"2: service.echo.reply_rate: {RATE} '9/year'"),
    (
        "[service.echo]\nallow = '10.0.0.0/8'",
        "2: service.echo.allow: expected a list, got '10.0.0.0/8'",
    ),
    (
        "[service.echo]\nallow = [\n'10.0.0.1/8',\n'10.0.0.0/33']",
        "3: service.echo.allow[0]: '10.0.0.1/8' has bits set behind its prefix; "
        'did you mean "10.0.0.0/8"?\n'
        '4: service.echo.allow[1]: expected an address or prefix such as "10.0.0.0/8" or "::1", '
        "got '10.0.0.0/33'",
    ),
    (
        "[service.echo]\ntrusted = [10]",
        '2: service.echo.trusted[0]: expected a prefix such as "192.0.2.0/24", got 10',
    ),
    (
        "[service.echo]\nallow_users = ['nobody-of-that-name']",
        "2: service.echo.allow_users: without effect: it is for peers over a Unix socket, "
        "which this service does not have\n"
        "2: service.echo.allow_users[0]: there is no user 'nobody-of-that-name' on this host",
    ),
    (
        "[service.greet]\ntemplate = 'Hello {nmae}'",
        "2: service.greet.template: unknown field {nmae} in 'Hello {nmae}'; "
        "there are {name}, {address}, {port}, {time}",
    ),
    (
        "[service.daytime]\nzone = 'Europe/Warszawa'",
        "2: service.daytime.zone: unknown time zone 'Europe/Warszawa', "
        "expected one such as 'Europe/Warsaw'",
    ),
    ("[service.wrap]\ncolumns = 1", "2: service.wrap.columns: 'columns' must be >= 2: 1"),
    (
        "[service.fortune]\ncommand = [1, 'x', 2]",
        "2: service.fortune.command[0]: expected a text, got 1\n"
        "2: service.fortune.command[2]: expected a text, got 2",
    ),
    (
        "[service.fortune]\nenvironment = 3",
        "2: service.fortune.environment: expected a table, got 3",
    ),
    (
        "[service.fortune.environment]\nA = 'x'\nB = 1",
        "3: service.fortune.environment.B: expected a text, got 1",
    ),
    (
        "[sockd]\nlog_format = 'xml'\n[service.echo]",
        "2: sockd.log_format: 'log_format' must be in ['text', 'json'] (got 'xml')",
    ),
    (
        "[defaults]\nreply_burst = 0\n[service.echo]\n[service.ack]",
        "2: defaults.reply_burst: 'reply_burst' must be >= 1: 0",
    ),
    # files that are named
    (
        "[service.quote]\nfile = '/nowhere/quotes'",
        "2: service.quote.file: /nowhere/quotes: No such file or directory",
    ),
    ("[service.quote]\nfile = '/'", "2: service.quote.file: /: a directory, not a file"),
    (
        "[service.quote]\nfile = '/dev/null'",
        "2: service.quote.file: /dev/null: a device, not a file",
    ),
    (
        "[service.quote]\nfile = 3",
        "2: service.quote.file: expected the name of a file, got 3",
    ),
    (
        "[service.echo]\nlisten = ['tcp:0',\n'ssl:0:privateKey=/nowhere/k:certKey=/nowhere/c']",
        "3: service.echo.listen[1]: /nowhere/c: No such file or directory",
    ),
    (
        "[service.echo]\nlisten = ['ssl:0:privateKey=/dev/null:certKey=/dev/null']",
        "2: service.echo.listen[0]: /dev/null: a device, not a file",
    ),
    (
        "[service.echo]\nlisten = ['tls:0:key=/nowhere/k']",
        "2: service.echo.listen[0]: tls takes no 'key'; did you mean 'privateKey'?",
    ),
    (
        "[service.echo]\nlisten = ['tls:0:/nowhere/k:certificate=x']",
        "2: service.echo.listen[0]: tls takes no 'certificate'; did you mean 'certKey'?",
    ),
    (
        "[service.echo]\nlisten = ['tls:0:/nowhere/k:ca=x']",
        "2: service.echo.listen[0]: tls takes no 'ca'; did you mean 'clientCA'?",
    ),
    (
        "[service.wrap]\nlisten = ['unix:/nowhere/x.sock']",
        "2: service.wrap.listen[0]: /nowhere is not there",
    ),
    (
        "[service.wrap]\nlisten = ['unix:/dev/null']",
        "2: service.wrap.listen[0]: there is a file that is not a socket; it is left alone",
    ),
    # settings without effect that somebody would rely on
    (
        "[service.wrap]\nlisten = ['unix:/tmp/x']\nallow = ['10.0.0.0/8']\ndeny = ['::/0']",
        "3: service.wrap.allow: without effect: it is for peers over IP, "
        "which this service does not have\n"
        "4: service.wrap.deny: without effect: it is for peers over IP, "
        "which this service does not have",
    ),
    (
        "[service.beacon]\nallow = ['10.0.0.0/8']",
        "2: service.beacon.allow: without effect: it is for peers over IP, "
        "which this service does not have",
    ),
    # keys in a wrong table
    (
        "idle_timeout = '5s'\n[service.echo]",
        "1: idle_timeout: unknown key here; it belongs into [defaults] or [service.NAME]",
    ),
    (
        "log_format = 'json'\n[service.echo]",
        "1: log_format: unknown key here; it belongs into [sockd]",
    ),
    ("[echo]\nlisten = ['tcp:1']", "1: echo: unknown key here; it belongs into [service.echo]"),
    (
        "[sockd]\nmax_line = 5\n[service.echo]",
        "2: sockd.max_line: unknown key here; it belongs into [defaults] or [service.NAME]",
    ),
    (
        "[defaults]\nlog_format = 'json'\n[service.echo]",
        "2: defaults.log_format: unknown key here; it belongs into [sockd]",
    ),
    (
        "[service.echo]\nlog_format = 'json'",
        "2: service.echo.log_format: unknown key here; it belongs into [sockd]",
    ),
    # limits that cannot be off
    (
        "[service.time]\nreply_rate = 'off'",
        "2: service.time.reply_rate: 'reply_rate' cannot be off: "
        "anybody could flood others through it",
    ),
    ("[service.echo]\nwrite_timeout = 'off'", f"2: service.echo.write_timeout: {DURATION} 'off'"),
    (
        "[service.echo]\nmax_connections = 'off'",
        "2: service.echo.max_connections: expected a whole number, got 'off'",
    ),
    # a program that is missing, and another mistake in its table
    (
        "[service.mine]\nkind = 'exec'\nlisten = ['tcp:1']\ncommand = ['/nowhere/p']\n"
        "max_children = 0",
        "1: service.mine: there is no program '/nowhere/p'\n"
        "5: service.mine.max_children: 'max_children' must be >= 1: 0",
    ),
    (
        "[service.mine]\nkind = 'exec'\nlisten = ['tcp:1']\ncommand = 'fortune'",
        "4: service.mine.command: expected a list, got 'fortune'",
    ),
]


def mistakes(path: Path) -> list[str]:
    """What is said of a configuration file that cannot be used."""
    with pytest.raises(ConfigError) as caught:
        build(read(path), BROKEN, "/run/sockd")
    return str(caught.value).splitlines()


@pytest.mark.parametrize(("config", "expected"), MISTAKES)
def test_a_mistake_is_named_with_its_file_line_and_key(
    config: str, expected: str, tmp_path: Path
) -> None:
    file = tmp_path / "sockd.toml"
    file.write_text(f"{config}\n", "utf-8")
    assert mistakes(file) == [f"{file}:{line}" for line in expected.splitlines()]


def test_all_mistakes_of_all_tables_and_files_are_named_at_once(tmp_path: Path) -> None:
    file, beside = tmp_path / "sockd.toml", tmp_path / "conf.d" / "more.toml"
    beside.parent.mkdir()
    expected = []
    texts = ["", ""]
    names = iter(range(1000))
    for config, message in MISTAKES:
        if not re.match(r"\[service\.echo\]\n(?!listen|'a)", config) or "[" in config[14:]:
            continue
        # every second one in the other file, each in an instance of its own
        name = f"echo{next(names)}"
        which = int(name[4:]) % 2
        lines = texts[which].count("\n")
        head = f"[service.{name}]\nkind = 'echo'\nlisten = ['tcp:0']\n"
        texts[which] += head + config.removeprefix("[service.echo]\n") + "\n"
        for line in message.splitlines():
            number, rest = line.split(":", 1)
            place = f"{(file, beside)[which]}:{lines + int(number) + 2}"
            expected.append(f"{place}:{rest.replace('service.echo', f'service.{name}', 1)}")
    file.write_text(texts[0], "utf-8")
    beside.write_text(texts[1], "utf-8")
    assert len(expected) > 15
    assert sorted(mistakes(file)) == sorted(expected)


def test_mistakes_are_named_in_the_order_of_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "sockd.toml"
    lines = ["[service.echo]", *(f"unknown{name} = 1" for name in "cbadefghijkl")]
    file.write_text("\n".join([*lines, "[defaults]", "more = 1"]), "utf-8")
    assert [int(line.split(":")[1]) for line in mistakes(file)] == [*range(2, 14), 15]


def test_a_kind_that_there_is_not_hides_no_other_mistake(tmp_path: Path) -> None:
    file = tmp_path / "sockd.toml"
    file.write_text("[service.mine]\nkind = 'none'\nmax_connections = 'x'\nallow = [1]", "utf-8")
    assert [line.split(": ")[1] for line in mistakes(file)] == [
        "service.mine.kind",
        "service.mine.max_connections",
        "service.mine.allow[0]",
    ]


def test_mistakes_of_one_line_are_named_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    file = tmp_path / "sockd.toml"
    file.write_text(f"[service.echo]\nlisten = [{', '.join(12 * ['1'])}]", "utf-8")
    keys = [line.split(": ")[1] for line in mistakes(file)]
    assert keys == [f"service.echo.listen[{number}]" for number in range(12)]


def test_a_certificate_that_may_be_missing_is_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "sockd.toml"
    listen = "ssl:0:privateKey=/nowhere/k:certKey=/nowhere/c:interface=localhost"
    file.write_text(f"[service.echo]\nrequired = false\nlisten = ['{listen}']", "utf-8")
    assert build(read(file), FOUND, "/run/sockd").warnings == (
        f"service.echo: {listen}: /nowhere/c: No such file or directory",
    )


@pytest.mark.parametrize("config", ["", "# nothing\n", "[service]", "[sockd]\nlog_format = 'json'"])
def test_a_configuration_without_a_service_is_a_mistake(config: str, tmp_path: Path) -> None:
    file = tmp_path / "sockd.toml"
    file.write_text(config, "utf-8")
    assert mistakes(file) == ["nothing to run: there is no [service.NAME] table"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert mistakes(tmp_path / "none.toml") == [f"{tmp_path}/none.toml: No such file or directory"]


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    assert mistakes(tmp_path) == [f"{tmp_path}: a directory, not a file"]


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "sockd.toml"
    file.write_bytes(b"#" * (MAX_FILE + 1))
    assert mistakes(file) == [f"{file}: larger than 1048576 bytes"]
    file.write_bytes(b"[service.echo]\n#".ljust(MAX_FILE, b"#"))
    assert [one.name for one in build(read(file), FOUND, "/run/sockd").instances] == ["echo"]


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    file = tmp_path / "sockd.toml"
    file.write_bytes(b"[service.echo]\n# \xff\n")
    [line] = mistakes(file)
    assert line == f"{file}: not UTF-8 (at byte 17)"


def test_what_is_nested_without_end_is_a_mistake(tmp_path: Path) -> None:
    file = tmp_path / "sockd.toml"
    file.write_text("a = " + "[" * 100_000, "utf-8")
    [line] = mistakes(file)
    assert line.startswith(f"{file}")
    assert "not TOML" in line


@contextmanager
def without_privilege() -> Iterator[None]:
    """Files are opened as somebody whom they do not belong to."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good configuration, by a name that is read without a look at the folders above."""
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    file = Path("sockd.toml")
    file.write_text("[service.echo]", "utf-8")
    return file


def test_a_file_that_may_not_be_read_is_named(config: Path) -> None:
    config.chmod(0)
    with without_privilege():
        assert mistakes(config) == ["sockd.toml: Permission denied"]


def test_a_conf_d_that_may_not_be_read_is_not_taken_for_an_empty_one(config: Path) -> None:
    Path("conf.d").mkdir(mode=0)
    with without_privilege():
        assert mistakes(config) == ["conf.d: Permission denied"]
