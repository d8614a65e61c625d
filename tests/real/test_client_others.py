"""`sock` and servers that are a line of shell behind socat or ncat, and Python's own of HTTP."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import frozen

from sockd.client.exits import Exit
from tests.client.running import Done, sock
from tests.processes import free_port
from tests.real.others import serving

LATE = ("-W", "60s")
STREAMS = ("tcp", "tls", "unix")
DATAGRAMS = ("udp", "unixgram")
OVER_STREAMS = pytest.mark.parametrize("transport", STREAMS)
OVER_DATAGRAMS = pytest.mark.parametrize("transport", DATAGRAMS)
OVER_ALL = pytest.mark.parametrize("transport", [*STREAMS, *DATAGRAMS])
SOCAT = {
    "tcp": "TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork",
    "tls": "OPENSSL-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,cert={cert},key={key},verify=0",
    "unix": "UNIX-LISTEN:{path},fork",
    "udp": "UDP-RECVFROM:{port},bind=127.0.0.1,reuseaddr,fork",
    "unixgram": "UNIX-RECVFROM:{path},fork",
}
NCAT = {
    "tcp": "-l -k 127.0.0.1 {port}",
    "tls": "-l -k --ssl --ssl-cert {cert} --ssl-key {key} 127.0.0.1 {port}",
    "unix": "-l -k -U {path}",
    "udp": "-l -u 127.0.0.1 {port}",
}
LINGER = "30"
"""Seconds that socat waits for its program once the client has finished: it ends by itself."""

# what the servers run, each in a shell
ACK = "echo Hello client; exec sed -u 's/^/OK : /'"
FACTOR = "factor | sed 's/^[0-9]*: //'"
REVERSE_DATAGRAM = "perl -pe 's/^([0-9]+: )(.*)/$1 . reverse $2/e'"
SAID = "read -r line; printf 'You said:%s\\r\\n' \"$line\""
TIME = "perl -e 'print pack q(N), time + 2208988800'"
LOCALTIME = """read -r zone
[ -e "/usr/share/zoneinfo/$zone" ] || { printf 'error: no such zone'; exit; }
LC_ALL=C TZ="$zone" date '+%a %b %e %H:%M:%S %Y'"""
CHARGEN = r"""exec perl -e 'for ($i = 0; ; $i++) {
    print +(map { chr 32 + ($i + $_) % 95 } 0 .. 71), "\r\n" or exit }'"""


@frozen
class Others:
    """What a server is started with, and how `sock` gets there."""

    folder: Path
    tls_files: tuple[Path, Path, Path]

    @contextmanager
    def serve(self, program: str, transport: str, script: str) -> Iterator[list[str]]:
        """A shell script behind `socat` or `ncat`; the options of `sock` for it."""
        port, path = free_port(), self.folder / f"{transport}.sock"
        file = self.folder / f"{program}-{transport}.sh"
        file.write_text(script)
        certificate, key, authority = self.tls_files
        form = (SOCAT if program == "socat" else NCAT)[transport]
        listens = form.format(port=port, path=path, cert=certificate, key=key)
        if program == "socat":
            argv = ["socat", "-t", LINGER, listens, f"EXEC:/bin/sh {file}"]
        else:
            argv = ["ncat", *shlex.split(listens), "--sh-exec", f"/bin/sh {file}"]
        over = ["--udp"] if transport in DATAGRAMS else []
        if transport.startswith("unix"):
            with serving(argv, ("unix", str(path))):
                yield [*over, "--unix", str(path), *LATE]
            return
        if transport == "tls":
            over = ["--tls", "--ca", str(authority)]
        with serving(argv, ("udp" if transport == "udp" else "tcp", port)):
            yield [*over, "--port", str(port), *LATE]


@pytest.fixture
def others(tmp_path: Path, tls_files: tuple[Path, Path, Path]) -> Others:
    return Others(tmp_path, tls_files)


def host(transport: str) -> list[str]:
    """Whom to ask: a path says it all."""
    return [] if transport.startswith("unix") else ["127.0.0.1"]


def to(transport: str) -> list[str]:
    """The same as an option."""
    return [word for name in host(transport) for word in ("-H", name)]


def ask(others: Others, transport: str, script: str, *words: str, program: str = "socat") -> Done:
    """Ask a server of this script."""
    with others.serve(program, transport, script) as way:
        return sock(words[0], *way, *words[1:])


# bytes as they are


@pytest.mark.parametrize("program", ["socat", "ncat"])
@OVER_STREAMS
def test_what_is_served_is_got(others: Others, program: str, transport: str) -> None:
    data = bytes(range(256)) * 1000
    (others.folder / "data").write_bytes(data)
    script = f"cat {others.folder}/data"
    done = ask(others, transport, script, "get", *host(transport), program=program)
    assert (done.code, done.out) == (Exit.ANSWERED, data), done.err


