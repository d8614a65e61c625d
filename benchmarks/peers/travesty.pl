#!/usr/bin/perl
# What travesty does with a text, in Perl, with hashes of packed pairs: travesty.pl FILE WORDS
use strict;
use warnings;
use Time::HiRes 'time';

my ($file, $wanted) = @ARGV;
open my $input, '<', $file or die "$file: $!\n";
my (%number, @words, %follow, $one, $two);
my $count = 0;
my $start = time;
while (my $line = <$input>) {
    for my $word (split ' ', $line) {
        my $new = $number{$word};
        if (!defined $new) {
            push @words, $word;
            $new = $number{$word} = $#words;
        }
        $follow{ pack 'NN', $one, $two } .= pack 'N', $new if defined $one;
        ($one, $two) = ($two, $new);
        $count++;
    }
}
my $analysis = $count / (time - $start);

srand 1;
my @pairs = keys %follow;
$start = time;
my ($text, $line, $made) = ('', '    ', 0);
my $pair = $pairs[ rand @pairs ];
while ($made < $wanted) {
    my $next = $follow{$pair} // $follow{ $pair = $pairs[ rand @pairs ] };
    my $chosen = substr $next, 4 * int rand(length($next) / 4), 4;
    my $word = $words[ unpack 'N', $chosen ];
    $made++;
    if (length($line) + length($word) >= 72) {
        $text .= "$line\r\n";
        $line = $word;
    }
    else {
        $line .= " $word";
    }
    if (substr($word, -1) eq '.' && rand(10) < 1) {
        $text .= "$line\r\n\r\n";
        $line = '    ';
    }
    $text = '' if length $text > 65536;
    $pair = substr($pair, 4) . $chosen;
}
my $generation = $made / (time - $start);
printf qq({"analysis": %f, "generation": %f, "words": %d, "pairs": %d}\n),
    $analysis, $generation, $count, scalar @pairs;
