#!/usr/bin/perl
# The tutorial's chat as one Perl programs it: an event comes, another is made of it, and sent to each
# member of the channel in a loop.
use strict;
use warnings;
use IO::Handle;
use IO::Socket::INET;
use Socket qw(INADDR_LOOPBACK);

use constant {
    NOTHING => 0, ERROR => 10, LOGIN_REQ => 20, LOGIN_ACK => 30, LOGOFF => 40, JOIN_REQ => 50,
    JOIN_ACK => 60, SEND_PUBLIC => 90, PUBLIC_MSG => 100, LONGEST => 1024,
};

my $socket = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1')
    or die "socket: $@\n";
my (%users, %channels);    # by address; by title: the addresses of its members

sub send_event {
    my ($code, $text, @to) = @_;
    my $event = pack 'na*', $code, $text;
    for my $address (@to) {
        defined send $socket, $event, 0, $address or warn "send: $!\n";
    }
}

sub join_channel {
    my ($user, $title) = @_;
    $channels{$title}{$user->{address}} = undef;
    $user->{current} = $title;
    my $count = keys %{$channels{$title}};
    send_event(JOIN_ACK, "$title $count Something", $user->{address});
}

sub say_public {
    my ($user, $text) = @_;
    my $title = $user->{current} // return;
    send_event(PUBLIC_MSG, "$title $user->{name} $text", keys %{$channels{$title}});
}

sub log_off {
    my ($user) = @_;
    delete $channels{$_}{$user->{address}} for keys %channels;
    delete $users{$user->{address}};
}

my %dispatch = (JOIN_REQ() => \&join_channel, SEND_PUBLIC() => \&say_public, LOGOFF() => \&log_off);

STDOUT->autoflush;
print $socket->sockport, "\n";
while (1) {
    my $address = recv $socket, my $event, LONGEST, 0;
    next if !defined $address || length $event < 2;
    my ($code, $text) = unpack 'na*', $event;
    if ($code == LOGIN_REQ) {
        $users{$address} = {name => $text, address => $address};
        send_event(LOGIN_ACK, $text, $address);
    }
    elsif (my $user = $users{$address}) {
        my $do = $dispatch{$code};
        $do ? $do->($user, $text) : send_event(ERROR, 'unknown code', $address);
    }
    else {
        send_event(ERROR, 'please log in', $address);
    }
}
