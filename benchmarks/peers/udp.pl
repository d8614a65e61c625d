#!/usr/bin/perl
# One socket, one datagram at a time.
use strict;
use warnings;
use IO::Handle;
use IO::Socket::INET;
use Socket qw(INADDR_LOOPBACK pack_sockaddr_in);
use Time::HiRes qw(time);

use constant { SINKS => 1000, MESSAGE => 64, LONGEST => 65536 };

my $socket = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1')
    or die "socket: $@\n";

sub udp_echo {
    STDOUT->autoflush;
    print $socket->sockport, "\n";
    while (1) {
        my $peer = recv $socket, my $datagram, LONGEST, 0;
        send $socket, $datagram, 0, $peer if defined $peer;
    }
}

# The sinks have consecutive ports, the first of which is PORT.
sub fanout {
    my ($seconds) = @_;
    my $first = $ENV{PORT} // die "fanout needs PORT, the first of the sinks\n";
    my @peers = map { pack_sockaddr_in($first + $_, INADDR_LOOPBACK) } 0 .. SINKS - 1;
    my ($datagram, $sent, $began) = ('x' x MESSAGE, 0, time);
    while (time - $began < $seconds) {
        for my $peer (@peers) {
            defined send $socket, $datagram, 0, $peer or die "send: $!\n";
        }
        $sent += @peers;
    }
    printf "%.0f\n", $sent / (time - $began);
}

my ($kind, $seconds) = (@ARGV, '', '');
if ($kind eq 'udp-echo') {
    udp_echo();
}
elsif ($kind eq 'fanout' && $seconds) {
    fanout($seconds);
}
else {
    print STDERR "kinds: udp-echo, fanout SECONDS\n";
    exit 2;
}
