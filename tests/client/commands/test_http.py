"""`sock http`: against servers that keep to HTTP, and those that do not."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sockd.client.commands.http import MOST_REDIRECTS
from sockd.client.exits import Exit
from sockd.client.talk.exchange import MOST_HEAD
from tests.client.commands.site import certify
from tests.client.liars import Step, Told, refusing_port, resets, says, stays, stream_liar
from tests.client.running import Done, sock
from tests.processes import PATIENCE

LATE = "60s"
LONG = bytes(range(256)) * 4096
"""A megabyte that is no text."""


class Pages(BaseHTTPRequestHandler):
    """`/PATH` says what was asked, and some paths do something else."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        head, _, rest = self.path[1:].partition("/")
        if head == "to":
            self.answer(302, b"elsewhere", Location=rest)
        elif head == "around":
            self.answer(301, b"", Location=f"/around/{int(rest) - 1}" if int(rest) else "/end")
        elif head == "long":
            self.answer(200, LONG)
        elif head == "chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"3\r\nabc\r\n4\r\ndefg\r\n0\r\nX-More: yes\r\n\r\n")
        elif head == "status":
            self.answer(int(rest), b"no such page\n")
        else:
            told = dict(self.headers.items())
            self.answer(200, json.dumps({"path": self.path, **told}).encode())

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(key: Path | None = None) -> Iterator[str]:
    """A server of `Pages` on 127.0.0.1, over TLS with a key; its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        if key is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(str(key))
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http{'s' * (key is not None)}://localhost:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(PATIENCE)


@pytest.fixture(scope="module")
def plain() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("https")
    authority, key = certify(folder)
    with serving(key) as url:
        yield url, authority


def http(*arguments: str | Path) -> Done:
    return sock("http", "-4", "-W", LATE, *arguments)


def test_a_page_is_fetched_and_its_host_is_named(plain: str) -> None:
    done = http(f"{plain}/a?b#c")
    assert (done.code, done.err) == (Exit.ANSWERED, "")
    told = json.loads(done.out)
    assert told["path"] == "/a?b"
    assert told["Host"] == plain.removeprefix("http://")
    assert told["User-Agent"].startswith("sock/")


def test_without_a_scheme_it_is_http(plain: str) -> None:
    assert http(plain.removeprefix("http://")).code == Exit.ANSWERED


def test_a_body_in_chunks_is_put_together(plain: str) -> None:
    assert http(f"{plain}/chunked").out == b"abcdefg"


def test_a_body_into_a_file_is_raw(plain: str) -> None:
    assert http(f"{plain}/long").out == LONG


def test_any_answer_is_an_answer_unless_fail(plain: str) -> None:
    done = http(f"{plain}/status/404")
    assert (done.code, done.out, done.err) == (Exit.ANSWERED, b"no such page\n", "")
    done = http(f"{plain}/status/404", "--fail")
    assert (done.code, done.out) == (Exit.BAD_ANSWER, b"no such page\n")
    assert "404 Not Found" in done.err
    assert http(f"{plain}/status/399", "--fail").code == Exit.ANSWERED


def test_headers_are_told_on_standard_error(plain: str) -> None:
    done = http(f"{plain}/long", "--headers")
    assert done.out == LONG
    assert done.err.startswith("HTTP/1.1 200 OK\n")
    assert f"Content-Length: {len(LONG)}\n" in done.err


def test_headers_of_preliminary_answers_are_told_too() -> None:
    heads = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b"X: y\r\n\r\n"
    with stream_liar(hears_request, says(heads + b"a\r\n\r\nb")) as liar:
        done = http(f"http://127.0.0.1:{liar.port}", "--headers")
    assert done.out == b"a\r\n\r\nb"
    assert done.err == "HTTP/1.1 103 Early Hints\nLink: x\n\nHTTP/1.1 200 OK\nX: y\n\n"


def test_headers_are_escaped() -> None:
    head = b"HTTP/1.1 200 \x1b[2J\r\nX: \x1b[31m\r\nContent-Length: 0\r\n\r\n"
    with stream_liar(hears_request, says(head)) as liar:
        done = http(f"http://127.0.0.1:{liar.port}", "--headers")
    assert done.code == Exit.ANSWERED, done.err
    assert "\x1b" not in done.err
    assert "\\x1b[31m" in done.err


def test_a_redirect_is_followed_where_that_is_asked_for(plain: str) -> None:
    done = http(f"{plain}/to/{plain}/there")
    assert (done.code, done.out) == (Exit.ANSWERED, b"elsewhere")
    done = http(f"{plain}/to//there", "--follow", "-J")
    assert done.code == Exit.ANSWERED
    [probe] = [json.loads(line) for line in done.out.splitlines() if b'"probe"' in line]
    assert json.loads(probe["text"])["path"] == "/there"
    assert probe["values"] == {"status": 200, "redirects": 1}


def test_redirects_are_followed_so_often_and_no_more(plain: str) -> None:
    done = http(f"{plain}/around/{MOST_REDIRECTS - 1}", "--follow")
    assert (done.code, json.loads(done.out)["path"]) == (Exit.ANSWERED, "/end")
    done = http(f"{plain}/around/{MOST_REDIRECTS}", "--follow")
    assert done.code == Exit.BAD_ANSWER
    assert "more than 5 times" in done.err


def test_a_redirect_to_what_is_no_url_of_http_is_refused(plain: str) -> None:
    done = http(f"{plain}/to/file:///etc/passwd", "--follow")
    assert (done.code, done.out) == (Exit.BAD_ANSWER, b"")
    assert "leads to no URL" in done.err


def test_https_verifies_the_server(secure: tuple[str, Path]) -> None:
    url, authority = secure
    done = http(url, "--ca", authority)
    assert (done.code, json.loads(done.out)["path"]) == (Exit.ANSWERED, "/"), done.err
    assert http(url).code == Exit.CERTIFICATE
    assert http(url, "--ca", authority, "--server-name", "else.where").code == Exit.CERTIFICATE
    assert http(url, "--insecure").code == Exit.ANSWERED
    done = http(url.replace("https", "http"))  # which is no answer, or an alert
    assert done.code in (Exit.BAD_ANSWER, Exit.UNREACHABLE)


def test_https_does_not_lead_to_http(secure: tuple[str, Path], plain: str) -> None:
    url, authority = secure
    done = http(f"{url}/to/{plain}/", "--ca", authority, "--follow")
    assert (done.code, done.out) == (Exit.BAD_ANSWER, b"")
    assert "nothing is verified" in done.err
    done = http(f"{url}/to//x", "--ca", authority, "--follow")
    assert (done.code, json.loads(done.out)["path"]) == (Exit.ANSWERED, "/x")


def test_plain_http_leads_to_https(secure: tuple[str, Path], plain: str) -> None:
    url, _ = secure
    # options for TLS are for the URL that was given; the system trusts no authority of tests
    assert http(f"{plain}/to/{url}/x", "--follow").code == Exit.CERTIFICATE


def test_the_steps_of_the_connection_are_timed(secure: tuple[str, Path]) -> None:
    url, authority = secure
    done = http(url, "--ca", authority, "-J")
    timing = json.loads(done.out.splitlines()[-1])["hosts"][0]["timing"]
    assert all(timing[step] > 0 for step in timing), timing
    assert timing["total_ns"] >= timing["connect_ns"] + timing["tls_ns"] + timing["first_byte_ns"]


def test_a_socket_file_is_asked_too(tmp_path: Path) -> None:
    path = tmp_path / "http"
    with stream_liar(hears_request, says(b"HTTP/1.1 200 OK\r\n\r\nhi"), path=path) as liar:
        done = sock("http", "-W", LATE, "http://my-host/x", "--unix", path)
        assert b"GET /x HTTP/1.1\r\n" in liar.wait_heard(1)
        assert b"Host: my-host\r\n" in liar.wait_heard(1)
    assert (done.code, done.out) == (Exit.ANSWERED, b"hi"), done.err


def hears_request(told: Told) -> None:
    while b"\r\n\r\n" not in told.heard and (data := told.sock.recv(65536)):
        told.heard += data


OK = b"HTTP/1.1 200 OK\r\n"
ENDLESS_HEAD = OK + b"X: y\r\n" * (MOST_HEAD // 6 + 1)
LIES: dict[str, tuple[list[Step], Exit, str]] = {
    "silent": ([stays], Exit.TIMEOUT, "within 0.3 s"),
    "empty": ([], Exit.BAD_ANSWER, "closed without an answer"),
    "resetting": ([resets], Exit.UNREACHABLE, "reset"),
    "garbage": ([says(b"\0\1\2\n\n")], Exit.BAD_ANSWER, "no answer of HTTP/1.1"),
    "half a head": ([says(OK + b"X: y")], Exit.BAD_ANSWER, "no answer of HTTP/1.1"),
    "a head that falls silent": ([says(OK), stays], Exit.TIMEOUT, "within 0.3 s"),
    "an endless head": ([says(ENDLESS_HEAD), stays], Exit.BAD_ANSWER, "head of more than"),
    "an endless line": ([says(OK + b"X" * 100_000), stays], Exit.BAD_ANSWER, "HTTP/1.1"),
    "a cut body": (
        [says(OK + b"Content-Length: 9\r\n\r\nabc")],
        Exit.BAD_ANSWER,
        "before its body",
    ),
    "a cut chunk": (
        [says(OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nabc")],
        Exit.BAD_ANSWER,
        "before its body",
    ),
    "a broken chunk": (
        [says(OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nabc"), stays],
        Exit.BAD_ANSWER,
        "broke its coding",
    ),
    "a body that falls silent": (
        [says(OK + b"Content-Length: 9\r\n\r\nabc"), stays],
        Exit.TIMEOUT,
        "within 0.3 s",
    ),
    "a body that resets": (
        [says(OK + b"Content-Length: 9\r\n\r\nabc"), resets],
        Exit.UNREACHABLE,
        "reset",
    ),
    "two lengths": (
        [says(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), stays],
        Exit.BAD_ANSWER,
        "",
    ),
    "a body to the end": ([says(OK + b"\r\nabc")], Exit.ANSWERED, ""),
    "a body and more": ([says(OK + b"Content-Length: 3\r\n\r\nabcdef"), stays], Exit.ANSWERED, ""),
    "a body and staying": ([says(OK + b"Content-Length: 3\r\n\r\nabc"), stays], Exit.ANSWERED, ""),
    "going on first": (
        [says(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"\r\nabc")],
        Exit.ANSWERED,
        "",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_each_kind_of_wrong_server_has_its_exit_code(lie: str) -> None:
    script, code, words = LIES[lie]
    with stream_liar(hears_request, *script) as liar:
        wait = "300ms" if code is Exit.TIMEOUT else LATE
        done = sock("http", f"127.0.0.1:{liar.port}", "-W", wait)
    assert (done.code, words in done.err) == (code, True), done.err
    assert "Traceback" not in done.err
    if code is Exit.ANSWERED:
        assert done.out == b"abc"


def test_a_body_that_tls_does_not_end_may_be_cut_short(tmp_path: Path) -> None:
    authority, key = certify(tmp_path)
    with stream_liar(hears_request, says(OK + b"\r\nabc"), tls=(key, key)) as liar:
        done = http(f"https://127.0.0.1:{liar.port}", "--ca", authority)
    assert (done.code, "TLS's end" in done.err) == (Exit.BAD_ANSWER, True), done.err


def test_the_deadline_ends_it() -> None:
    with stream_liar(hears_request, stays) as liar:
        done = http(f"127.0.0.1:{liar.port}", "-w", "500ms")
    assert (done.code, "by the end of 0.5 s" in done.err) == (Exit.TIMEOUT, True), done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["ftp://a/"],
        ["http://a/b c"],
        ["http://u:p@a/"],
        ["http://a/", "--port", "80"],
        ["http://a/", "--insecure"],
        ["https://a/", "--unix", "/x"],
        ["http://a/", "--unix", "/x", "--follow"],
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(arguments: list[str]) -> None:
    assert sock("http", *arguments).code == Exit.USAGE


def test_nobody_there_is_told() -> None:
    with refusing_port() as port:
        assert http(f"127.0.0.1:{port}").code == Exit.UNREACHABLE
    assert http("no-such-host.invalid").code == Exit.NAME
