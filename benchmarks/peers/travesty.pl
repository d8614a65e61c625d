#!/usr/bin/perl
# The travesty as one Perl programs it: which words follow a pair of words is a string of packed
# numbers, in a hash by the pair, packed. `travesty.pl FILE COUNT` analyses a text, makes one of so
# many words, filled into paragraphs, and prints words a second of each.
use strict;
use warnings;
use Time::HiRes qw(time);

use constant { COLUMNS => 72, INDENT => '    ', PARAGRAPH => 10, MOST => 65536 };

my (%numbers, @words, %next);

sub analyse {
    my ($name) = @_;
    my ($count, $first, $second) = (0, '', '');
    open my $file, '<', $name or die "$name: $!\n";
    while (my $line = <$file>) {
        for my $word (split ' ', $line) {
            my $number = $numbers{$word} //= do { push @words, $word; pack 'N', $#words };
            $next{"$first$second"} .= $number if $count++ > 1;
            ($first, $second) = ($second, $number);
        }
    }
    return $count;
}

# What is made is thrown away, a piece at a time, as if it were sent.
sub generate {
    my ($count, @pairs) = (shift, keys %next);
    my ($pair, $text, $line, $sent) = ('', '', INDENT, 0);
    for (1 .. $count) {
        my $after = $next{$pair} // $next{$pair = $pairs[rand @pairs]};
        my $number = substr $after, 4 * int rand(length($after) / 4), 4;
        $pair = substr($pair, 4) . $number;
        my $word = $words[unpack 'N', $number];
        if (length($line) + 1 + length $word > COLUMNS) {
            $text .= "$line\r\n";
            $line = $word;
        } else {
            $line .= $line eq INDENT ? $word : " $word";
        }
        if (substr($word, -1) eq '.' && rand PARAGRAPH < 1) {
            $text .= "$line\r\n\r\n";
            $line = INDENT;
        }
        if (length $text > MOST) {
            $sent += length $text;
            $text = '';
        }
    }
    return $sent + length "$text$line\r\n";
}

my ($name, $count) = @ARGV;
die "travesty.pl FILE COUNT\n" if !$count;
srand 1;
my $began = time;
my $analysed = analyse($name);
my $done = time;
die "$name: fewer than three words\n" if !%next;
printf "analysis %.0f\n", $analysed / ($done - $began);
$began = time;
generate($count);
printf "generation %.0f\n", $count / (time - $began);
