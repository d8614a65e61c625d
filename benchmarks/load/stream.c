/* Talk on held connections, in the clear or in TLS, and idle connections. */

#include "load.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The questions differ from connection to connection and from turn to turn, so that an answer
   that went astray or came twice is a wrong one. */
enum { VARIANTS = 7 };

struct texts {
    size_t length, line;
    char *questions[VARIANTS], *answers[VARIANTS];
};

struct connection {
    int fd;
    SSL *tls; /* NULL in the clear */
    unsigned turn;
    size_t sent, received; /* bytes of this turn's question and answer */
    uint64_t asked;
};

int make_stream(int flags)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | flags, 0);
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one))
        err(1, "socket");
    return fd;
}

/* With SOCK_NONBLOCK the connection may still be on its way afterwards. */
void connect_stream(int fd, const struct options *options)
{
    if (connect(fd, (const struct sockaddr *)&options->server, sizeof options->server) &&
        errno != EINPROGRESS)
        err(1, "connect");
}

static _Noreturn void tls_failed(const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    errx(1, "TLS: %s: %s", what, reason ? reason : "the server closed the connection");
}

static int judge_nothing(X509_STORE_CTX *store, void *unused)
{
    (void)store, (void)unused;
    return 1;
}

/* The server's certificate is not judged, it is the benchmark's own; that it has the key is. No
   session is ever offered again, so each handshake is a full one. Every server is asked for the
   same, because what it would choose by itself is a matter of its library and its age. */
SSL_CTX *tls_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") ||
        !SSL_CTX_set1_groups_list(context, "X25519"))
        tls_failed("context");
    SSL_CTX_set_cert_verify_callback(context, judge_nothing, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return context;
}

SSL *open_tls(SSL_CTX *context, int fd)
{
    SSL *tls = SSL_new(context);
    if (!tls || !SSL_set_fd(tls, fd))
        tls_failed("connection");
    SSL_set_connect_state(tls);
    return tls;
}

/* A held connection, its handshake done. Its records wait until they are flushed, so that those of
   many lines cost one call to the system. */
static SSL *shake_hands(SSL_CTX *context, int fd)
{
    SSL *tls = open_tls(context, fd);
    BIO *buffer = BIO_new(BIO_f_buffer()), *wire = SSL_get_rbio(tls);
    if (!buffer || !BIO_up_ref(wire))
        tls_failed("buffer");
    SSL_set0_wbio(tls, BIO_push(buffer, wire));
    if (SSL_do_handshake(tls) != 1)
        tls_failed("handshake");
    return tls;
}

static struct texts make_texts(const struct options *options)
{
    size_t size = (size_t)options->size, length = size * (size_t)options->lines;
    struct texts texts = {.length = length, .line = size};
    for (size_t v = 0; v < VARIANTS; v++) {
        char *question = texts.questions[v] = allocate(length, 1);
        char *answer = texts.answers[v] = allocate(length, 1);
        for (size_t i = 0; i < length; i++) {
            size_t line = i / size, column = i % size;
            char letter = column == size - 2   ? '\r'
                          : column == size - 1 ? '\n'
                                               : (char)('a' + (column + 3 * line + 5 * v) % 26);
            question[i] = letter;
            if (options->reverse && column < size - 2)
                answer[line * size + size - 3 - column] = letter;
            else
                answer[i] = letter;
        }
    }
    return texts;
}

/* Send what the socket takes of the question of this turn. */
static void ask(struct connection *c, const struct texts *texts)
{
    const char *question = texts->questions[c->turn % VARIANTS];
    while (c->sent < texts->length) {
        size_t left = texts->length - c->sent;
        ssize_t count;
        if (c->tls) {
            /* a record for each line */
            size_t most = texts->line - c->sent % texts->line;
            count = SSL_write(c->tls, question + c->sent, (int)(left < most ? left : most));
            if (count <= 0 && SSL_get_error(c->tls, (int)count) == SSL_ERROR_WANT_WRITE)
                return;
            if (count <= 0)
                tls_failed("write");
        } else {
            count = send(c->fd, question + c->sent, left, 0);
            if (count < 0 && errno == EAGAIN)
                return;
            if (count < 0)
                err(1, "send");
        }
        c->sent += (size_t)count;
    }
    if (c->tls && BIO_flush(SSL_get_wbio(c->tls)) <= 0 && !BIO_should_retry(SSL_get_wbio(c->tls)))
        tls_failed("flush");
}