@pytest.mark.parametrize("program", ["socat", "ncat"])
@OVER_STREAMS
def test_what_is_sent_comes_back_to_its_end(others: Others, program: str, transport: str) -> None:
    data = b"\0\xff\r\n" * 10_000
    # ncat drops what is on its way when the client finishes
    words = ["--keep-open", "--answers", "10000"] if program == "ncat" else []
    with others.serve(program, transport, "exec cat") as way:
        done = sock("send", *way, *host(transport), *words, stdin=data)
    assert (done.code, done.out) == (Exit.ANSWERED, data), done.err


@pytest.mark.parametrize(
    ("program", "transport"), [("socat", "udp"), ("socat", "unixgram"), ("ncat", "udp")]
)
def test_a_datagram_comes_back(others: Others, program: str, transport: str) -> None:
    words = ("send", *host(transport), "--answers", "1", "--hex", "16161616 00 FFFF")
    done = ask(others, transport, "exec cat", *words, program=program)
    assert (done.code, done.out) == (Exit.ANSWERED, bytes.fromhex("1616161600FFFF")), done.err


# texts and times


@pytest.mark.parametrize(
    ("command", "transport"),
    [("daytime", "tls"), ("daytime", "unix"), ("quote", "tcp"), ("quote", "udp")],
)
def test_a_text_is_printed(others: Others, transport: str, command: str) -> None:
    script = "printf 'A stitch in time\\r\\nsaves nine.\\r\\n'"
    if transport in DATAGRAMS:
        # socat drops the answer of a program that has ended before it was given the datagram
        script = f"head -c 1 >/dev/null; {script}"
    # socat's programs are given no datagram that has nothing in it
    asked = ["-s1"] if transport in ("udp", "unixgram") else []
    done = ask(others, transport, script, command, *asked, *host(transport))
    assert (done.code, done.out) == (0, b"A stitch in time\r\nsaves nine.\r\n"), done.err


@OVER_STREAMS
def test_a_greeting_is_printed(others: Others, transport: str) -> None:
    done = ask(others, transport, "echo Welcome", "greet", *host(transport), program="ncat")
    assert (done.code, done.out) == (Exit.ANSWERED, b"Welcome\n"), done.err


@pytest.mark.parametrize("transport", ["tls", "unix"])
def test_a_clock_is_compared(others: Others, transport: str) -> None:
    done = ask(others, transport, TIME, "time", "-J", *host(transport))
    values = json.loads(done.out.splitlines()[-1])["hosts"][0]["values"]
    assert done.code == Exit.ANSWERED, done.err
    assert values["offset_low_ns"] <= 0 <= values["offset_high_ns"]


