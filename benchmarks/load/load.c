/* A load generator: one thread that asks a server on and on and checks what it answers.

   cc -O2 -o load *.c -lssl -lcrypto

   Prints one line of JSON: the rate and the latencies of what was answered between the warm-up and
   the end, what was answered at any time (total), the share of datagrams lost, and the share of a core
   that the load itself took (cpu). A wrong answer, a refused connection or one that ends too early
   ends the run with a line on stderr and exit code 1. */

#include "load.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <glob.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const char HELP[] =
    "usage: load MODE --port PORT [OPTION ...]\n"
    "       load sink COUNT\n"
    "\n"
    "modes\n"
    "  pingpong       one message outstanding on each connection\n"
    "  pipelined      one chunk of --lines lines outstanding on each connection\n"
    "  bulk           the same as pingpong, with chunks of 64 kB\n"
    "  connect        connect, read to the end, close, again; --connections at a time\n"
    "  udp            --window datagrams outstanding on each of --sources sockets; what is not\n"
    "                 answered in 200 ms is lost and replaced\n"
    "  idle           open the connections, ask once on each, say \"ready\", hold them until\n"
    "                 stdin ends\n"
    "  tls-echo       pingpong in TLS\n"
    "  tls-pipelined  pipelined in TLS, each line a record of its own\n"
    "  tls-idle       idle in TLS\n"
    "  tls-handshake  connect, full handshake, orderly end, again\n"
    "  chat           one of --members of a channel speaks, --window messages outstanding; what all\n"
    "                 of them are sent is counted, and read by that one only\n"
    "  chat-load      --users log in, --members of them to one channel, in which each speaks in turn,\n"
    "                 --rate times a second in all; say \"ready\" and \"done\", end when stdin does\n"
    "  sink           bind COUNT UDP sockets that never read to consecutive ports of 127.0.0.1,\n"
    "                 print the first port, hold them until stdin ends\n"
    "\n"
    "options\n"
    "  --host ADDRESS     IPv4 address of the server (127.0.0.1)\n"
    "  --port PORT        its port\n"
    "  --connections N    (50; idle 10000, tls-idle 2000)\n"
    "  --size BYTES       of a message or a line, with its CRLF (64; bulk 65536; chat 128)\n"
    "  --lines N          lines in a chunk (32; pipelined and tls-pipelined only)\n"
    "  --reverse          the answer to expect is the line reversed, not the line\n"
    "  --expect-bytes N   bytes of an answer in mode connect (any number above 0)\n"
    "  --sources N        UDP sockets that ask (8)\n"
    "  --window N         datagrams outstanding on each (8)\n"
    "  --members N        in the channel (1000)\n"
    "  --users N          in all channels (20000)\n"
    "  --rate N           messages a second (20)\n"
    "  --watch PID        tell what this process takes of the processor, modes chat and chat-load\n"
    "  --seconds S        that are measured (2)\n"
    "  --warmup S         that are not, before them (0.3)\n";

static const struct mode {
    const char *name, *unit;
    void (*run)(const struct options *, struct tally *);
    int connections, size, lines;
    bool tls, in_bytes;
} MODES[] = {
    {"pingpong", "messages/s", run_talk, 50, 64, 1, false, false},
    {"pipelined", "lines/s", run_talk, 50, 64, 32, false, false},
    {"bulk", "bytes/s", run_talk, 50, 65536, 1, false, true},
    {"connect", "connections/s", run_connect, 50, 64, 1, false, false},
    {"udp", "datagrams/s", run_udp, 0, 64, 1, false, false},
    {"idle", "connections/s", run_idle, 10000, 64, 1, false, false},
    {"tls-echo", "messages/s", run_talk, 50, 64, 1, true, false},
    {"tls-pipelined", "messages/s", run_talk, 50, 64, 32, true, false},
    {"tls-idle", "connections/s", run_idle, 2000, 64, 1, true, false},
    {"tls-handshake", "handshakes/s", run_connect, 50, 64, 1, true, false},
    {"chat", "datagrams/s", run_chat, 0, 128, 1, false, false},
    {"chat-load", "datagrams/s", run_chat_load, 0, 128, 1, false, false},
};

