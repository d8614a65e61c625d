# The least that is a system's log: `syslog.pl SOCKET FILE` writes each datagram to a file, as a line.
use strict;
use warnings;
use IO::Socket::UNIX;

my ($path, $name) = @ARGV;
open my $file, '>>', $name or die "$name: $!\n";
my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $path) or die "$path: $!\n";
while (defined $socket->recv(my $line, 8192)) {
    syswrite $file, "$line\n";
}
