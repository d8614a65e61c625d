/* What the modes of the load generator share: the options, the clock and the tally of a run. */

#pragma once

#include <netinet/in.h>
#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <time.h>

enum {
    NANOSECONDS = 1000000000, /* in a second */
    PATIENCE = 5,             /* seconds without any answer after which a server counts as dead */
    EVENTS = 256,             /* taken from epoll at once */
    SHADES = 64,              /* buckets for each power of two, so that one is 1.6 % wide */
    BUCKETS = 64 * SHADES,
};

struct options {
    struct sockaddr_in server;
    int connections;
    int size;  /* bytes of a message or a line, with its CRLF */
    int lines; /* in a chunk */
    bool reverse, tls;
    int expect; /* bytes before the end of a connection; -1: any number above 0 */
    int sources, window;
    int members, users; /* of a chat: in the channel, and of all channels */
    double rate;        /* of what is said, a second */
    int watched;        /* the server's process, or 0 */
    double seconds, warmup;
};

/* What is counted between the end of the warm-up and the end of the run; times in nanoseconds. */
struct tally {
    uint64_t begin, end;
    uint64_t answers, lost, late, duplicates;
    uint64_t total; /* answers at any time, before the begin and after the end too */
    uint64_t buckets[BUCKETS];
    double server_from, server_cpu; /* what the watched process takes of the processor, seconds */
};

static inline uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NANOSECONDS + (uint64_t)t.tv_nsec;
}

/* load.c; all of them end the program where they fail */
void tally_begin(struct tally *tally, const struct options *options);
void tally_answer(struct tally *tally, uint64_t asked, uint64_t answered);
void tally_watch(struct tally *tally, const struct options *options, uint64_t time);
void *allocate(size_t count, size_t size);
void need_descriptors(int count);
void watch(int poll, int fd, uint32_t events, void *what);
int wait_events(int poll, struct epoll_event *events);

/* stream.c; so do these */
int make_stream(int flags);
void connect_stream(int fd, const struct options *options);
SSL_CTX *tls_context(void);
SSL *open_tls(SSL_CTX *context, int fd);

/* stream.c */
void run_talk(const struct options *options, struct tally *tally);
void run_idle(const struct options *options, struct tally *tally);

/* connect.c */
void run_connect(const struct options *options, struct tally *tally);

/* datagram.c */
void run_udp(const struct options *options, struct tally *tally);
void run_sink(int count);

/* talk.c */
void run_chat(const struct options *options, struct tally *tally);
void run_chat_load(const struct options *options, struct tally *tally);
