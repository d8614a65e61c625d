"""Old programs of the travesty: a server, and a client that somebody types into.

They are ours, in Perl. On the wire they do what the programs of the book on network programming
with Perl do; what they print is their own. Both are told of an urgent byte by its signal, drop what
they have read ahead, and read to the mark. As those of `old_urgent` they look before they read.
"""

from __future__ import annotations

import fcntl
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from tests.processes import Running, free_port, running
from tests.real.old_chat import Person, perl
from tests.real.old_urgent import LOOKING

_READING = rf"""{LOOKING}
use IO::Socket::INET;
use Fcntl qw(F_SETOWN);

our ($socket, $ahead, $is_urgent) = (undef, '', undef);    # the last: what an urgent byte does now
$| = 1;
$SIG{{URG}} = sub {{ $is_urgent->() if $is_urgent }};

sub begin {{
    $socket = shift;
    fcntl $socket, F_SETOWN, $$ + 0 or die "fcntl: $!";
}}

sub put {{
    my ($data) = @_;
    while (length $data) {{
        my $size = syswrite $socket, $data;
        if (!defined $size) {{ next if $! == EINTR; die "write: $!" }}
        substr($data, 0, $size) = '';
    }}
}}

# The next line without its end; undef where no more come.
sub line {{
    while ($ahead !~ /\n/) {{
        if (!can_read($socket)) {{
            next if !defined urgent_byte($socket);
            # its signal will be handled at once; or nobody wants it, and a read leaves it out
            if ($is_urgent) {{ $is_urgent->(); next }}
        }}
        my $size = sysread $socket, $ahead, 1024, length $ahead;
        return undef if defined $size ? !$size : $! != EINTR;
    }}
    $ahead =~ s/^(.*?)\r?\n//s;
    return $1;
}}

# All that was sent before the urgent byte is dropped, and it, and what was read ahead.
sub drop_to_mark {{
    # it may have been taken already, when its signal comes to be handled
    return 0 if !defined urgent_byte($socket) && $! == Errno::EINVAL;
    while (!at_mark($socket)) {{
        my $size = sysread $socket, my $nothing, 1024;
        if (!defined $size) {{ next if $! == EINTR; die "read: $!" }}
        die "no mark to the end\n" if !$size;
        note("dropped $size");
    }}
    while (!defined recv $socket, my $byte, 1, MSG_OOB) {{    # known, yet to come
        die "no urgent byte: $!" if $! != EAGAIN;
        select undef, undef, my $urgent = bits($socket), 1;
    }}
    $ahead = '';
    note('dropped the urgent byte');
    return 1;
}}
"""

SERVER = rf"""{_READING}
use Text::Wrap qw(wrap);

my ($port, $greeting, $stops) = @ARGV;
my (%next, %known, @pairs, @last);
$Text::Wrap::columns = 72;
$Text::Wrap::unexpand = 0;
$Text::Wrap::huge = 'overflow';
$SIG{{CHLD}} = 'IGNORE';
$SIG{{PIPE}} = 'IGNORE';

sub note {{ print shift, "\n" }}
sub answer {{ note("said $_[0]"); put("$_[0]\r\n") }}
sub forget {{ %next = %known = @pairs = @last = () }}

sub add {{
    for my $word (split ' ', shift) {{
        $known{{$word}} = 1;
        if (@last == 2) {{
            my $after = $next{{"@last"}} //= do {{ push @pairs, "@last"; [] }};
            push @$after, $word;
            shift @last;
        }}
        push @last, $word;
    }}
}}

sub generate {{
    my ($count, $pair) = (shift, '');
    my @words;
    while ($count-- > 0) {{
        $pair = $pairs[rand @pairs] if !$next{{$pair}};
        my $word = $next{{$pair}}[rand @{{ $next{{$pair}} }}];
        push @words, $word =~ /\.\z/ && rand 10 < 1 ? "$word\n" : $word;
        $pair = $pair =~ s/^\S+ //r . " $word";
    }}
    my @parts = split /(?<=\n)/, join ' ', @words;
    return join "\n", map {{ wrap('    ', '', split ' ') =~ s/^\.$/ ./mgr . "\n" }} @parts;
}}

sub upload {{
    forget();
    eval {{
        local $is_urgent = sub {{ drop_to_mark() and die "aborted\n" }};
        answer('201 send a text, and a dot');
        kill STOP => $$ if $stops;
        while (1) {{
            my $line = line() // exit;
            last if $line eq '.';
            add($line);
        }}
        1;
    }} or note("upload: $@" =~ s/\n//r);
    answer('202 there are ' . keys(%known) . ' words in it');
}}

sub travesty {{
    my $count = shift;
    return answer('500 nothing to begin with') if !@pairs;
    my $done = eval {{
        local $is_urgent = sub {{ drop_to_mark() and die "aborted\n" }};
        answer('203 here it is');
        for (; $count > 0; $count -= 500) {{
            put(generate($count < 500 ? $count : 500) =~ s/\n/\r\n/gr);
        }}
        put(".\r\n");
        1;
    }};
    return note('sent') if $done;
    note("generation: $@" =~ s/\n//r);
    # there may be no room for it before the client reads on
    defined send $socket, '!', MSG_OOB or die "send: $!";
}}

sub serve {{
    answer("$greeting travesty");
    while (defined(my $command = line())) {{
        note("heard $command");
        if    ($command =~ /^DATA\s*$/i)                     {{ upload() }}
        elsif ($command =~ /^GENERATE\s+0*([1-9]\d*)\s*$/i)  {{ travesty($1) }}
        elsif ($command =~ /^RESET\s*$/i)                    {{ forget(); answer('205 forgotten') }}
        elsif ($command =~ /^BYE\s*$/i)                      {{ return answer('204 farewell') }}
        else                                                 {{ answer('500 what is that?') }}
    }}
}}

my $listener = IO::Socket::INET->new(
    LocalAddr => "127.0.0.1:$port", Listen => 5, ReuseAddr => 1
) or die "no port: $@";
note("at $port");
while (1) {{
    my $client = $listener->accept or next;
    defined(my $child = fork) or die "cannot fork: $!";
    next if $child;
    close $listener;
    note("process $$");
    begin($client);
    serve();
    exit;
}}
"""
"""PORT GREETING [stops]: a process for each connection. `stops`: it stands still before an upload,
until it is told to go on."""

