#!/usr/bin/perl
# What inetd and xinetd run for a connection: each line of standard input, reversed.
use strict;
use warnings;

$| = 1;
while (my $line = <STDIN>) {
    $line =~ s/\r?\n\z//;
    print scalar reverse($line), "\r\n";
}
