import re
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor

from sockd.listen.address import Address, Binding, Scope
from sockd.listen.listen import Listen
from sockd.listen.schemes import SCHEMES
from sockd.listen.strings import expand, parse
from sockd.listen.terms import Terms


def listen(
    binding: Binding,
    host: str = "",
    port: int = 0,
    path: str = "",
    systemd: str = "",
    interface: str = "",
    **terms: Any,
) -> Listen:
    return Listen("", Address(binding, host, port, path, systemd, interface), Terms(**terms))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("tcp:7800", listen("tcp", "0.0.0.0", 7800)),
        ("tcp:0", listen("tcp", "0.0.0.0", 0)),
        ("tcp:7800:interface=127.0.0.1", listen("tcp", "127.0.0.1", 7800)),
        ("tcp:7800:127.0.0.1:50", listen("tcp", "127.0.0.1", 7800, backlog=50)),
        ("tcp:port=7800:backlog=5", listen("tcp", "0.0.0.0", 7800, backlog=5)),
        ("tcp:7800:interface=[::1]", listen("tcp", "::1", 7800)),
        (r"tcp:7800:interface=\:\:1", listen("tcp", "::1", 7800)),
        ("tcp:7800:interface=[fe80::1%eth0]", listen("tcp", "fe80::1%eth0", 7800)),
        ("tcp:7800:interface=[0:0:0:0:0:0:0:1]", listen("tcp", "::1", 7800)),
        ("tcp6:7800", listen("tcp", "::", 7800)),
        ("tcp6:7800:interface=localhost", listen("tcp", "::1", 7800)),
        ("tcp6:7800:interface=*", listen("tcp", "::", 7800)),
        ("udp:2007", listen("udp", "0.0.0.0", 2007)),
        ("udp:2007:interface=127.0.0.1", listen("udp", "127.0.0.1", 2007)),
        ("udp6:2007", listen("udp", "::", 2007)),
        (
            "ssl:443:privateKey=k.pem:certKey=c.pem:clientCA=ca.pem:interface=127.0.0.1",
            listen("tcp", "127.0.0.1", 443, certificate="c.pem", key="k.pem", client_ca="ca.pem"),
        ),
        (
            "tls:443:privateKey=k.pem",
            listen("tcp", "0.0.0.0", 443, certificate="k.pem", key="k.pem"),
        ),
        ("unix:/run/w.sock", listen("unix", path="/run/w.sock")),
        ("unix:${RUNTIME}/w.sock", listen("unix", path="${RUNTIME}/w.sock")),
        (
            r"unix:/run/a\:b:mode=600:backlog=3",
            listen("unix", path="/run/a:b", mode=0o600, backlog=3),
        ),
        (
            "unix:/run/w.sock:user=root:group=7",
            listen("unix", path="/run/w.sock", user=0, group=7),
        ),
        ("unixgram:/run/l.sock:user=12", listen("unixgram", path="/run/l.sock", user=12)),
        ("unixgram:/run/l.sock:mode=0666", listen("unixgram", path="/run/l.sock", mode=0o666)),
        (
            "multicast:224.225.226.227:2070",
            listen("multicast", "224.225.226.227", 2070, ttl=1, interface="127.0.0.1"),
        ),
        (
            "multicast:224.225.226.227:2070:ttl=31:interface=192.0.2.1",
            listen("multicast", "224.225.226.227", 2070, ttl=31, interface="192.0.2.1"),
        ),
        (
            "multicast:224.225.226.227:2070:interface=*",
            listen("multicast", "224.225.226.227", 2070, interface="0.0.0.0"),
        ),
        ("multicast:[ff02::1]:9", listen("multicast", "ff02::1", 9, interface="::1")),
        ("systemd:name=echo", listen("tcp", systemd="echo")),
        ("systemd:index=2", listen("tcp", systemd="2")),
        ("systemd:domain=INET6:index=0", listen("tcp", systemd="0")),
        ("systemd:name=echo:type=datagram", listen("udp", systemd="echo")),
        ("systemd:domain=UNIX:name=w", listen("unix", systemd="w")),
        ("systemd:domain=UNIX:name=w:type=datagram", listen("unixgram", systemd="w")),
        (
            "haproxy:tcp:7800:interface=127.0.0.1:proxies=127.0.0.1/32,[::1]/128",
            listen("tcp", "127.0.0.1", 7800, proxies=("127.0.0.1/32", "::1/128")),
        ),
        (
            "haproxy:systemd:name=echo:proxies=10.0.0.0/8",
            listen("tcp", systemd="echo", proxies=("10.0.0.0/8",)),
        ),
    ],
)
def test_a_listen_string_is_read(text: str, meant: Listen) -> None:
    assert parse(text) == meant
    assert expand(text) == (meant,)
    assert parse(text).text == text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "expected a listen string such as"),
        ("tpc:7800", "unknown transport 'tpc'; did you mean 'tcp'?"),
        ("TCP:7800", "unknown transport 'TCP'; did you mean 'tcp'?"),
        ("haprox:tcp:1", "did you mean 'haproxy'?"),
        ("localhost:7800", "unknown transport 'localhost'; there are tcp, tcp6, ssl,"),
        ("/run/w.sock", "unknown transport '/run/w.sock'; there are"),
        ("port=7800", "unknown transport 'port'"),
        ("7800", 'write "tcp:7800"'),
        ("tcp", 'tcp needs port, as in "tcp:7800:interface=127.0.0.1"'),
        ("tcp:", "a field is empty in 'tcp:'; nothing stands at its end"),
        ("tcp:http", "port must be a number, got 'http'"),
        ("tcp:127.0.0.1:7800", 'write it as "tcp:7800:interface=127.0.0.1"'),
        ("tcp://127.0.0.1:7800", "port must be a number, got '//127.0.0.1'"),
        ("tcp:[::1]:7800", "port must be a number, got '[::1]'"),
        ("tcp:65536", "port must be from 0 to 65535, got 65536"),
        ("tcp:-1", "port must be a number"),
        ("tcp:٣", "port must be a number"),
        ("tcp:" + "9" * 5000, "port must be a number"),
        ("tcp:7800:interfce=::", "interface=[::1]"),
        ("tcp:7800:interfce=127.0.0.1", "tcp takes no 'interfce'; did you mean 'interface'?"),
        ("tcp:7800:interface=127.0.0.1:interface=127.0.0.2", "interface is given twice"),
        ("tcp:7800:interface=", "interface is empty"),
        ("tcp:7800:interface=::1", "write an IPv6 address in square brackets"),
        ("tcp:7800:interface=fe80::1", "write an IPv6 address in square brackets"),
        ("tcp:7800:interface=[::1", "without its ']'"),
        ("tcp:7800:interface=eth0", 'interface must be an IP address, "localhost" or "*"'),
        ("tcp:7800:interface=example.org", "no name is looked up"),
        ("tcp:7800:interface=224.0.0.1", "interface must be an address of this host"),
        ("tcp:7800:interface=[::ffff:127.0.0.1]", "interface must be 127.0.0.1"),
        ("tcp:7800:127.0.0.1:5:6", "tcp has no place for '6'"),
        ("tcp:7800:backlog=0", "backlog must be from 1 to 65535"),
        ("tcp:7800:backlog=many", "backlog must be a number"),
        ("tcp:7800:proxies=::", "empty"),
        ("tcp:7800:proxies=10.0.0.0/8", 'write "haproxy:" in front'),
        ("tcp6:7800:interface=127.0.0.1", "interface must be an IPv6 address here"),
        ("udp:2007:backlog=5", "udp takes no 'backlog'"),
        ("ssl:443", "ssl needs privateKey, as in"),
        ("ssl:443:certKey=c.pem", "ssl needs privateKey"),
        ("ssl:443:privatekey=k.pem", "did you mean 'privateKey'?"),
        ("ssl:443:privateKey=k:sslmethod=TLSv1", "TLS 1.2 and later is what is spoken"),
        ("unix", "unix needs address, as in"),
        ("unix:/run/w.sock:mode=999", "mode must be three octal digits such as 660, got '999'"),
        ("unix:/run/w.sock:user=nobody-here", "there is no user 'nobody-here' on this host"),
        ("unix:/run/w.sock:group=none-here", "there is no group 'none-here' on this host"),
        ("unix:/run/w.sock:owner=root", "unix takes no 'owner'; did you mean 'user'?"),
        ("tcp:80:user=root", "tcp takes no 'user'"),
        ("unix:/run/w.sock:mode=rw", "mode must be three octal digits"),
        ("unix:/run/w.sock:mode=4755", "mode must be three octal digits"),
        ("unix:/run/w.sock:lockfile=0", "a dead socket is replaced without one"),
        ("unix:/run/\0", "holds no NUL"),
        ("unix:/" + "x" * 107, "at most 107 bytes"),
        ("unixgram:/" + "é" * 54, "has 109"),
        ("multicast:10.0.0.1:2070", "group must be a multicast group, got '10.0.0.1'"),
        ("multicast:all:2070", "group must be an IP address, got 'all'"),
        ("multicast:224.0.0.251", "multicast needs port"),
        ("multicast:224.0.0.251:1:ttl=256", "ttl must be from 0 to 255"),
        ("multicast:224.0.0.251:1:interface=[::1]", "interface must be an IPv4 address here"),
        ("systemd:echo", "systemd has no place for 'echo'; write it as \"systemd:name=echo\""),
        ("systemd:domain=INET", "systemd needs either name or index"),
        ("systemd:name=a:index=1", "systemd needs either name or index"),
        ("systemd:name=3", "for a number write index="),
        (r"systemd:name=a\:b", "systemd has no descriptor named"),
        ("systemd:index=first", "index must be a number"),
        ("systemd:name=a:type=seqpacket", "type stream or datagram"),
        ("systemd:name=a:domain=INET4", "domain INET, INET6 or UNIX"),
        ("haproxy", "without it anyone could forge an address"),
        ("haproxy:tcp:7800", "without it anyone could forge an address"),
        ("haproxy:proxies=::", "empty"),
        ("haproxy:proxies=10.0.0.0/8", "haproxy needs a transport"),
        ("haproxy:tcp:7800:proxies=lan", "expected an address or prefix such as"),
        ("haproxy:tcp:7800:proxies=10.0.0.1/8", 'did you mean "10.0.0.0/8"?'),
        ("haproxy:udp:7:proxies=10.0.0.0/8", "haproxy needs TCP or TLS, not udp"),
        ("haproxy:unix:/x:proxies=10.0.0.0/8", "haproxy needs TCP or TLS, not unix"),
        ("haproxy:haproxy:tcp:7800:proxies=::1", "empty"),
        ("haproxy:haproxy:tcp:7800:proxies=10.0.0.0/8", "unknown transport 'haproxy'"),
    ],
)
def test_what_is_not_a_listen_string_is_refused_in_a_clear_sentence(
    text: str, sentence: str
) -> None:
    for read in (parse, expand):
        with pytest.raises(ValueError, match=re.escape(sentence)):
            read(text)