static const struct option OPTIONS[] = {
    {"host", required_argument, NULL, 'h'},
    {"port", required_argument, NULL, 'p'},
    {"connections", required_argument, NULL, 'c'},
    {"size", required_argument, NULL, 's'},
    {"lines", required_argument, NULL, 'l'},
    {"reverse", no_argument, NULL, 'r'},
    {"expect-bytes", required_argument, NULL, 'e'},
    {"sources", required_argument, NULL, 'u'},
    {"window", required_argument, NULL, 'w'},
    {"members", required_argument, NULL, 'm'},
    {"users", required_argument, NULL, 'U'},
    {"rate", required_argument, NULL, 'R'},
    {"watch", required_argument, NULL, 'P'},
    {"seconds", required_argument, NULL, 't'},
    {"warmup", required_argument, NULL, 'W'},
    {"help", no_argument, NULL, 'H'},
    {0},
};

static double number(const char *text, double least, double most)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= least && value <= most))
        errx(2, "%s is not a number from %g to %g", text, least, most);
    return value;
}

/* Values below SHADES have a bucket each; above, each power of two is cut in SHADES. */
static int bucket(uint64_t value)
{
    if (value < SHADES)
        return (int)value;
    int power = 63 - __builtin_clzll(value) - __builtin_ctz(SHADES);
    return power * SHADES + (int)(value >> power);
}

static double quantile(const struct tally *tally, double fraction)
{
    uint64_t rank = (uint64_t)(fraction * (double)tally->answers), seen = 0;
    for (int i = 0; i < BUCKETS; i++) {
        seen += tally->buckets[i];
        if (seen > rank) {
            int power = i < 2 * SHADES ? 0 : i / SHADES - 1;
            return (double)((uint64_t)(i - power * SHADES) << power);
        }
    }
    return 0;
}

void tally_begin(struct tally *tally, const struct options *options)
{
    tally->begin = now() + (uint64_t)(options->warmup * NANOSECONDS);
    tally->end = tally->begin + (uint64_t)(options->seconds * NANOSECONDS);
}

void tally_answer(struct tally *tally, uint64_t asked, uint64_t answered)
{
    tally->total++;
    if (answered >= tally->begin && answered < tally->end) {
        tally->answers++;
        tally->buckets[bucket(answered - asked)]++;
    }
}

/* What the threads of a process have taken of the processor so far, in seconds. */
static double taken_by(int process)
{
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/task/*/schedstat", process);
    glob_t found;
    double sum = 0;
    if (glob(name, 0, NULL, &found))
        errx(1, "process %d is not there", process);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        FILE *file = fopen(found.gl_pathv[i], "r");
        uint64_t taken;
        if (file && fscanf(file, "%" SCNu64, &taken) == 1)
            sum += (double)taken / NANOSECONDS;
        if (file)
            fclose(file);
    }
    globfree(&found);
    return sum;
}

/* To be called on and on, from before the begin to the end. */
void tally_watch(struct tally *tally, const struct options *options, uint64_t time)
{
    if (!options->watched || time < tally->begin)
        return;
    if (!tally->server_from)
        tally->server_from = taken_by(options->watched);
    if (time >= tally->end)
        tally->server_cpu = taken_by(options->watched) - tally->server_from;
}

void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory)
        err(1, "memory");
    return memory;
}

void need_descriptors(int count)
{
    struct rlimit limit = {(rlim_t)count + 64, (rlim_t)count + 64};
    if (setrlimit(RLIMIT_NOFILE, &limit))
        err(1, "%d descriptors", (int)limit.rlim_cur);
}

void watch(int poll, int fd, uint32_t events, void *what)
{
    struct epoll_event event = {.events = events, .data.ptr = what};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event))
        err(1, "epoll_ctl");
}

int wait_events(int poll, struct epoll_event *events)
{
    int count;
    do
        count = epoll_wait(poll, events, EVENTS, PATIENCE * 1000);
    while (count < 0 && errno == EINTR); /* who was stopped goes on */
    if (count == 0)
        errx(1, "no answer in %d seconds", PATIENCE);
    if (count < 0)
        err(1, "epoll_wait");
    return count;
}

