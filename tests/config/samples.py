"""Configurations that are wrong, and what is said of each."""

from __future__ import annotations

DURATION = 'expected a duration such as "30s", "2m" or "1d", got'
SIZE = 'expected a size such as "512", "64k" or "4m", got'
RATE = 'expected a rate such as "50/s" or "10/m", got'
COLONS = (
    "write an IPv6 address in square brackets, as in interface=[::1], "
    "and a backslash before any other colon that belongs to a value"
)
ALL = "tcp, tls, unix, udp, unixgram"

# a configuration, and what is said of it, without the file's name
MISTAKES = [
    # not TOML
    (
        "[service.echo",
        "1: not TOML: Expected ']' at the end of a table declaration (at line 1, column 14)",
    ),
    ("[service.echo]\nlisten = [\n'tcp:0'", "3: not TOML: Unclosed array (at end of document)"),
    ("a = 1\na = 2", "2: a is set a second time"),
    ("a = {b = 1, 'c d' = 2, 'c d' = 3}", '1: "c d" is set a second time'),
    (
        "[service.fortune]\nenvironment = {A = '1'}\nenvironment.B = '2'",
        "3: service.fortune.environment is set already, in brackets: write all of it there",
    ),
    ("a = [\n1]\na = [\n2\n]", "5: a key is set a second time"),
    (
        "[service.echo]\n[service.'a b']\n\n[service.echo]",
        "4: [service.echo] stands here a second time, the first time on line 1: "
        "put both into one table",
    ),
    # tables
    ("[daemon]\n[service.echo]", "1: daemon: unknown key"),
    ("[servce.echo]", "1: servce: unknown key; did you mean 'service'?"),
    ("service = 3", "1: service: expected a table, got 3"),
    ("sockd = []\n[service.echo]", "1: sockd: expected a table, got []"),
    ("defaults = 'x'\n[service.echo]", "1: defaults: expected a table, got 'x'"),
    ("[service]\necho = true", "2: service.echo: expected a table, got True"),
    ("[[service.echo]]", "1: service.echo: expected a table, got [{}]"),
    # unknown keys, in each table
    (
        "[sockd]\nlog_formt = 'json'\n[service.echo]",
        "2: sockd.log_formt: unknown key; did you mean 'log_format'?",
    ),
    (
        "[defaults]\nidle_timout = '5s'\n[service.echo]",
        "2: defaults.idle_timout: unknown key; did you mean 'idle_timeout'?",
    ),
    (
        "[service.echo]\nlisen = ['tcp:0']",
        "2: service.echo.lisen: unknown key; did you mean 'listen'?",
    ),
    (
        "[service.wrap]\ncolums = 3",
        "2: service.wrap.colums: unknown key; did you mean 'columns'?",
    ),
    (
        "[service.echo]\ncolumns = 3",
        "2: service.echo.columns: unknown key; `sockd services echo` tells which there are",
    ),
    (
        "[service.echo]\n'a\u202eb' = 3",
        '2: service.echo."a\\u202eb": unknown key; `sockd services echo` tells which there are',
    ),
    (
        "[service.echo]\ntemplate = 3",
        "2: service.echo.template: unknown key; `sockd services echo` tells which there are",
    ),
    # values that are right alone and not together
    (
        "[service.mine]\nkind = 'exec'\nlisten = ['tcp:1']",
        '1: service.mine.command: exec needs a command, such as ["/usr/games/fortune"]',
    ),
    (
        "[service.mine]\nkind = 'exec'\nlisten = ['tcp:1']\ncommand = ['./here']",
        "4: service.mine.command: './here' is a relative path: "
        "give an absolute one, or a name to look for",
    ),
    (
        "[service.fortune]\nenvironment = {'A=B' = 'x'}",
        "2: service.fortune.environment: 'A=B' cannot be the name of an environment variable",
    ),
    (
        "[service.fortune]\nuser = 99999",
        "2: service.fortune.user: there is no user 99999 on this host",
    ),
    (
        "[service.echo]\nconnect_rate = '0/s'",
        "2: service.echo.connect_rate: must be above 0: 0/s lets nobody in",
    ),
    # kinds and names
    (
        "[service.ecko]",
        "1: service.ecko: there is no kind of service 'ecko'; did you mean 'echo'?",
    ),
    (
        "[service.mine]",
        "1: service.mine: there is no kind of service 'mine'; say with kind = \"...\" which it is",
    ),
    (
        "[service.mine]\nkind = 'revers'",
        "2: service.mine.kind: there is no kind of service 'revers'; did you mean 'reverse'?",
    ),
    (
        "[service.mine]\nkind = 3",
        "2: service.mine.kind: there is no kind of service 3; "
        "`sockd services` tells which there are",
    ),
    (
        "[service.mine]\nkind = 'shout'",
        "2: service.mine.kind: there is no kind of service 'shout'; "
        "its file is broken: SyntaxError: invalid syntax",
    ),
    (
        "[service.'a b']\nkind = 'echo'",
        "1: service.\"a b\": a name has letters, digits, '_' and '-', at most 64",
    ),
    # where to listen
    (
        "[service.mine]\nkind = 'echo'",
        f"1: service.mine.listen: missing; echo can be listened on over {ALL}",
    ),
    (
        "[service.echo]\nlisten = []",
        '2: service.echo.listen: expected a list such as ["tcp:7800:interface=127.0.0.1"], got []',
    ),
    (
        "[service.echo]\nlisten = 'tcp:0'",
        '2: service.echo.listen: expected a list such as ["tcp:7800:interface=127.0.0.1"], '
        "got 'tcp:0'",
    ),
    ("[service.echo]\nlisten = [7]", "2: service.echo.listen[0]: expected a text, got 7"),
    (
        "[service.echo]\nlisten = [\n'tcp:0',\n'tpc:0']",
        "4: service.echo.listen[1]: unknown transport 'tpc'; did you mean 'tcp'?",
    ),
    (
        "[service.echo]\nlisten = ['7800']",
        "2: service.echo.listen[0]: '7800' names no transport; write \"tcp:7800\"",
    ),
    (
        "[service.echo]\nlisten = ['tcp:70000']",
        "2: service.echo.listen[0]: port must be from 0 to 65535, got 70000",
    ),
    (
        "[service.echo]\nlisten = ['tcp:0:interface=eth0']",
        '2: service.echo.listen[0]: interface must be an IP address, "localhost" or "*", '
        "got 'eth0': no name is looked up",
    ),
    (
        "[service.echo]\nlisten = ['tcp:0:interface=::1']",
        f"2: service.echo.listen[0]: interface is empty in 'tcp:0:interface=::1'; {COLONS}",
    ),
    (
        "[service.echo]\nlisten = ['unix:/tmp/x:mode=999']",
        "2: service.echo.listen[0]: mode must be three octal digits such as 660, got '999'",
    ),
    (
        "[service.echo]\nlisten = ['haproxy:tcp:1']",
        "2: service.echo.listen[0]: haproxy needs one proxies=PREFIX,PREFIX, as in "
        '"haproxy:tcp:7800:interface=127.0.0.1:proxies=127.0.0.1/32": '
        "without it anyone could forge an address",
    ),
    # transports that a kind does not serve
    (
        "[service.wrap]\nlisten = ['udp:0']",
        "2: service.wrap.listen[0]: wrap does not work over udp, only over tcp, tls, unix",
    ),
    (
        "[service.localtime]\nlisten = ['tcp:0']",
        "2: service.localtime.listen[0]: localtime does not work over tcp, only over udp, unixgram",
    ),
    (
        "[service.beacon]\nlisten = ['udp:0']",
        "2: service.beacon.listen[0]: beacon does not work over udp, only over multicast",
    ),
    (
        "[service.echo]\nlisten = ['multicast:224.0.0.1:5']",
        f"2: service.echo.listen[0]: echo does not work over multicast, only over {ALL}",
    ),
    # addresses that two want
    (
        "[service.echo]\nlisten = ['tcp:5']\n[service.ack]\nlisten = ['udp:5', 'tcp:5']",
        "4: service.ack.listen: tcp:5: service.echo listens there already",
    ),
    (
        "[service.echo]\nlisten = ['udp:5', 'udp:5']",
        "2: service.echo.listen: udp:5: service.echo listens there already",
    ),
    (
        "[service.echo]\nlisten = ['tcp:5:interface=[::1]']\n"
        "[service.ack]\nlisten = ['tcp:5:interface=*']",
        "4: service.ack.listen: tcp:5:interface=*: service.echo listens there already",
    ),
    (
        "[service.echo]\nlisten = ['unix:/tmp/x']\n[service.wrap]\nlisten = ['unix:/tmp/x']",
        "4: service.wrap.listen: unix:/tmp/x: service.echo listens there already",
    ),
    (
        "[service.echo]\nlisten = ['unix:/tmp/x']\n"
        "[service.wrap]\nlisten = ['unix:/tmp/../tmp//x']",
        "4: service.wrap.listen: unix:/tmp/../tmp//x: service.echo listens there already",
    ),
    (
        "[service.echo]\nlisten = ['unix:/tmp/x', 'unixgram:/tmp/x']",
        "2: service.echo.listen: unixgram:/tmp/x: service.echo listens there already",
    ),
    # values of each type
    ("[service.echo]\nrequired = 1", "2: service.echo.required: expected true or false, got 1"),
    (
        "[service.echo]\nmax_connections = true",
        "2: service.echo.max_connections: expected a whole number, got True",
    ),
    (
        "[service.echo]\nmax_connections = 1.5",
        "2: service.echo.max_connections: expected a whole number, got 1.5",
    ),
    (
        "[service.echo]\nmax_connections = -1",
        "2: service.echo.max_connections: expected at least 1, got -1",
    ),
    ("[service.echo]\nidle_timeout = '5 mon'", f"2: service.echo.idle_timeout: {DURATION} '5 mon'"),
    ("[service.echo]\nidle_timeout = -1", f"2: service.echo.idle_timeout: {DURATION} -1"),
    ("[service.echo]\nidle_timeout = nan", f"2: service.echo.idle_timeout: {DURATION} nan"),
    (
        "[service.echo]\nidle_timeout = 0",
        "2: service.echo.idle_timeout: expected more than 0s, got 0s",
    ),
    ("[service.echo]\nmax_line = '16 kW'", f"2: service.echo.max_line: {SIZE} '16 kW'"),
    ("[service.echo]\nmax_line = 1.5", f"2: service.echo.max_line: {SIZE} 1.5"),
    (
        "[service.echo]\nreceive_buffer = '5g'",
        "2: service.echo.receive_buffer: expected at most 1g, got 5g",
    ),
    ("[service.echo]\nreply_rate = 10", f"2: service.echo.reply_rate: {RATE} 10"),
    ("[service.echo]\nreply_rate = '9/year'", f"2: service.echo.reply_rate: {RATE} '9/year'"),
    (
        "[service.echo]\nallow = '10.0.0.0/8'",
        '2: service.echo.allow: expected a list, such as ["one", "two"], got \'10.0.0.0/8\'',
    ),
    (
        "[service.echo]\nallow = [\n'10.0.0.1/8',\n'10.0.0.0/33']",
        "3: service.echo.allow[0]: '10.0.0.1/8' has bits set behind its prefix; "
        'did you mean "10.0.0.0/8"?\n'
        '4: service.echo.allow[1]: expected an address or prefix such as "10.0.0.0/8" or "::1", '
        "got '10.0.0.0/33'",
    ),
    (
        "[service.echo]\ntrusted = [10]",
        '2: service.echo.trusted[0]: expected a prefix such as "192.0.2.0/24", got 10',
    ),
    (
        "[service.echo]\nallow_users = ['nobody-of-that-name']",
        "2: service.echo.allow_users: without effect: it is for peers over a Unix socket, "
        "which this service does not have\n"
        "2: service.echo.allow_users[0]: there is no user 'nobody-of-that-name' on this host",
    ),
    (
        "[service.greet]\ntemplate = 'Hello {nmae}'",
        "2: service.greet.template: unknown field {nmae} in 'Hello {nmae}'; "
        "there are {name}, {address}, {port}, {time}",
    ),
    (
        "[service.daytime]\nzone = 'Europe/Warszawa'",
        "2: service.daytime.zone: unknown time zone 'Europe/Warszawa', "
        "expected one such as 'Europe/Warsaw'",
    ),
    ("[service.wrap]\ncolumns = 1", "2: service.wrap.columns: expected at least 2, got 1"),
    (
        "[service.fortune]\ncommand = [1, 'x', 2]",
        "2: service.fortune.command[0]: expected a text, got 1\n"
        "2: service.fortune.command[2]: expected a text, got 2",
    ),
    (
        "[service.fortune]\nenvironment = 3",
        "2: service.fortune.environment: expected a table, got 3",
    ),
    (
        "[service.fortune.environment]\nA = 'x'\nB = 1",
        "3: service.fortune.environment.B: expected a text, got 1",
    ),
    (
        "[sockd]\nlog_format = 'xml'\n[service.echo]",
        '2: sockd.log_format: expected one of "text", "json"; got "xml"',
    ),
    (
        "[sockd]\ncertificate_check = '100ms'\n[service.echo]",
        "2: sockd.certificate_check: expected at least 1s, got 100ms",
    ),
    (
        "[defaults]\nreply_burst = 0\n[service.echo]\n[service.ack]",
        "2: defaults.reply_burst: expected at least 1, got 0",
    ),
    # files that are named
    (
        "[service.quote]\nfile = '/nowhere/quotes'",
        "2: service.quote.file: /nowhere/quotes: No such file or directory",
    ),
    ("[service.quote]\nfile = '/'", "2: service.quote.file: /: a directory, not a file"),
    (
        "[service.quote]\nfile = '/dev/null'",
        "2: service.quote.file: /dev/null: a device, not a file",
    ),
    (
        "[service.quote]\nfile = 3",
        "2: service.quote.file: expected the name of a file, got 3",
    ),
    (
        "[service.echo]\nlisten = ['tcp:0',\n'ssl:0:privateKey=/nowhere/k:certKey=/nowhere/c']",
        "3: service.echo.listen[1]: /nowhere/c: No such file or directory",
    ),
    (
        "[service.echo]\nlisten = ['ssl:0:privateKey=/dev/null:certKey=/dev/null']",
        "2: service.echo.listen[0]: /dev/null: a device, not a file",
    ),
    (
        "[service.echo]\nlisten = ['tls:0:key=/nowhere/k']",
        "2: service.echo.listen[0]: tls takes no 'key'; did you mean 'privateKey'?",
    ),
    (
        "[service.echo]\nlisten = ['tls:0:/nowhere/k:certificate=x']",
        "2: service.echo.listen[0]: tls takes no 'certificate'; did you mean 'certKey'?",
    ),
    (
        "[service.echo]\nlisten = ['tls:0:/nowhere/k:ca=x']",
        "2: service.echo.listen[0]: tls takes no 'ca'; did you mean 'clientCA'?",
    ),
    (
        "[service.wrap]\nlisten = ['unix:/nowhere/x.sock']",
        "2: service.wrap.listen[0]: /nowhere is not there",
    ),
    (
        "[service.wrap]\nlisten = ['unix:/dev/null']",
        "2: service.wrap.listen[0]: there is a file that is not a socket; it is left alone",
    ),
    # settings without effect that somebody would rely on
    (
        "[service.wrap]\nlisten = ['unix:/tmp/x']\nallow = ['10.0.0.0/8']\ndeny = ['::/0']",
        "3: service.wrap.allow: without effect: it is for peers over IP, "
        "which this service does not have\n"
        "4: service.wrap.deny: without effect: it is for peers over IP, "
        "which this service does not have",
    ),
    (
        "[service.beacon]\nallow = ['10.0.0.0/8']",
        "2: service.beacon.allow: without effect: it is for peers over IP, "
        "which this service does not have",
    ),
    # keys in a wrong table
    (
        "idle_timeout = '5s'\n[service.echo]",
        "1: idle_timeout: unknown key here; it belongs into [defaults] or [service.NAME]",
    ),
    (
        "log_format = 'json'\n[service.echo]",
        "1: log_format: unknown key here; it belongs into [sockd]",
    ),
    ("[echo]\nlisten = ['tcp:1']", "1: echo: unknown key here; it belongs into [service.echo]"),
    (
        "[sockd]\nmax_line = 5\n[service.echo]",
        "2: sockd.max_line: unknown key here; it belongs into [defaults] or [service.NAME]",
    ),
    (
        "[defaults]\nlog_format = 'json'\n[service.echo]",
        "2: defaults.log_format: unknown key here; it belongs into [sockd]",
    ),
    (
        "[service.echo]\nlog_format = 'json'",
        "2: service.echo.log_format: unknown key here; it belongs into [sockd]",
    ),
    # limits that cannot be off
    (
        "[service.time]\nreply_rate = 'off'",
        "2: service.time.reply_rate: cannot be off: anybody could flood others through it",
    ),
    ("[service.echo]\nwrite_timeout = 'off'", f"2: service.echo.write_timeout: {DURATION} 'off'"),
    (
        "[service.echo]\nmax_connections = 'off'",
        "2: service.echo.max_connections: expected a whole number, got 'off'",
    ),
    # a program that is missing, and another mistake in its table
    (
        "[service.mine]\nkind = 'exec'\nlisten = ['tcp:1']\ncommand = ['/nowhere/p']\n"
        "max_children = 0",
        "4: service.mine.command: there is no program '/nowhere/p'\n"
        "5: service.mine.max_children: expected at least 1, got 0",
    ),
    (
        "[service.mine]\nkind = 'exec'\nlisten = ['tcp:1']\ncommand = 'fortune'",
        '4: service.mine.command: expected a list, such as ["one", "two"], got \'fortune\'',
    ),
]
