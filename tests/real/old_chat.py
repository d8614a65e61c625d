"""Old programs of the chat, and people who sit at them, or at ours.

The two in Perl are ours. On the wire they do what the programs of the book on network programming
with Perl do; what they print is their own. A line of theirs is all that their patterns found: what
stands behind a newline shows only where an event is printed whole.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Self

from tests.daemons import run
from tests.processes import BIN, Running, free_port, running
from tests.real.programs import SECONDS, Session

CLIENT = r"""
use IO::Socket::INET;
use IO::Select;
use Socket qw(IPPROTO_IP IP_ADD_MEMBERSHIP IP_DROP_MEMBERSHIP pack_ip_mreq inet_aton);

my ($host, $port, @can) = @ARGV;
my %can = map { my ($what, $how) = split /=/; ($what, $how // 1) } @can;
my $server = IO::Socket::INET->new(PeerAddr => "$host:$port", Proto => 'udp') or die "$@";
my ($groups, $name, $typed, $sign_at) = (undef, undef, '', time);
my $group = $can{groups} ? ' (\S+)' : '';
my %shows = (
    10  => [qr/^(.*)/s,                     'error: %s'],
    30  => [qr/^(.*)/s,                     'in as %s'],
    60  => [qr/^(\S+) (\d+)$group/,         'joined %s, %s there'],
    80  => [qr/^(\S+) (\d+)$group/,         'left %s, %s there'],
    100 => [qr/^(\S+) (\S+) (.*)/,          '[%s] %s: %s'],
    130 => [qr/^(\S+) (.*)/,                '[private] %s: %s'],
    140 => [qr/^(\S+) (\S+)/,               '[%s] %s comes'],
    150 => [qr/^(\S+) (\S+)/,               '[%s] %s goes'],
    170 => [qr/^(\S+) (\d+)$group (.+)/,    'channel %1$s, %2$s there: %3$s' . ' %4$s' x !!$group],
    190 => [qr/^(\S+) (\d+) (.+)/,          'user %1$s in %3$s'],
);
$shows{210} = [qr/^(\d+)/, 'groups at %s'] if $can{groups};
my %sends = (join => 50, part => 70, public => 90, private => 120, channels => 160, users => 180);
$SIG{TERM} = sub { exit };
$| = 1;

sub show { print map({ s/[^ -~]/sprintf '\x%02x', ord $&/ger } @_), "\n" }
sub put  { my ($code, $text) = @_; send $server, pack('n a*', $code, $text // ''), 0 }

sub hear {
    my $socket = shift;
    recv($socket, my $event, 1024, 0) // do { show("gone: $!"); exit 1 };
    my ($code, $text) = unpack 'n a*', $event;
    my ($pattern, $words) = @{ $shows{$code} // [] };
    if (!$pattern) { show("unknown: $code"); return $code }
    my @found = $text =~ $pattern or do { show("not understood: $code $text"); exit 2 };
    switch_groups($code, @found) if $can{groups};  # before anybody knows of it and speaks there
    { no warnings; show(sprintf $words, @found) }
    return $code;
}

sub switch_groups {
    my ($code, $first, $count, $address) = @_;
    if ($code == 210) {
        $groups = IO::Socket::INET->new(
            LocalPort => $first, Proto => 'udp', ReuseAddr => !!$can{shares}
        ) or do { show("no groups: $@"); exit 3 };
    }
    my $option = { 60 => IP_ADD_MEMBERSHIP, 80 => IP_DROP_MEMBERSHIP }->{$code} or return;
    my $wanted = pack_ip_mreq(inet_aton($address), inet_aton('0.0.0.0'));
    setsockopt $groups, IPPROTO_IP, $option, $wanted;
}

sub typed_line {
    while ($typed !~ /\n/) { sysread STDIN, $typed, 1024, length $typed or return }
    return $typed =~ s/^(.*)\n// ? $1 : undef;
}

sub ask_name { show('name?'); return typed_line() // exit }

sub log_in {
    put(40, $name) if defined $name;
    my $wanted = ask_name();
    for my $try (1 .. 5) {
        show("try $try");
        put(20, $wanted);
        IO::Select->new($server)->can_read(6) or next;
        return $wanted if hear($server) == 30;
        $wanted = ask_name();
    }
    show('cannot log in');
    exit 4;
}

sub obey {
    my ($word, $rest) = shift =~ m{^(?:/(\S+)\s*)?(.*)};
    $word //= 'public';
    exit if $word eq 'quit';
    if ($word eq 'login') { $name = log_in() }
    elsif ($sends{$word}) { put($sends{$word}, $rest) }
    else                  { show("no command $word") }
}

$name = log_in();
while (1) {
    my $wait = $can{signs} ? $sign_at - time : undef;
    for my $ready (IO::Select->new($server, \*STDIN, $groups // ())->can_read($wait)) {
        if ($ready != \*STDIN) { hear($ready); next }
        do { obey(typed_line() // exit) } while $typed =~ /\n/;
    }
    if ($can{signs} && time >= $sign_at) {
        put(200);
        $sign_at = time + $can{signs};
    }
}
END { my $status = $?; put(40, $name) if $server; $? = $status }
"""
"""HOST PORT [groups] [shares] [signs=SECONDS]: without `shares` it has the port of groups for
itself. It dies when the port of the server is closed, as its socket is connected."""

SERVER = r"""
use IO::Socket::INET;
use Socket qw(IPPROTO_IP IP_MULTICAST_TTL sockaddr_in inet_aton);

my ($port, @is) = @ARGV;
my %is = map { my ($what, $how) = split /=/; ($what, $how // 1) } @is;
my $socket = IO::Socket::INET->new(LocalPort => $port, Proto => 'udp') or die "no port: $@";
setsockopt $socket, IPPROTO_IP, IP_MULTICAST_TTL, pack 'i', 64;
my (%channels, %at, %named);
my $number = 0;
for (['Weather', 'of rain and sun'], ['Pets', 'of cats and dogs']) {
    my ($title, $about) = @$_;
    my $group = '225.1.0.' . ++$number;
    $channels{lc $title} = { title => $title, about => $about, group => $group, members => {} };
}

sub put { my ($to, $code, $text) = @_; send $socket, pack('n a*', $code, $text), 0, $to }

sub info {
    my $channel = shift;
    my @words = ($channel->{title}, scalar keys %{ $channel->{members} });
    return join ' ', @words, $is{groups} ? $channel->{group} : (), $channel->{about};
}

sub spread {
    my ($channel, $code, $text) = @_;
    my $group = sockaddr_in($is{groups} || 1, inet_aton($channel->{group}));
    my @to = $is{groups} ? $group : map { $named{$_}{at} } keys %{ $channel->{members} };
    put($_, $code, "$channel->{title} $text") for @to;
}

sub enter {
    my ($user, $channel) = @_;
    if (!$channel->{members}{ $user->{name} }) {
        spread($channel, 140, $user->{name});
        $channel->{members}{ $user->{name} } = 1;
    }
    $user->{in} = [$channel, grep { $_ != $channel } @{ $user->{in} }];
    put($user->{at}, 60, info($channel));
}

sub leave {
    my ($user, $channel) = @_;
    delete $channel->{members}{ $user->{name} };
    spread($channel, 150, $user->{name});
}

sub part {
    my ($user, $text) = @_;
    my $channel = $text eq '' ? $user->{in}[0] : $channels{lc $text};
    return put($user->{at}, 10, "there is no $text") if !$channel;
    my $was = $user->{in}[0] or return;
    my @in = grep { $_ != $channel } @{ $user->{in} };
    return if @in == @{ $user->{in} };
    $user->{in} = \@in;
    leave($user, $channel);
    put($user->{at}, 80, info($channel));
    put($user->{at}, 60, info($in[0])) if $was == $channel && @in;
}

sub log_in {
    my ($at, $name) = @_;
    return put($at, 10, 'somebody has that name') if $named{$name};
    $at{$at} = $named{$name} = { at => $at, name => $name, in => [], since => time, heard => time };
    put($at, 30, $name);
    put($at, 210, $is{groups}) if $is{groups} && !$is{untold};
}

sub log_off {
    my $user = shift;
    leave($user, $_) for @{ $user->{in} };
    delete $named{ $user->{name} };
    delete $at{ $user->{at} };
    print "off $user->{name}\n";
}

my %does = (
    40  => \&log_off,
    50  => sub {
        my ($user, $title) = @_;
        my $channel = $channels{lc $title};
        $channel ? enter($user, $channel) : put($user->{at}, 10, "there is no $title");
    },
    70  => \&part,
    90  => sub {
        my ($user, $text) = @_;
        my $channel = $user->{in}[0] or return put($user->{at}, 10, 'you are nowhere');
        spread($channel, 100, "$user->{name} $text");
    },
    120 => sub {
        my ($user, $text) = @_;
        my ($to, $words) = $text =~ /(\S+)\s*(.*)/ or return put($user->{at}, 10, 'for whom?');
        my $peer = $named{$to} or return put($user->{at}, 10, "$to is not here");
        put($peer->{at}, 130, "$user->{name} $words");
    },
    160 => sub { put($_[0]{at}, 170, info($channels{$_})) for sort keys %channels },
    180 => sub {
        my $user = shift;
        my $channel = $user->{in}[0] or return put($user->{at}, 10, 'you are nowhere');
        for my $one (map { $named{$_} } sort keys %{ $channel->{members} }) {
            my $seconds = time - $one->{since};
            put($user->{at}, 190, "$one->{name} $seconds @{[map { $_->{title} } @{ $one->{in} }]}");
        }
    },
    $is{timed} ? (200 => sub { $_[0]{heard} = time; print "alive $_[0]{name}\n" }) : (),
);
$| = 1;
print "at ", $socket->sockport, "\n";
while (defined(my $at = recv $socket, my $event, 1024, 0)) {
    my ($code, $text) = unpack 'n a*', $event;
    my $user = $at{$at};
    if    ($code == 20)          { log_in($at, $text) }
    elsif (!$user)               { put($at, 10, 'please log in') }
    elsif (my $do = $does{$code}) { $do->($user, $text) }
    else                         { put($at, 10, "what is $code?") }
    next if !$is{timed};
    for my $silent (grep { time - $_->{heard} >= 120 } values %named) { log_off($silent) }
}
"""
"""PORT [groups=PORT] [untold] [timed]: `untold`, it never tells the port of groups."""
SLOW = ("!! not sent: ", "!! the server does not answer", "unknown: 1050")
"""How our client tells that an answer took seconds; and a heartbeat, as an old client has it that
shares its host with ours for so long."""


class Person(Session):
    """Somebody at a program: types lines, and reads what it prints, each line of it."""

    def __init__(self, *command: str) -> None:
        super().__init__(*command)
        self._read = 0

    def says(self, *lines: str) -> Self:
        """Type these."""
        for line in lines:
            self.type(f"{line}\n".encode())
        return self

    def line(self) -> str:
        """The next line that is printed."""
        until = time.monotonic() + SECONDS
        while b"\n" not in self.output[self._read :]:
            assert self._more(until), f"no more lines after {self.output!r}"
        end = self.output.index(b"\n", self._read)
        line = self.output[self._read : end].decode("utf-8", "backslashreplace")
        self._read = end + 1
        return line

    def hears(self, *lines: str) -> Self:
        """These are printed next, and nothing else, but that a machine was slow."""
        for line in lines:
            self.hears_in_any_order(line)
        return self

    def hears_in_any_order(self, *lines: str) -> Self:
        """The same, whichever is first."""
        wanted = [*lines]
        while wanted:
            found = self.line()
            if found in wanted:
                wanted.remove(found)
            else:
                assert found.startswith(SLOW), self.output.decode("utf-8", "backslashreplace")
        return self

    def skips_to(self, begin: str) -> Self:
        """A line that begins so is printed some time."""
        while not self.line().startswith(begin):
            pass
        return self

    def ends(self, status: int = 0) -> None:
        """It ends, and prints nothing more."""
        assert self.read_all()[self._read :] == b""
        assert self.process.returncode == status


def _on(host: str | None) -> Sequence[str]:
    return ["ip", "netns", "exec", host] if host else []


def perl(script: str, *arguments: str, host: str | None = None) -> Sequence[str]:
    """A script as a command, on a host (a namespace)."""
    strict = f"use strict; use warnings FATAL => 'all';{script}"
    return [*_on(host), "perl", "-e", strict, *arguments]


@contextmanager
def old(
    name: str, port: int, *can: str, host: str | None = None, at: str = "127.0.0.1"
) -> Iterator[Person]:
    """Somebody at an old client, logged in as this."""
    with Person(*perl(CLIENT, at, str(port), *can, host=host)) as person:
        person.hears("name?").says(name).hears("try 1")
        person.hears(f"in as {name}", *(["groups at 2028"] if "groups" in can else []))
        yield person


@contextmanager
def new(
    name: str, port: int, *options: str, host: str | None = None, at: str = "127.0.0.1"
) -> Iterator[Person]:
    """Somebody at ours, logged in as this, who never used it before."""
    sock = [str(BIN / "sock"), "chat", *options, "--nick", name, f"{at}:{port}"]
    with (
        TemporaryDirectory() as folder,
        Person(*_on(host), "env", f"XDG_STATE_HOME={folder}", *sock) as person,
    ):
        said = person.line()
        assert said.startswith("-- logged in "), said
        assert said.endswith(f" as {name}"), said
        yield person


@contextmanager
def old_server(*is_: str, host: str | None = None) -> Iterator[tuple[int, Running]]:
    """An old server while the block runs: its port, and itself."""
    port = free_port()
    with running(perl(SERVER, str(port), *is_, host=host)) as server:
        server.wait_for(f"^at {port}$")
        yield port, server


def lo_has_groups(host: str) -> None:
    """On this host (a namespace) groups are heard by the loopback interface."""
    run("ip", "-n", host, "route", "add", "225.0.0.0/8", "dev", "lo")
