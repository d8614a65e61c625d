"""Clients in Perl, in the manner of the books on sockets: what they expect holds here."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from tests.daemons import Daemon
from tests.real.programs import ctimes, feed

TEXT = "Sockets are where programs on two machines meet and talk.\n\nThat is all.\n"
FILLED = b"Sockets are where programs on\r\ntwo machines meet and talk.\r\n\r\nThat is all.\r\n"
CONFIG = """
[service.greet]
listen = ["tcp:0:interface=localhost"]
[service.fortune]
listen = ["tcp:0:interface=localhost"]
[service.time]
listen = ["tcp:0:interface=localhost"]
[service.ack]
listen = ["tcp:0:interface=localhost"]
[service.factor]
listen = ["tcp:0:interface=localhost"]
[service.reverse]
listen = ["tcp:0:interface=localhost", "udp:0:interface=localhost"]
[service.wrap]
listen = ["unix:${RUNTIME}/wrap.sock"]
[service.localtime]
listen = ["unixgram:${RUNTIME}/localtime.sock"]
"""
LISTENER = r"""
use IO::Socket::IP;
my ($host, $port) = @ARGV;
my $server = IO::Socket::IP->new(PeerHost => $host, PeerService => $port) or die "no server: $@";
while (defined(my $line = $server->getline)) {
    printf "%d [%s]\n", $., $line =~ s/\r\n\z//r;
}
"""
"""Prints each line that the server says, numbered, until it has no more to say."""
CLOCKS = r"""
use IO::Socket::IP;
use constant SEVENTY_YEARS => 2_208_988_800;
while (@ARGV) {
    my ($host, $port) = splice @ARGV, 0, 2;
    my $server = IO::Socket::IP->new(PeerHost => $host, PeerService => $port);
    if (!$server) { print "$host: silent\n"; next }
    read($server, my $number, 4) == 4 or die "a short answer";
    die "more than a number" if read $server, my $rest, 1;
    my $theirs = unpack("N", $number) - SEVENTY_YEARS;
    printf "%s: %d, %s\n", $host, $theirs - time, scalar localtime $theirs;
}
"""
"""How far the clock of each HOST PORT is from ours, and what it shows."""
CONVERSATION = r"""
use IO::Socket::IP;
my ($host, $port) = @ARGV;
my $server = IO::Socket::IP->new(PeerHost => $host, PeerService => $port) or die "no server: $@";
while (my $line = <STDIN>) {
    print $server $line;
    defined(my $answer = <$server>) or die "no answer to $line";
    $answer =~ s/\r\n\z// or die "no CRLF";
    print "$answer\n";
}
"""
"""A line, its answer, the next line."""
FORKED = r"""
use IO::Socket::IP;
use Socket qw(SHUT_WR);
my ($host, $port) = @ARGV;
my $server = IO::Socket::IP->new(PeerHost => $host, PeerService => $port) or die "no server: $@";
defined(my $child = fork) or die "cannot fork";
if (!$child) {
    print $server $_ while <STDIN>;
    $server->shutdown(SHUT_WR);
    exit;
}
print while <$server>;
waitpid $child, 0;
"""
"""One process sends all of standard input and ends its half, the other prints what comes."""
NUMBERED = r"""
use IO::Socket::IP;
use IO::Select;
use Socket qw(SOCK_DGRAM);
my ($host, $port) = @ARGV;
my $server = IO::Socket::IP->new(PeerHost => $host, PeerService => $port, Type => SOCK_DGRAM)
    or die "no socket: $@";
my $select = IO::Select->new($server);
my $number = 0;
while (my $text = <STDIN>) {
    chomp $text;
    $number++;
    my $answer;
    for my $try (1 .. 5) {
        $server->send("$number: $text");
        while ($select->can_read(2)) {
            $server->recv(my $datagram, 2048);
            next unless $datagram =~ /^(\d+): (.*)/s and $1 == $number;  # an old one, late
            $answer = $2;
            last;
        }
        last if defined $answer;
    }
    print defined $answer ? "$number $answer\n" : "$number lost\n";
}
"""
"""Asks again after two seconds of silence, and takes no answer for another question's."""
WRAP = r"""
use IO::Socket::UNIX;
my $server = IO::Socket::UNIX->new(Peer => shift, Type => SOCK_STREAM) or die "no server: $!";
print $server $_ while <STDIN>;
$server->flush;
shutdown $server, 1;
binmode STDOUT;
print while <$server>;
"""
LOCALTIME = r"""
use IO::Socket::UNIX;
use IO::Select;
my ($server, $own, $zone) = @ARGV;
my $socket = IO::Socket::UNIX->new(Local => $own, Type => SOCK_DGRAM) or die "no socket: $!";
END { unlink $own if defined $own }
send $socket, $zone // " ", 0, pack_sockaddr_un($server) or die "cannot send: $!";
IO::Select->new($socket)->can_read(30) or die "no answer";
recv $socket, my $answer, 1024, 0;
print $answer;
"""
MANY = r"""
use IO::Socket::IP;
use IO::Select;
my ($host, $port, $count) = @ARGV;
my ($select, %said) = IO::Select->new;
for my $n (1 .. $count) {
    my $server = IO::Socket::IP->new(PeerHost => $host, PeerService => $port) or die "only $n: $@";
    sysread $server, my $greeting, 26;
    die "not greeted: $greeting" unless $greeting eq "Hello client how are you\r\n";
    $said{$server} = "client $n";
    $server->syswrite("client $n\n");
    $select->add($server);
}
while ($select->count) {
    for my $server ($select->can_read(10)) {
        sysread $server, my $answer, 1024;
        print $answer eq "OK : $said{$server}\r\n" ? "right\n" : "wrong: $answer\n";
        $select->remove($server);
    }
}
"""
"""COUNT connections open at once: each is greeted and gets the answer to what it said itself."""
FAMILIES = pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("perl"), CONFIG) as running:
        yield running