@given(st.text() | st.text(alphabet="tcpudix6:=[]*,.0189\\"))
def test_any_text_is_read_or_refused(text: str) -> None:
    for scheme in ("", *(f"{name}:" for name in SCHEMES)):
        try:
            found = expand(scheme + text)
        except ValueError:
            continue
        assert found


@pytest.mark.parametrize("name", SCHEMES)
def test_the_example_of_every_transport_is_read(name: str) -> None:
    assert parse(SCHEMES[name].example).text == SCHEMES[name].example


@pytest.mark.parametrize(
    ("interface", "hosts"), [("localhost", ("127.0.0.1", "::1")), ("*", ("0.0.0.0", "::"))]
)
@pytest.mark.parametrize("start", ["tcp:7800", "udp:7800", "tls:7800:privateKey=k.pem"])
def test_a_name_without_a_family_stands_for_both_and_the_second_is_optional(
    start: str, interface: str, hosts: tuple[str, str]
) -> None:
    text = f"{start}:interface={interface}"
    first, second = expand(text)
    assert (first.host, second.host) == hosts
    assert (first.terms.optional, second.terms.optional) == (False, True)
    assert attrs.evolve(second.address, host=first.host) == first.address
    assert attrs.evolve(second.terms, optional=False) == first.terms
    assert first.text == second.text == text
    with pytest.raises(ValueError, match="write one of them"):
        parse(text)