@OVER_DATAGRAMS
def test_the_time_in_a_zone_is_printed(
    others: Others, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    begin = time.time()
    # a client's datagram has no line end, and is what there is to read
    done = ask(others, transport, LOCALTIME, "localtime", "Etc/UTC", *to(transport))
    assert done.code == Exit.ANSWERED, done.err
    assert done.out.strip() in utc_ctimes(begin, time.time())


def utc_ctimes(begin: float, end: float) -> set[bytes]:
    return {time.asctime(time.gmtime(one)).encode() for one in range(int(begin), int(end) + 1)}


def test_a_zone_that_is_unknown_is_told(others: Others) -> None:
    done = ask(others, "unixgram", LOCALTIME, "localtime", "Mars/Base")
    assert (done.code, done.out) == (Exit.UNREACHABLE, b"")
    assert "no such zone" in done.err


# lines


@OVER_STREAMS
def test_lines_are_reversed(others: Others, transport: str) -> None:
    done = ask(others, transport, "exec rev", "reverse", *to(transport), "abc", "na\xefve", "")
    assert (done.code, done.out.decode()) == (Exit.ANSWERED, "cba\nev\xefan\n\n"), done.err


@OVER_DATAGRAMS
def test_lines_are_reversed_by_datagrams(others: Others, transport: str) -> None:
    done = ask(others, transport, REVERSE_DATAGRAM, "reverse", *to(transport), "abc", "de")
    assert (done.code, done.out) == (Exit.ANSWERED, b"cba\ned\n"), done.err


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_numbers_are_factored(others: Others, transport: str) -> None:
    done = ask(others, transport, FACTOR, "factor", *to(transport), "42", "18446744073709551557")
    assert (done.code, done.out) == (0, b"2 3 7\n18446744073709551557\n"), done.err


@OVER_STREAMS
def test_lines_are_acknowledged_after_a_greeting(others: Others, transport: str) -> None:
    done = ask(others, transport, ACK, "ack", *to(transport), "one", "two")
    assert (done.code, done.out) == (Exit.ANSWERED, b"OK : one\nOK : two\n"), done.err


@OVER_STREAMS
def test_what_was_said_is_printed(others: Others, transport: str) -> None:
    done = ask(others, transport, SAID, "said", *to(transport), "good", "day")
    assert (done.code, done.out) == (Exit.ANSWERED, b"You said:good day\n"), done.err


@OVER_STREAMS
def test_a_text_is_filled(others: Others, transport: str) -> None:
    text = b"Sockets are where programs on two machines meet and talk.\n"
    with others.serve("socat", transport, "exec fmt -w 30") as way:
        done = sock("wrap", *way, *to(transport), stdin=text)
    assert done.code == Exit.ANSWERED, done.err
    assert done.out.split() == text.split()
    assert max(map(len, done.out.splitlines())) <= 30


# HTTP

PAGE = b"<p>Gr\xc3\xbc\xc3\x9fe</p>\n" * 5000
REQUEST_IS_READ = """while read -r line; do
    [ "$line" = "$(printf '\\r')" ] && break
done"""


def canned(head: str, body: str) -> str:
    """A script that reads a request and says an answer."""
    lines = [shlex.quote(f"{line}\\r\\n") for line in [*head.splitlines(), ""]]
    says = [f"printf {line}" for line in lines] + [f"printf {shlex.quote(body)}"]
    return "\n".join([REQUEST_IS_READ, *says])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The URL of a folder that Python serves."""
    folder, port = tmp_path / "site", free_port()
    (folder / "sub").mkdir(parents=True)
    (folder / "page.html").write_bytes(PAGE)
    (folder / "sub" / "index.html").write_bytes(PAGE[:100])
    argv = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "-d", str(folder)]
    with serving([*argv, str(port)], ("tcp", port)):
        yield f"http://127.0.0.1:{port}"


def test_a_page_is_fetched(site: str) -> None:
    done = sock("http", *LATE, "--headers", f"{site}/page.html")
    assert (done.code, done.out) == (Exit.ANSWERED, PAGE), done.err
    assert "200 OK" in done.err
    assert "text/html" in done.err


def test_a_redirect_is_followed_when_that_is_wanted(site: str) -> None:
    done = sock("http", *LATE, "--follow", f"{site}/sub")
    assert (done.code, done.out) == (Exit.ANSWERED, PAGE[:100]), done.err


def test_a_page_that_is_missing_is_an_answer_unless_it_must_not_be(site: str) -> None:
    done = sock("http", *LATE, f"{site}/none")
    assert (done.code, b"404" in done.out) == (Exit.ANSWERED, True), done.err
    done = sock("http", *LATE, "--fail", f"{site}/none")
    assert (done.code, "404" in done.err) == (Exit.BAD_ANSWER, True), done.err


@pytest.mark.parametrize(
    ("head", "body", "code"),
    [
        ("HTTP/1.0 200 OK", "plain", Exit.ANSWERED),
        (
            "HTTP/1.1 200 OK\nTransfer-Encoding: chunked",
            "3\\r\\npla\\r\\n2\\r\\nin\\r\\n0\\r\\n\\r\\n",
            Exit.ANSWERED,
        ),
        ("HTTP/1.1 200 OK\nContent-Length: 9", "plain", Exit.BAD_ANSWER),
        ("SSH-2.0-OpenSSH_9.2", "plain", Exit.BAD_ANSWER),
    ],
)
def test_a_canned_answer_is_what_it_says(others: Others, head: str, body: str, code: Exit) -> None:
    with others.serve("socat", "unix", canned(head, body)) as way:
        done = sock("http", *way, "http://localhost/")
    assert done.code == code, done.err
    assert done.out == b"plain" or code == Exit.BAD_ANSWER
    assert bool(done.err) == (code == Exit.BAD_ANSWER)


def test_https_is_fetched(others: Others) -> None:
    with others.serve("socat", "tls", canned("HTTP/1.0 200 OK", "secret")) as way:
        _, *trust, _, port = way[:5]
        done = sock("http", *trust, *LATE, f"https://127.0.0.1:{port}/")
    assert (done.code, done.out) == (Exit.ANSWERED, b"secret"), done.err


def test_a_certificate_that_nobody_vouches_for_is_refused(others: Others) -> None:
    with others.serve("ncat", "tls", "echo secret") as way:
        _, _, _, *port = way
        done = sock("get", "--tls", *port, "127.0.0.1")
    assert (done.code, done.out) == (Exit.CERTIFICATE, b""), done.err


# measures


@OVER_ALL
def test_round_trips_are_measured(others: Others, transport: str) -> None:
    over = ["--tcp"] if transport == "tcp" else []
    words = ("echo", *over, "-c", "3", "-i", "1ms", "-J", *host(transport))
    done = ask(others, transport, "exec cat", *words)
    counts = json.loads(done.out.splitlines()[-1])["hosts"][0]["counts"]
    assert done.code == Exit.ANSWERED, done.err
    assert (counts["sent"], counts["received"], counts["corrupt"]) == (3, 3, 0)


@OVER_STREAMS
def test_the_pattern_is_read(others: Others, transport: str) -> None:
    done = ask(others, transport, CHARGEN, "chargen", "-s", "200k", *host(transport))
    assert done.code == Exit.ANSWERED, done.err
    assert len(done.out) == 200 << 10


@OVER_STREAMS
def test_data_is_taken(others: Others, transport: str) -> None:
    words = ("discard", "-s", "200k", "-J", *host(transport))
    done = ask(others, transport, "exec cat >/dev/null", *words)
    found = json.loads(done.out.splitlines()[-1])["hosts"][0]
    assert (done.code, found["counts"]["bytes_sent"]) == (Exit.ANSWERED, 200 << 10), done.err
