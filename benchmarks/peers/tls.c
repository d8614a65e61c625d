/* The reference in TLS: an echo by OpenSSL on epoll, one thread, TLS 1.3, nothing besides.

   cc -O2 -o tls tls.c -lssl -lcrypto

   CERTIFICATE names a file that holds the key and the certificate. It reads ahead, as a limit of what
   can be had; everything else is OpenSSL's default, the two session tickets of each handshake among
   it: sockd sends them too. */

#define _GNU_SOURCE
#include "loopback.h"

#include <err.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS = 256, CHUNK = 1 << 14 };

struct connection {
    int fd;
    SSL *tls;
    char *unsent; /* an answer that the socket did not take */
    int unsent_length;
};

static SSL_CTX *make_context(void)
{
    const char *file = getenv("CERTIFICATE");
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!file || !context || SSL_CTX_use_certificate_chain_file(context, file) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, file, SSL_FILETYPE_PEM) != 1)
        errx(1, "CERTIFICATE is to be a file with a key and a certificate");
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_read_ahead(context, 1); /* else each record is read by two calls to the system */
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return context;
}

static void drop(struct connection *c)
{
    SSL_free(c->tls);
    close(c->fd);
    free(c->unsent);
    free(c);
}

/* Whether the connection goes on after a call that did not succeed. A peer that has ended its
   half is told our end. */
static bool goes_on(struct connection *c, int result)
{
    int error = SSL_get_error(c->tls, result);
    if (error == SSL_ERROR_ZERO_RETURN)
        SSL_shutdown(c->tls);
    else if (error == SSL_ERROR_SSL)
        ERR_clear_error();
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/* Send what waits; false when not all of it went. The result of the last write is left. */
static bool flush(struct connection *c, const char *bytes, int length, int *result)
{
    int sent = 0;
    while (sent < length && (*result = SSL_write(c->tls, bytes + sent, length - sent)) > 0)
        sent += *result;
    char *left = sent < length ? memcpy(malloc((size_t)(length - sent)), bytes + sent,
                                        (size_t)(length - sent))
                               : NULL;
    free(c->unsent); /* which the bytes may be */
    c->unsent = left;
    c->unsent_length = length - sent;
    return !left;
}

/* Do all that can be done until the socket gives or takes no more: its events are edges. False when
   the connection is over. */
static bool echo(struct connection *c)
{
    static char chunk[CHUNK];
    int result = 1;
    if (c->unsent && !flush(c, c->unsent, c->unsent_length, &result))
        return goes_on(c, result);
    for (;;) {
        int length = 0, sent = 1;
        /* what came in many records leaves in one */
        while (length < CHUNK && (result = SSL_read(c->tls, chunk + length, CHUNK - length)) > 0)
            length += result;
        bool more = length == CHUNK || goes_on(c, result);
        if (length && !flush(c, chunk, length, &sent))
            return more && goes_on(c, sent);
        if (length < CHUNK)
            return more;
    }
}

static void watch(int poll, int fd, uint32_t events, struct connection *c)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event))
        err(1, "epoll_ctl");
}

static void enter(int poll, int fd, SSL_CTX *context)
{
    struct connection *c = calloc(1, sizeof *c);
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    *c = (struct connection){.fd = fd, .tls = SSL_new(context)};
    if (!c->tls || !SSL_set_fd(c->tls, fd))
        errx(1, "no memory for a connection");
    SSL_set_accept_state(c->tls);
    watch(poll, fd, EPOLLIN | EPOLLOUT | EPOLLET, c);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    if (argc != 2 || strcmp(argv[1], "tls-echo"))
        errx(2, "kinds: tls-echo");
    signal(SIGPIPE, SIG_IGN);
    SSL_CTX *context = make_context();
    int listener = bind_loopback(SOCK_STREAM | SOCK_NONBLOCK), poll = epoll_create1(0), fd;
    watch(poll, listener, EPOLLIN, NULL);
    for (;;) {
        int count = epoll_wait(poll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (c && !echo(c))
                drop(c);
            while (!c && (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
                enter(poll, fd, context);
        }
    }
}