def test_a_proxied_name_without_a_family_keeps_its_proxies_in_both() -> None:
    found = expand("haproxy:tcp:7800:interface=localhost:proxies=127.0.0.1")
    assert [(listen.host, listen.proxies) for listen in found] == [
        ("127.0.0.1", ("127.0.0.1/32",)),
        ("::1", ("127.0.0.1/32",)),
    ]


@pytest.mark.parametrize(
    ("text", "address", "scope"),
    [
        ("tcp:7800:interface=127.0.0.1", "127.0.0.1:7800", "loopback"),
        ("tcp:7800:interface=127.9.9.9", "127.9.9.9:7800", "loopback"),
        ("tcp:7800:interface=[::1]", "[::1]:7800", "loopback"),
        ("tcp:7800", "0.0.0.0:7800", "wildcard"),
        ("udp6:2007", "[::]:2007", "wildcard"),
        ("udp:2007:interface=192.0.2.1", "192.0.2.1:2007", "address"),
        ("udp:2007:interface=[fe80::1%eth0]", "[fe80::1%eth0]:2007", "address"),
        ("unix:/run/w.sock", "/run/w.sock", "local"),
        ("unixgram:/run/l.sock", "/run/l.sock", "local"),
        ("multicast:224.225.226.227:2070", "224.225.226.227:2070", "loopback"),
        ("multicast:224.225.226.227:1:interface=192.0.2.1", "224.225.226.227:1", "address"),
        ("multicast:[ff02::1]:1:interface=*", "[ff02::1]:1", "wildcard"),
        ("systemd:name=echo", "systemd echo", "wildcard"),
        ("systemd:index=0:domain=UNIX", "systemd 0", "local"),
    ],
)
def test_an_address_has_a_name_and_a_scope(text: str, address: str, scope: Scope) -> None:
    listen = parse(text)
    assert str(listen.address) == address
    assert listen.scope == scope


