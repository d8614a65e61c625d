/* Connections that do nothing but begin and end, in the clear or in TLS. */

#include "load.h"

#include <err.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <unistd.h>

struct visit {
    int fd;
    SSL *tls;
    bool shaken;
    int received;
    uint64_t began;
};

/* The load has to be lighter than the server, so a socket is used again and again: dissolved it
   costs far less than closed and made anew.

   Ports do not run out. The server closes first, so that our side of a connection is gone at once
   with its port, and only the server's side would wait (TIME_WAIT). To dissolve a connection
   resets it, which ends that wait too: with tens of thousands of connections a second the kernel's
   table of them would be full in seconds, and a server measured with the leftovers of the last. */
static void leave(struct visit *visit)
{
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    SSL_free(visit->tls);
    if (connect(visit->fd, &nobody, sizeof nobody))
        err(1, "disconnect");
    /* the reset is noted as an error of our own socket; asking for it takes it away */
    getsockopt(visit->fd, SOL_SOCKET, SO_ERROR, &(int){0}, &(socklen_t){sizeof(int)});
}

static void enter(struct visit *visit, const struct options *options, SSL_CTX *context)
{
    *visit = (struct visit){.fd = visit->fd, .began = now()};
    if (context)
        visit->tls = open_tls(context, visit->fd);
    connect_stream(visit->fd, options);
}

/* True when the server has ended the connection; what it sent is counted. */
static bool read_to_end(struct visit *visit)
{
    char heard[4096];
    ssize_t count;
    while ((count = recv(visit->fd, heard, sizeof heard, 0)) > 0)
        visit->received += (int)count;
    if (count < 0 && errno != EAGAIN)
        err(1, "connection");
    return count == 0;
}

/* A full handshake and an orderly end, which the server can only give after its own handshake. */
static bool shake_hands(struct visit *visit)
{
    char heard[4096];
    int result = 1;
    if (!visit->shaken) {
        result = SSL_do_handshake(visit->tls);
        if (result == 1) {
            visit->shaken = true;
            SSL_shutdown(visit->tls);
        }
    }
    if (visit->shaken)
        while ((result = SSL_read(visit->tls, heard, sizeof heard)) > 0)
            visit->received += result;
    switch (SSL_get_error(visit->tls, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return false;
    case SSL_ERROR_ZERO_RETURN: return true;
    case SSL_ERROR_SYSCALL: err(1, "TLS connection");
    default: errx(1, "TLS: no orderly %s", visit->shaken ? "end" : "handshake");
    }
}

void run_connect(const struct options *options, struct tally *tally)
{
    struct visit *visits = allocate((size_t)options->connections, sizeof *visits);
    struct epoll_event events[EVENTS];
    SSL_CTX *context = options->tls ? tls_context() : NULL;
    int poll = epoll_create1(0);
    tally_begin(tally, options);
    for (int i = 0; i < options->connections; i++) {
        struct visit *visit = visits + i;
        visit->fd = make_stream(SOCK_NONBLOCK);
        /* in the clear only the end matters: what came before it is read then */
        watch(poll, visit->fd, EPOLLET | (context ? EPOLLIN | EPOLLOUT : EPOLLRDHUP), visit);
        enter(visit, options, context);
    }
    for (int visiting = options->connections; visiting;) {
        int count = wait_events(poll, events);
        for (int i = 0; i < count; i++) {
            struct visit *visit = events[i].data.ptr;
            if (!(context ? shake_hands(visit) : read_to_end(visit)))
                continue;
            if (!context && (options->expect < 0 ? visit->received == 0
                                                 : visit->received != options->expect))
                errx(1, "a connection ended after %d bytes", visit->received);
            uint64_t ended = now();
            tally_answer(tally, visit->began, ended);
            leave(visit);
            if (ended < tally->end) {
                enter(visit, options, context);
            } else {
                close(visit->fd);
                visiting--;
            }
        }
    }
}
