/* Datagrams: questions with a window, and sinks for those who only send. */

#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOST_AFTER = NANOSECONDS / 5, LARGEST = 65507 };

/* The head of a datagram; letters follow. */
struct label {
    uint32_t source, slot;
    uint64_t sequence;
};

struct slot {
    uint64_t sequence, asked;
    uint64_t lost; /* the last number that was given up: its answer is late, not a duplicate */
};

struct source {
    int fd;
    uint64_t sequence;
    struct slot *slots;
};

struct batch {
    int count;
    struct mmsghdr *messages;
};

static struct batch make_batch(size_t count, size_t size)
{
    struct batch batch = {.messages = allocate(count, sizeof(struct mmsghdr))};
    struct iovec *vectors = allocate(count, sizeof *vectors);
    for (size_t i = 0; i < count; i++) {
        vectors[i] = (struct iovec){allocate(size, 1), size};
        memset(vectors[i].iov_base, 'x', size);
        batch.messages[i].msg_hdr = (struct msghdr){.msg_iov = vectors + i, .msg_iovlen = 1};
    }
    return batch;
}

static void ask_again(struct source *source, uint32_t number, uint32_t slot, uint64_t asked,
                      struct batch *out)
{
    struct label label = {number, slot, ++source->sequence};
    source->slots[slot].sequence = label.sequence;
    source->slots[slot].asked = asked;
    memcpy(out->messages[out->count++].msg_hdr.msg_iov->iov_base, &label, sizeof label);
}

/* What the kernel has no room for is a loss like any other. */
static void flush(struct source *source, struct batch *out)
{
    for (int sent = 0, count; sent < out->count; sent += count) {
        count = sendmmsg(source->fd, out->messages + sent, (unsigned)(out->count - sent), 0);
        if (count < 0 && errno != EAGAIN && errno != ENOBUFS)
            err(1, "sendmmsg");
        if (count < 0)
            break;
    }
    out->count = 0;
}

static void give_up(struct source *source, uint32_t number, const struct options *options,
                    struct tally *tally, uint64_t time, struct batch *out)
{
    for (uint32_t i = 0; i < (uint32_t)options->window; i++) {
        struct slot *slot = source->slots + i;
        if (time - slot->asked < LOST_AFTER)
            continue;
        tally->lost += time >= tally->begin && time < tally->end;
        slot->lost = slot->sequence;
        ask_again(source, number, i, time, out);
    }
    flush(source, out);
}

static int open_source(const struct options *options)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&options->server, sizeof options->server))
        err(1, "UDP socket");
    return fd;
}

/* The answers that have come on one socket; each makes room for a question. */
static void hear(struct source *source, uint32_t number, const struct options *options,
                 struct tally *tally, struct batch *in, struct batch *out)
{
    size_t size = (size_t)options->size;
    int count = recvmmsg(source->fd, in->messages, (unsigned)options->window, 0, NULL);
    if (count < 0 && errno != EAGAIN)
        err(1, "recvmmsg");
    uint64_t time = now();
    for (int i = 0; i < count; i++) {
        struct label label;
        const char *text = in->messages[i].msg_hdr.msg_iov->iov_base;
        memcpy(&label, text, sizeof label);
        if (in->messages[i].msg_len != size || label.source != number ||
            label.slot >= (uint32_t)options->window || label.sequence > source->sequence ||
            memcmp(text + sizeof label,
                   (char *)out->messages->msg_hdr.msg_iov->iov_base + sizeof label,
                   size - sizeof label))
            errx(1, "wrong answer: %u bytes", in->messages[i].msg_len);
        struct slot *slot = source->slots + label.slot;
        if (label.sequence == slot->sequence) {
            tally_answer(tally, slot->asked, time);
            ask_again(source, number, label.slot, time, out);
        } else if (label.sequence == slot->lost) {
            slot->lost = 0;
            tally->late++;
        } else {
            tally->duplicates++;
        }
    }
    flush(source, out);
}

void run_udp(const struct options *options, struct tally *tally)
{
    if (options->size > LARGEST)
        errx(2, "a datagram has at most %d bytes", LARGEST);
    struct source *sources = allocate((size_t)options->sources, sizeof *sources);
    /* room for one byte more than is due, to see an answer that is too long */
    struct batch in = make_batch((size_t)options->window, (size_t)options->size + 1);
    struct batch out = make_batch((size_t)options->window, (size_t)options->size);
    struct epoll_event events[EVENTS];
    int poll = epoll_create1(0);
    for (int i = 0; i < options->sources; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        sources[i].fd = open_source(options);
        sources[i].slots = allocate((size_t)options->window, sizeof(struct slot));
        if (epoll_ctl(poll, EPOLL_CTL_ADD, sources[i].fd, &event))
            err(1, "epoll_ctl");
        for (uint32_t slot = 0; slot < (uint32_t)options->window; slot++)
            ask_again(sources + i, (uint32_t)i, slot, now(), &out);
        flush(sources + i, &out);
    }
    tally_begin(tally, options);
    uint64_t time = now(), checked = time, heard = time;
    while (time < tally->end) {
        int count = epoll_wait(poll, events, EVENTS, LOST_AFTER / 4000000);
        time = now();
        for (int i = 0; i < count; i++) {
            uint32_t number = events[i].data.u32;
            hear(sources + number, number, options, tally, &in, &out);
            heard = time;
        }
        time = now();
        if (time - checked > LOST_AFTER / 4) {
            for (int i = 0; i < options->sources; i++)
                give_up(sources + i, (uint32_t)i, options, tally, time, &out);
            checked = time;
        }
        if (time - heard > (uint64_t)PATIENCE * NANOSECONDS)
            errx(1, "no answer in %d seconds", PATIENCE);
    }
    if (!tally->answers)
        errx(1, "no answer at all");
}

/* Their buffers are as small as the kernel allows, and soon full: from then on it drops a datagram
   as soon as it is delivered, which costs little and the same whoever sends. */
void run_sink(int count)
{
    int *sinks = allocate((size_t)count, sizeof *sinks), none = 0;
    need_descriptors(count);
    /* below the ports that the kernel hands out itself */
    for (int first = 20000; first + count < 32768; first += 1000) {
        int bound = 0;
        for (; bound < count; bound++) {
            struct sockaddr_in address = {.sin_family = AF_INET,
                                          .sin_port = htons((uint16_t)(first + bound)),
                                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
            sinks[bound] = socket(AF_INET, SOCK_DGRAM, 0);
            if (sinks[bound] < 0 ||
                setsockopt(sinks[bound], SOL_SOCKET, SO_RCVBUF, &none, sizeof none))
                err(1, "UDP socket");
            if (bind(sinks[bound], (struct sockaddr *)&address, sizeof address))
                break;
        }
        if (bound == count) {
            printf("%d\n", first);
            fflush(stdout);
            while (getchar() != EOF)
                ;
            return;
        }
        for (int i = 0; i <= bound; i++)
            close(sinks[i]);
    }
    errx(1, "no %d consecutive UDP ports are free", count);
}