def perl(script: str, *arguments: str, data: str = "") -> str:
    """What a script prints."""
    strict = f"use strict; use warnings FATAL => 'all'; {script}"
    return feed("perl", "-e", strict, *arguments, data=data.encode()).decode()


def at(daemon: Daemon, service: str, family: int, transport: str = "tcp") -> tuple[str, str]:
    host, port = daemon.address(service, transport, family)
    return host, str(port)


@FAMILIES
@pytest.mark.parametrize("service", ["greet", "fortune"])
def test_a_client_that_listens_reads_lines_to_the_end_of_file(
    daemon: Daemon, service: str, family: int
) -> None:
    begin = time.time()
    first, *others = perl(LISTENER, *at(daemon, service, family)).splitlines()
    told = re.fullmatch(r"1 \[Hello there, (\S+), it's now (.*)\]", first)
    assert told
    assert told[2].encode() in ctimes(begin, time.time())
    assert bool(others) == (service == "fortune")


def test_clocks_are_compared_and_a_silent_host_is_no_end(daemon: Daemon) -> None:
    begin, started = time.time(), time.monotonic()
    hosts = [*at(daemon, "time", 0), "127.0.0.1", "1", *at(daemon, "time", 1)]
    rows = perl(CLOCKS, *hosts).splitlines()
    on_its_way = time.monotonic() - started
    assert rows[1] == "127.0.0.1: silent"
    for row, host in ((rows[0], "127.0.0.1"), (rows[2], "::1")):
        found = re.fullmatch(rf"{host}: (-?\d+), (.*)", row)
        assert found
        assert -5 - on_its_way <= int(found[1]) <= 5
        assert found[2].encode() in ctimes(begin, time.time())


@FAMILIES
def test_a_conversation_is_an_answer_for_each_line(daemon: Daemon, family: int) -> None:
    asked = "stressed\ndrawer\n\nlast\n"
    answers = perl(CONVERSATION, *at(daemon, "reverse", family), data=asked)
    assert answers == "desserts\nreward\n\ntsal\n"
    answers = perl(CONVERSATION, *at(daemon, "factor", family), data="42\n97\n1001\nx\n")
    assert answers.splitlines()[:3] == ["2 3 7", "97", "7 11 13"]
    assert answers.splitlines()[3].startswith("error: ")


@FAMILIES
def test_one_process_sends_while_another_reads(daemon: Daemon, family: int) -> None:
    lines = [f"line {number} of many" for number in range(5000)]
    answers = perl(FORKED, *at(daemon, "reverse", family), data="\n".join(lines))
    assert answers.split("\r\n") == [*(line[::-1] for line in lines), ""]


@FAMILIES
def test_numbered_datagrams_are_answered_by_number(daemon: Daemon, family: int) -> None:
    lines = [f"the meaning of {number}" for number in range(42)]
    answers = perl(NUMBERED, *at(daemon, "reverse", family, "udp"), data="\n".join(lines))
    assert answers.splitlines() == [f"{n} {line[::-1]}" for n, line in enumerate(lines, start=1)]


def test_wrap_answers_a_client_that_has_shut_down_its_writing_half(daemon: Daemon) -> None:
    assert perl(WRAP, f"{daemon.runtime}/wrap.sock", data=TEXT).encode() == FILLED


@pytest.mark.parametrize(("zone", "offset"), [("Etc/GMT-5", 5 * 3600), ("UTC", 0)])
def test_localtime_answers_a_client_that_has_bound_its_own_socket(
    daemon: Daemon, zone: str, offset: int
) -> None:
    begin = time.time()
    own = daemon.folder / "perl.sock"
    answer = perl(LOCALTIME, f"{daemon.runtime}/localtime.sock", str(own), zone)
    assert not own.exists()
    assert answer in {
        time.asctime(time.gmtime(second + offset))
        for second in range(int(begin), int(time.time()) + 1)
    }


def test_localtime_without_a_zone_is_the_local_time(daemon: Daemon) -> None:
    begin = time.time()
    own = str(daemon.folder / "perl.sock")
    answer = perl(LOCALTIME, f"{daemon.runtime}/localtime.sock", own)
    assert answer.encode() in ctimes(begin, time.time())


@FAMILIES
def test_ack_serves_a_hundred_connections_at_once(daemon: Daemon, family: int) -> None:
    assert perl(MANY, *at(daemon, "ack", family), "100") == "right\n" * 100