static double cpu_seconds(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static void report(const struct mode *mode, const struct options *options,
                   const struct tally *tally, double cpu)
{
    double seconds = (double)(tally->end - tally->begin) / NANOSECONDS;
    uint64_t each = (uint64_t)(mode->in_bytes ? options->size : options->lines);
    uint64_t count = tally->answers * each;
    uint64_t asked = tally->answers + tally->lost;
    printf("{\"mode\": \"%s\", \"rate\": %.1f, \"unit\": \"%s\", \"p50_us\": %.1f, "
           "\"p99_us\": %.1f, \"loss\": %.6f, \"late\": %" PRIu64 ", \"duplicates\": %" PRIu64
           ", \"count\": %" PRIu64 ", \"total\": %" PRIu64
           ", \"seconds\": %.3f, \"cpu\": %.2f, \"server_cpu\": %.6f, \"errors\": 0}\n",
           mode->name, (double)count / seconds, mode->unit, quantile(tally, 0.5) / 1000,
           quantile(tally, 0.99) / 1000, asked ? (double)tally->lost / (double)asked : 0,
           tally->late, tally->duplicates, count, tally->total * each, seconds, cpu,
           tally->server_cpu);
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "--help")) {
        fputs(HELP, stdout);
        return 0;
    }
    if (argc == 3 && !strcmp(argv[1], "sink")) {
        run_sink((int)number(argv[2], 1, 20000));
        return 0;
    }
    const struct mode *mode = MODES, *last = MODES + sizeof MODES / sizeof *MODES;
    while (mode < last && (argc < 2 || strcmp(argv[1], mode->name)))
        mode++;
    if (mode == last) {
        fputs(HELP, stderr);
        return 2;
    }
    struct options options = {
        .server = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
        .connections = mode->connections,
        .size = mode->size,
        .lines = mode->lines,
        .tls = mode->tls,
        .expect = -1,
        .sources = 8,
        .window = 8,
        .members = 1000,
        .users = 20000,
        .rate = 20,
        .seconds = 2,
        .warmup = 0.3,
    };
    for (int letter; (letter = getopt_long(argc - 1, argv + 1, "", OPTIONS, NULL)) != -1;) {
        switch (letter) {
        case 'h':
            if (!inet_aton(optarg, &options.server.sin_addr))
                errx(2, "%s is not an IPv4 address", optarg);
            break;
        case 'p': options.server.sin_port = htons((uint16_t)number(optarg, 1, 65535)); break;
        case 'c': options.connections = (int)number(optarg, 1, 1000000); break;
        case 's': options.size = (int)number(optarg, 16, 1 << 20); break;
        case 'l': options.lines = (int)number(optarg, 1, 10000); break;
        case 'r': options.reverse = true; break;
        case 'e': options.expect = (int)number(optarg, 0, 1 << 30); break;
        case 'u': options.sources = (int)number(optarg, 1, 1000); break;
        case 'w': options.window = (int)number(optarg, 1, 1000); break;
        case 'm': options.members = (int)number(optarg, 2, 20000); break;
        case 'U': options.users = (int)number(optarg, 2, 60000); break;
        case 'R': options.rate = number(optarg, 0.01, 100000); break;
        case 'P': options.watched = (int)number(optarg, 1, 1 << 30); break;
        case 't': options.seconds = number(optarg, 0.01, 100000); break;
        case 'W': options.warmup = number(optarg, 0, 100000); break;
        case 'H': fputs(HELP, stdout); return 0;
        default: return 2;
        }
    }
    if (!options.server.sin_port || optind != argc - 1)
        errx(2, "usage: load MODE --port PORT [OPTION ...]");
    if (mode->run == run_chat)
        options.lines = options.members; /* each answer to one is of all */
    signal(SIGPIPE, SIG_IGN);

    static struct tally tally;
    uint64_t start = now();
    double cpu = cpu_seconds();
    mode->run(&options, &tally);
    cpu = (cpu_seconds() - cpu) / ((double)(now() - start) / NANOSECONDS);
    report(mode, &options, &tally, cpu);
    return 0;
}
