/* The reference: what the kernel gives to one thread that does the least on epoll.

   cc -O2 -o epoll epoll.c */

#define _GNU_SOURCE
#include "loopback.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, CHUNK = 1 << 16, BATCH = 32, DATAGRAM = 2048, SINKS = 1000, MESSAGE = 64 };
enum { NOTHING = 0, ERROR = 10, LOGIN_REQ = 20, LOGOFF = 40, SEND_PUBLIC = 90, PUBLIC_MSG = 100 };
enum { MEMBERS = 20000, NAME = 32 };

struct connection {
    int fd;
    char *line, *unsent; /* half a line; an answer that the socket did not take */
    size_t line_length, unsent_length;
};

static int poll;

static void keep(char **kept, size_t *kept_length, const char *bytes, size_t length)
{
    char *copy = length ? memcpy(malloc(length), bytes, length) : NULL;
    free(*kept); /* which the bytes may be a part of */
    *kept = copy;
    *kept_length = length;
}

static void drop(struct connection *c)
{
    close(c->fd);
    free(c->line);
    free(c->unsent);
    free(c);
}

static void watch(int operation, struct connection *c, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    epoll_ctl(poll, operation, fd, &event);
}

/* False when the connection is gone. What is left over waits, and reading with it. */
static bool put(struct connection *c, const char *bytes, size_t length)
{
    ssize_t sent = send(c->fd, bytes, length, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        return false;
    size_t left = length - (sent > 0 ? (size_t)sent : 0);
    if (left)
        watch(EPOLL_CTL_MOD, c, c->fd, EPOLLOUT);
    else if (c->unsent)
        watch(EPOLL_CTL_MOD, c, c->fd, EPOLLIN);
    if (left || c->unsent)
        keep(&c->unsent, &c->unsent_length, bytes + length - left, left);
    return true;
}

static bool echo(struct connection *c)
{
    static char chunk[CHUNK];
    ssize_t length = recv(c->fd, chunk, sizeof chunk, 0);
    return length > 0 ? put(c, chunk, (size_t)length) : length < 0 && errno == EAGAIN;
}

static bool reverse(struct connection *c)
{
    static char chunk[CHUNK], answers[2 * CHUNK];
    ssize_t length = recv(c->fd, chunk + c->line_length, sizeof chunk - c->line_length, 0);
    if (length <= 0)
        return length < 0 && errno == EAGAIN;
    if (c->line)
        memcpy(chunk, c->line, c->line_length);
    char *line = chunk, *end = chunk + c->line_length + length, *next = answers, *newline;
    while ((newline = memchr(line, '\n', (size_t)(end - line)))) {
        char *from = newline > line && newline[-1] == '\r' ? newline - 1 : newline;
        while (from > line)
            *next++ = *--from;
        *next++ = '\r';
        *next++ = '\n';
        line = newline + 1;
    }
    if (end - line == CHUNK)
        return false;
    if (end > line || c->line)
        keep(&c->line, &c->line_length, line, (size_t)(end - line));
    return next == answers || put(c, answers, (size_t)(next - answers));
}

static void daytime(int fd)
{
    char text[64];
    time_t now = time(NULL);
    size_t length = strftime(text, sizeof text, "%a %b %d %T %Y\r\n", localtime(&now));
    send(fd, text, length, MSG_NOSIGNAL);
    close(fd);
}

/* Serve streams; without `answer` a connection is told the time. */
static void serve(bool (*answer)(struct connection *))
{
    struct epoll_event events[EVENTS];
    int listener = bind_loopback(SOCK_STREAM | SOCK_NONBLOCK), fd, one = 1;
    poll = epoll_create1(0);
    watch(EPOLL_CTL_ADD, NULL, listener, EPOLLIN);
    for (;;) {
        int count = epoll_wait(poll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (c) {
                if (!(c->unsent ? put(c, c->unsent, c->unsent_length) : answer(c)))
                    drop(c);
                continue;
            }
            while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                if (!answer) {
                    daytime(fd);
                    continue;
                }
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                c = calloc(1, sizeof *c);
                c->fd = fd;
                watch(EPOLL_CTL_ADD, c, fd, EPOLLIN);
            }
        }
    }
}

/* In batches: a fifth more than with recvfrom and sendto. */
static void udp_echo(void)
{
    static char datagrams[BATCH][DATAGRAM];
    struct sockaddr_in addresses[BATCH];
    struct iovec vectors[BATCH];
    struct mmsghdr messages[BATCH];
    int fd = bind_loopback(SOCK_DGRAM);
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            vectors[i] = (struct iovec){datagrams[i], DATAGRAM};
            messages[i].msg_hdr = (struct msghdr){.msg_name = addresses + i,
                                                  .msg_namelen = sizeof *addresses,
                                                  .msg_iov = vectors + i,
                                                  .msg_iovlen = 1};
        }
        int count = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
        for (int i = 0; i < count; i++)
            vectors[i].iov_len = messages[i].msg_len;
        if (count > 0)
            sendmmsg(fd, messages, (unsigned)count, 0);
    }
}