def test_the_spelling_makes_no_difference() -> None:
    assert parse("tcp:7800") == parse("tcp:port=7800:interface=0.0.0.0")
    assert hash(parse("tcp:7800")) == hash(parse("tcp:port=7800"))


def test_a_path_is_checked_again_when_it_is_replaced() -> None:
    listen = parse("unix:${RUNTIME}/w.sock")
    with pytest.raises(ValueError, match="at most 107 bytes"):
        attrs.evolve(listen.address, path="/" + "x" * 107)


@pytest.mark.parametrize(
    "text",
    [
        "tcp:7800:interface=127.0.0.1:backlog=50",
        "tcp:7800:127.0.0.1:50",
        "tcp:port=7800:backlog=50:interface=127.0.0.1",
        r"tcp:7800:interface=\:\:1:backlog=50",
    ],
)
def test_twisted_reads_a_tcp_string_the_same_way(text: str) -> None:
    reactor = MemoryReactor()
    serverFromString(reactor, text).listen(Factory())
    [(port, _, backlog, interface)] = reactor.tcpServers
    meant = parse(text)
    assert (meant.port, meant.terms.backlog, meant.host) == (port, backlog, interface)


@pytest.mark.parametrize(
    "text", ["unix:/run/w.sock:660:50", r"unix:mode=660:address=/a\:b\\c:backlog=50"]
)
def test_twisted_reads_a_unix_string_the_same_way(text: str) -> None:
    reactor = MemoryReactor()
    serverFromString(reactor, text).listen(Factory())
    [(path, _, backlog, mode, _)] = reactor.unixServers
    meant = parse(text)
    assert (meant.path, meant.terms.backlog, meant.terms.mode) == (path, backlog, mode)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("tcp:7800", "tcp:7800:backlog=5"),
        ("tcp:7800", "tls:7800:privateKey=k.pem"),
        ("tcp:7800", "haproxy:tcp:7800:proxies=10.0.0.0/8"),
        ("unix:/run/w.sock", "unix:/run/w.sock:mode=600"),
        ("multicast:224.225.226.227:1", "multicast:224.225.226.227:1:ttl=9"),
    ],
)
def test_strings_that_differ_in_terms_mean_the_same_address(text: str, other: str) -> None:
    assert parse(text) != parse(other)
    assert parse(text).address == parse(other).address
    assert hash(parse(text).address) == hash(parse(other).address)


def test_what_is_shown_of_one_tells_that_a_proxy_comes_first() -> None:
    assert str(parse("tcp:7800")) == "tcp 0.0.0.0:7800"
    proxied = parse("haproxy:ssl:7800:privateKey=k.pem:proxies=10.0.0.0/8")
    assert str(proxied) == "haproxy:tls 0.0.0.0:7800"