CLIENT = rf"""{_READING}
my ($host, $port, $aloud) = @ARGV;
my ($typed, $pressed) = ('', 0);
$SIG{{QUIT}} = sub {{ exit }};
$SIG{{INT}} = sub {{ exit if ++$pressed > 1; note('once more to leave') }};
$is_urgent = \&drop_to_mark;

sub note {{ print STDERR shift, "\n" }}

sub command {{
    while ($typed !~ /\n/) {{
        my $size = sysread STDIN, $typed, 1024, length $typed;
        return undef if defined $size ? !$size : $! != EINTR;
    }}
    $typed =~ s/^(.*?)\n//;
    return $1;
}}

sub ask {{
    my ($command, $code) = @_;
    put("$command\r\n");
    my $answer = line() // do {{ note('gone'); exit 1 }};
    return 1 if $answer =~ /^$code /;
    note("refused: $answer");
    return 0;
}}

# What is done by the block until it is interrupted; whether it was.
sub interrupted {{
    my $block = shift;
    my $is_over = eval {{
        local $SIG{{INT}} = sub {{ die "interrupted\n" }};
        $block->();
        1;
    }} and return 0;
    die $@ if $@ ne "interrupted\n";
    note('interrupted');
    defined send $socket, '!', MSG_OOB or die "send: $!";
    note('sent the urgent byte');
    return 1;
}}

sub analyze {{
    open my $file, '<', shift or return note("no file: $!");
    ask('DATA', 201) or return;
    interrupted(sub {{
        note('uploading');
        while (my $text = <$file>) {{
            chomp $text;
            put("$text\r\n");
            note("sent $text") if $aloud;
        }}
        put(".\r\n");
    }});
    my $answer = line() // 'nothing';
    my ($count) = $answer =~ /^202 \D*(\d+) words/ or return note("no number: $answer");
    note("analyzed: $count words");
}}

sub generate {{
    ask('GENERATE ' . shift, 203) or return;
    interrupted(sub {{
        while (defined(my $text = line())) {{
            last if $text eq '.';
            # all of a line or nothing, when it is interrupted
            1 until defined syswrite STDOUT, "$text\n";
        }}
    }}) or note('generated');
}}

begin(IO::Socket::INET->new(PeerAddr => "$host:$port") or die "no server: $@");
my $welcome = line() // '';
$welcome =~ /^[12]00/ or die "no greeting: $welcome\n";
note('welcome');
while (1) {{
    note('ready');
    defined(my $words = command()) or last;
    my ($verb, $rest) = split ' ', $words;
    if    ($verb eq 'analyze')  {{ analyze($rest) }}
    elsif ($verb eq 'generate') {{ generate($rest) }}
    elsif ($verb eq 'reset')    {{ ask('RESET', 205) and note('forgotten') }}
    elsif ($verb eq 'bye')      {{ put("BYE\r\n"); last }}
    else                        {{ note("no command $verb") }}
    $pressed = 0;
}}
"""
"""HOST PORT [aloud]: ^C in a transfer sends an urgent byte. Of a text that was interrupted it reads
nothing before it is told of the mark. `aloud`: prints each line that it sends."""


class Old(Person):
    """Somebody at the old client."""

    def __init__(self, port: int, *, aloud: bool = False) -> None:
        self.port = port
        argv = perl(CLIENT, "127.0.0.1", str(port), *(["aloud"] if aloud else []))
        super().__init__("sh", "-c", 'exec "$0" "$@" 2>&1', *argv)
        # it prints no faster than it is read from
        fcntl.fcntl(self._screen, fcntl.F_SETPIPE_SZ, 4096)
        try:
            self.hears("welcome", "ready")
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def interrupts(self) -> Self:
        """Press ^C."""
        self.process.send_signal(signal.SIGINT)
        return self

    def analyzes(self, file: object) -> int:
        """Upload a text, to its end; the number of words in it."""
        self.says(f"analyze {file}").hears("uploading")
        return self.words()

    def words(self) -> int:
        """The number of words that is told next."""
        line = self.line()
        found = re.fullmatch(r"analyzed: (\d+) words", line)
        assert found, line
        self.hears("ready")
        return int(found[1])

    def generates(self, count: int) -> str:
        """A travesty."""
        lines = []
        self.says(f"generate {count}")
        while (line := self.line()) != "generated":
            lines.append(line)
        self.hears("ready")
        return "\n".join(lines)

    def skips_to_mark(self) -> Self:
        """It was told of the urgent byte that came back, and has dropped what came before it."""
        return self.skips_to("dropped the urgent byte")


@contextmanager
def old_server(greeting: int = 200, *, stops: bool = False) -> Iterator[tuple[int, Running]]:
    """An old server while the block runs: its port, and itself."""
    port = free_port()
    with running(perl(SERVER, str(port), str(greeting), *["stops"] * stops)) as server:
        server.wait_for(f"^at {port}$")
        yield port, server