/* The sinks have consecutive ports, the first of which is PORT. */
static void fanout(double seconds)
{
    static struct mmsghdr messages[SINKS];
    static struct sockaddr_in addresses[SINKS];
    char datagram[MESSAGE] = {0}, *port = getenv("PORT");
    struct iovec vector = {datagram, sizeof datagram};
    struct timespec t;
    long sent = 0;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || !port)
        errx(1, "fanout needs PORT, the first of the sinks");
    for (int i = 0; i < SINKS; i++) {
        addresses[i] = (struct sockaddr_in){.sin_family = AF_INET,
                                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                            .sin_port = htons((uint16_t)(atoi(port) + i))};
        messages[i].msg_hdr = (struct msghdr){.msg_name = addresses + i,
                                              .msg_namelen = sizeof *addresses,
                                              .msg_iov = &vector,
                                              .msg_iovlen = 1};
    }
    clock_gettime(CLOCK_MONOTONIC, &t);
    double began = (double)t.tv_sec + (double)t.tv_nsec / 1e9, taken;
    do {
        for (int next = 0, count; next < SINKS; next += count)
            if ((count = sendmmsg(fd, messages + next, (unsigned)(SINKS - next), 0)) < 0)
                err(1, "sendmmsg");
        sent += SINKS;
        clock_gettime(CLOCK_MONOTONIC, &t);
        taken = (double)t.tv_sec + (double)t.tv_nsec / 1e9 - began;
    } while (taken < seconds);
    printf("%.0f\n", (double)sent / taken);
}

/* Who joins is sent what anybody says: a channel of the tutorial's chat, with the least that a server
   can do. An event is a code, 16 bits, and a text. */
static void chat(void)
{
    static struct mmsghdr messages[MEMBERS];
    static struct sockaddr_in addresses[MEMBERS];
    static char names[MEMBERS][NAME];
    static const char title[] = "Weather";
    char event[DATAGRAM], said[DATAGRAM + sizeof title + NAME];
    struct iovec vector = {said, 0};
    int fd = bind_loopback(SOCK_DGRAM), count = 0;
    for (;;) {
        struct sockaddr_in from = {0};
        socklen_t length = sizeof from;
        ssize_t size = recvfrom(fd, event, sizeof event - 1, 0, (struct sockaddr *)&from, &length);
        if (size < 2)
            continue;
        event[size] = 0;
        int code = event[1], user = 0;
        while (user < count && (addresses[user].sin_addr.s_addr != from.sin_addr.s_addr ||
                                addresses[user].sin_port != from.sin_port))
            user++;
        if (code == LOGIN_REQ && count < MEMBERS) {
            addresses[user] = from;
            snprintf(names[user], NAME, "%.*s", NAME - 1, event + 2);
            messages[user].msg_hdr = (struct msghdr){.msg_name = addresses + user,
                                                     .msg_namelen = sizeof *addresses,
                                                     .msg_iov = &vector,
                                                     .msg_iovlen = 1};
            count += user == count;
        } else if (code == LOGOFF && user < count) {
            addresses[user] = addresses[--count];
            memcpy(names[user], names[count], NAME);
        } else if (code == SEND_PUBLIC && user < count) {
            vector.iov_len = (size_t)snprintf(said + 2, sizeof said - 2, "%s %s %s", title,
                                              names[user], event + 2) + 2;
            said[1] = PUBLIC_MSG;
            for (int next = 0, sent; next < count; next += sent)
                if ((sent = sendmmsg(fd, messages + next, (unsigned)(count - next), 0)) < 0)
                    err(1, "sendmmsg");
        }
        if (code != SEND_PUBLIC && code != LOGOFF) { /* or JOIN_REQ: all are in the channel */
            event[1] = code == NOTHING ? ERROR : (char)(code + 10);
            sendto(fd, event, (size_t)size, 0, (struct sockaddr *)&from, length);
        }
    }
}

int main(int argc, char **argv)
{
    const char *kind = argc > 1 ? argv[1] : "";
    if (!strcmp(kind, "echo"))
        serve(echo);
    else if (!strcmp(kind, "reverse"))
        serve(reverse);
    else if (!strcmp(kind, "daytime"))
        serve(NULL);
    else if (!strcmp(kind, "udp-echo"))
        udp_echo();
    else if (!strcmp(kind, "chat"))
        chat();
    else if (!strcmp(kind, "fanout") && argc == 3)
        fanout(atof(argv[2]));
    else
        errx(2, "kinds: echo, reverse, daytime, udp-echo, chat, fanout SECONDS");
    return 0;
}