/* Read what there is of the answer and check it; true when the answer is whole. */
static bool hear(struct connection *c, const struct texts *texts)
{
    static char heard[1 << 18];
    const char *answer = texts->answers[c->turn % VARIANTS];
    while (c->received < texts->length) {
        size_t left = texts->length - c->received;
        /* room for one byte more than is due, to see an answer that is too long */
        size_t room = left < sizeof heard ? left + 1 : sizeof heard;
        ssize_t count;
        if (c->tls) {
            count = SSL_read(c->tls, heard, (int)room);
            if (count <= 0 && SSL_get_error(c->tls, (int)count) == SSL_ERROR_WANT_READ)
                return false;
            if (count <= 0)
                tls_failed("read");
        } else {
            count = recv(c->fd, heard, room, 0);
            if (count < 0 && errno == EAGAIN)
                return false;
            if (count < 0)
                err(1, "recv");
            if (count == 0)
                errx(1, "the server closed a connection after %zu of %zu bytes", c->received,
                     texts->length);
        }
        if ((size_t)count > left || memcmp(heard, answer + c->received, (size_t)count))
            errx(1, "wrong answer: %.*s, not %.*s", (int)(count < 40 ? count : 40), heard,
                 (int)(left < 40 ? left : 40), answer + c->received);
        c->received += (size_t)count;
    }
    return true;
}

static void begin_turn(struct connection *c, const struct texts *texts, uint64_t asked)
{
    c->turn++;
    c->sent = c->received = 0;
    c->asked = asked;
    ask(c, texts);
}

void run_talk(const struct options *options, struct tally *tally)
{
    struct texts texts = make_texts(options);
    struct connection *connections = allocate((size_t)options->connections, sizeof *connections);
    struct epoll_event events[EVENTS];
    SSL_CTX *context = options->tls ? tls_context() : NULL;
    int poll = epoll_create1(0);
    for (int i = 0; i < options->connections; i++) {
        struct connection *c = connections + i;
        c->turn = (unsigned)i;
        c->fd = make_stream(0);
        connect_stream(c->fd, options);
        if (context)
            c->tls = shake_hands(context, c->fd);
        /* edges, so that the hot loop never has to change what is watched */
        watch(poll, c->fd, EPOLLIN | EPOLLOUT | EPOLLET, c);
        if (fcntl(c->fd, F_SETFL, O_NONBLOCK))
            err(1, "fcntl");
    }
    tally_begin(tally, options);
    for (int i = 0; i < options->connections; i++)
        begin_turn(connections + i, &texts, now());
    /* at the end every question is still answered, so that no server sees a reset */
    for (int talking = options->connections; talking;) {
        int count = wait_events(poll, events);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            ask(c, &texts);
            if (c->asked == 0 || !hear(c, &texts))
                continue;
            uint64_t answered = now();
            tally_answer(tally, c->asked, answered);
            if (answered < tally->end) {
                begin_turn(c, &texts, answered);
            } else {
                c->asked = 0;
                talking--;
            }
        }
    }
}

/* Each connection asks once: it is held only when the server, and not just its kernel, has it. */
void run_idle(const struct options *options, struct tally *tally)
{
    struct texts texts = make_texts(options);
    struct timeval patience = {.tv_sec = PATIENCE};
    SSL_CTX *context = options->tls ? tls_context() : NULL;
    need_descriptors(options->connections);
    struct connection *connections = allocate((size_t)options->connections, sizeof *connections);
    tally->begin = now();
    tally->end = UINT64_MAX;
    for (int i = 0; i < options->connections; i++) {
        struct connection *c = connections + i;
        uint64_t asked = now();
        c->fd = make_stream(0);
        connect_stream(c->fd, options);
        setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (context)
            c->tls = shake_hands(context, c->fd);
        begin_turn(c, &texts, asked);
        if (!hear(c, &texts))
            errx(1, "no answer in %d seconds on connection %d", PATIENCE, i + 1);
        tally_answer(tally, asked, now());
    }
    tally->end = now();
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF)
        ;
    for (int i = 0; i < options->connections; i++)
        if (recv(connections[i].fd, &(char){0}, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN)
            errx(1, "the server did not hold connection %d", i + 1);
}
