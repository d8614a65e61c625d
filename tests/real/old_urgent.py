"""Old programs for urgent data: one that sends it, and some that tell of it.

They are ours, in Perl. On the wire and to the kernel they do what the programs of the book on
network programming with Perl do; what they print is their own. One thing they do better: those lose
an urgent byte that comes right before they read, so they work by luck. These look first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.processes import Running, running
from tests.real.old_chat import perl

LOOKING = r"""
use Socket qw(MSG_OOB MSG_PEEK MSG_DONTWAIT);
use Errno qw(EAGAIN EINTR);
use constant SIOCATMARK => 0x8905;

sub bits { my $bits = ''; vec($bits, fileno $_, 1) = 1 for @_; return $bits }
sub show { print map({ s/[^ -~]/sprintf '\x%02x', ord $&/ger } @_), "\n" }

# Whether the mark is the next thing to read.
sub at_mark {
    my $answer = pack 'i', 0;
    ioctl(shift, SIOCATMARK, $answer) // die "ioctl: $!";
    return unpack 'i', $answer;
}

# An urgent byte that is here, but was not taken; it stays.
sub urgent_byte {
    defined recv(shift, my $byte, 1, MSG_OOB | MSG_PEEK) or return undef;
    return $byte if length $byte;
    $! = Errno::EINVAL;    # the end
    return undef;
}

# True when the next thing to read is an ordinary byte or the end, and no urgent byte is here. What
# is seen here first stands before any mark that comes from now on.
sub can_read {
    my ($socket) = @_;
    my $wanted = bits($socket);
    select(my $ready = $wanted, undef, my $urgent = $wanted, undef) > 0 or return 0;
    defined recv($socket, my $byte, 1, MSG_PEEK | MSG_DONTWAIT) or return 0;
    return !defined urgent_byte($socket);
}
"""
"""What all of them know of a socket."""

CLIENT = r"""
use IO::Socket::INET;
use Time::HiRes qw(time);

my ($host, $port, $interval, $most) = @ARGV;
my $server = IO::Socket::INET->new(PeerAddr => "$host:$port") or die "no server: $@";
$| = 1;
$SIG{INT} = sub { defined send $server, '!', MSG_OOB or die "send: $!"; show('urgent !') };
$SIG{QUIT} = sub { exit };
my ($text, $next, $heard) = ('aa', time, '');
while ($most) {
    my $left = $next - time;
    if ($left <= 0) {
        defined syswrite $server, "$text\n" or die "write: $!";
        show("normal $text");
        $text++;
        $most--;
        $next += $interval;
        next;
    }
    select(my $ready = bits($server), undef, undef, $left) > 0 or next;
    sysread $server, $heard, 1024, length $heard or exit 1;
    show("heard $1") while $heard =~ s/^(.*?)\r?\n//;
}
shutdown $server, 1;
while (sysread $server, $heard, 1024, length $heard) { }
show("heard $1") while $heard =~ s/^(.*?)\r?\n//;
show('end');
"""
"""HOST PORT INTERVAL LINES: a short line each interval, and at each ^C one urgent byte; then it
ends its half. It prints the lines that come back."""

_LISTENING = r"""
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_OOBINLINE);
use Fcntl qw(F_SETOWN);

my ($port, $inline) = @ARGV;
$| = 1;
my $listener = IO::Socket::INET->new(
    LocalAddr => "127.0.0.1:$port", Listen => 5, ReuseAddr => 1
) or die "no port: $@";
show("at $port");
my $socket = $listener->accept or die "accept: $!";
setsockopt $socket, SOL_SOCKET, SO_OOBINLINE, 1 if $inline;

sub take_urgent {
    # it cannot be asked for where it stands among the rest
    defined recv $socket, my $byte, 100, MSG_OOB or return show("urgent? $!");
    show('urgent ', length $byte, ": $byte");
}

sub read_normal {
    my $size = sysread $socket, my $data, 1024;
    if (!defined $size) { return if $! == EINTR; show("read: $!"); exit 1 }
    if (!$size) { show('end'); exit }
    show("normal $size: $data");
}
"""

SIGNALLED = rf"""{_LISTENING}
$SIG{{URG}} = \&take_urgent;
fcntl $socket, F_SETOWN, $$ + 0 or die "fcntl: $!";
show('connected');
while (1) {{
    # where the byte is left out of what is read its signal is waited for; else a read stops there
    read_normal() if $inline || can_read($socket);
}}
"""
"""PORT [inline]: told of the byte by a signal, for one connection."""

SELECTING = rf"""{_LISTENING}
show('connected');
my $may_take = 1;    # the exception may last until something ordinary is read
while (1) {{
    my $wanted = bits($socket);
    my $urgent = $may_take ? $wanted : undef;
    select(my $ready = $wanted, undef, $urgent, undef) > 0 or next;
    if ($may_take && vec $urgent, fileno $socket, 1) {{
        take_urgent();
        $may_take = 0;
    }} elsif ($inline || can_read($socket)) {{
        read_normal();
        $may_take = 1;
    }} else {{
        $may_take = defined urgent_byte($socket);
    }}
}}
"""
"""PORT [inline]: told of the byte by the exceptions of `select`, for one connection."""


def script(text: str) -> str:
    """One of these, complete."""
    return LOOKING + text


@contextmanager
def old_server(text: str, port: int, *arguments: str) -> Iterator[Running]:
    """A server while the block runs."""
    with running(perl(script(text), str(port), *arguments)) as server:
        server.wait_for(f"^at {port}$")
        yield server
