#!/usr/bin/perl
# A process for each connection.
use strict;
use warnings;
use IO::Handle;
use IO::Socket::INET;
use POSIX qw(WNOHANG strftime);
use Socket qw(SOMAXCONN TCP_NODELAY IPPROTO_TCP);

sub echo {
    my ($client) = @_;
    while (sysread $client, my $chunk, 65536) {
        # a socket that blocks takes all of it
        syswrite $client, $chunk or return;
    }
}

sub reverse_lines {
    my ($client) = @_;
    $client->autoflush;
    while (my $line = <$client>) {
        $line =~ s/\r?\n\z//;
        print {$client} scalar reverse($line), "\r\n";
    }
}

sub daytime {
    my ($client) = @_;
    syswrite $client, strftime("%a %b %d %H:%M:%S %Y\r\n", localtime);
}

my %kinds = (echo => \&echo, bulk => \&echo, reverse => \&reverse_lines, daytime => \&daytime);
my $serve = $kinds{ $ARGV[0] // '' };
if (!$serve) {
    print STDERR 'kinds: ', join(', ', sort keys %kinds), "\n";
    exit 2;
}

my $listener = IO::Socket::INET->new(
    LocalAddr => '127.0.0.1',
    Listen    => SOMAXCONN,
) or die "listen: $@\n";
STDOUT->autoflush;
print $listener->sockport, "\n";

$SIG{CHLD} = sub {
    1 while waitpid(-1, WNOHANG) > 0;
};

while (1) {
    # interrupted by a child's end
    my $client = $listener->accept or next;
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        close $listener;
        $client->setsockopt(IPPROTO_TCP, TCP_NODELAY, 1);
        $serve->($client);
        exit;
    }
    close $client;
}
