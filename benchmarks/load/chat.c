/* Users of a chat: its wire, as docs/chat.md has it. */

#define _GNU_SOURCE
#include "chat.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_ADDRESS = 0x7f010001, HELLO = 200, CLIENT_TRAILER = 22, SERVER_TRAILER = 34, ROOM = 64 << 20 };
enum { BEHIND_KEY = 4 + 1 + MAC }; /* in the answer to a join: a sequence number, "K" and the MAC */

static const char NONCE[] = "0123456789abcdef";
static const char TITLE[] = "Weather";

static void put32(uint8_t *to, uint32_t value)
{
    value = htonl(value);
    memcpy(to, &value, sizeof value);
}

static void make_mac(const uint8_t *key, const uint8_t *data, size_t size, uint8_t *mac)
{
    static EVP_MAC_CTX *context;
    if (!context) {
        EVP_MAC *algorithm = EVP_MAC_fetch(NULL, "BLAKE2BMAC", NULL);
        context = algorithm ? EVP_MAC_CTX_new(algorithm) : NULL;
    }
    size_t digest = MAC;
    OSSL_PARAM parameters[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &digest),
                               OSSL_PARAM_construct_end()};
    if (!context || !EVP_MAC_init(context, key, KEY, parameters) ||
        !EVP_MAC_update(context, data, size) || !EVP_MAC_final(context, mac, &digest, MAC))
        errx(1, "no BLAKE2b in this OpenSSL");
}

static bool is_genuine(const uint8_t *key, const uint8_t *data, size_t size)
{
    uint8_t mac[MAC];
    make_mac(key, data, size - MAC, mac);
    return !memcmp(mac, data + size - MAC, MAC);
}

static void read_hex(uint8_t *to, size_t size, const char *text)
{
    for (size_t i = 0; i < size; i++)
        if (sscanf(text + 2 * i, "%2hhx", to + i) != 1)
            errx(1, "not hex: %s", text);
}

static int open_socket(uint32_t address)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), room = ROOM, one = 1;
    if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof name) ||
        setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof one) ||
        (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) &&
         setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room)))
        err(1, "UDP socket");
    return fd;
}

void chat_open(struct chat *chat, const struct options *options, uint32_t count)
{
    *chat = (struct chat){.options = options,
                          .crowd = open_socket(INADDR_ANY),
                          .count = count,
                          .users = allocate(count, sizeof *chat->users)};
    for (uint32_t i = 0; i < count; i++)
        chat->users[i] = (struct user){.fd = chat->crowd, .index = i};
    chat->users[0].fd = open_socket(FIRST_ADDRESS);
}

static void send_from(const struct chat *chat, const struct user *user, const void *data, size_t size)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(struct in_pktinfo))];
    } control = {.head = {CMSG_LEN(sizeof(struct in_pktinfo)), IPPROTO_IP, IP_PKTINFO}};
    struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(FIRST_ADDRESS + user->index)};
    memcpy(CMSG_DATA(&control.head), &info, sizeof info);
    struct iovec vector = {(void *)data, size};
    struct msghdr message = {.msg_name = (void *)&chat->options->server,
                             .msg_namelen = sizeof chat->options->server,
                             .msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    if (sendmsg(user->fd, &message, 0) != (ssize_t)size)
        err(1, "sendmsg");
}

bool chat_hear(int fd, struct heard *heard)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(struct in_pktinfo))];
    } control;
    struct iovec vector = {heard->data, sizeof heard->data};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t size = recvmsg(fd, &message, 0);
    if (size < 0 && errno == EAGAIN)
        return false;
    if (size < 0)
        err(1, "recvmsg");
    if (size < 2 || size > LONGEST_EVENT)
        errx(1, "wrong answer: %zd bytes", size);
    struct in_pktinfo info;
    memcpy(&info, CMSG_DATA(&control.head), sizeof info);
    heard->index = ntohl(info.ipi_addr.s_addr) - FIRST_ADDRESS;
    heard->code = heard->data[0] << 8 | heard->data[1];
    heard->size = (size_t)size;
    return true;
}

void chat_tell(const struct chat *chat, struct user *user, enum code code, const void *text,
               size_t size)
{
    uint8_t data[LONGEST_EVENT], *next = data + 2;
    data[0] = (uint8_t)(code >> 8), data[1] = (uint8_t)code;
    memcpy(next, text, size);
    next += size;
    if (chat->is_signed && code != NOTHING && code != OPEN) {
        *next++ = '\n';
        memcpy(next, user->session, SESSION);
        put32(next + SESSION, ++user->number);
        next[SESSION + 4] = 'C';
        next += SESSION + 5;
        make_mac(user->key, data, (size_t)(next - data), next);
        next += MAC;
    }
    send_from(chat, user, data, (size_t)(next - data));
}

/* Whether a user is sent an event with this code, or with the other one, in a second. */
static bool wait_for(const struct user *user, enum code code, enum code other, struct heard *heard)
{
    for (uint64_t until = now() + NANOSECONDS; now() < until;) {
        struct pollfd ready = {.fd = user->fd, .events = POLLIN};
        poll(&ready, 1, 100);
        while (chat_hear(user->fd, heard)) {
            if (heard->index != user->index)
                continue;
            heard->data[heard->size] = 0;
            if (heard->code == (int)code || heard->code == (int)other)
                return true;
            if (heard->code == ERROR)
                errx(1, "refused: %s", heard->data + 2);
        }
    }
    return false;
}

/* What is asked once or again is the same to a server: a busy machine loses datagrams. */
static int ask(const struct chat *chat, struct user *user, enum code question, const char *text,
               size_t size, enum code answer, enum code other, struct heard *heard)
{
    for (int try = 0; try < PATIENCE; try++) {
        chat_tell(chat, user, question, text, size);
        if (wait_for(user, answer, other, heard))
            return heard->code;
    }
    errx(1, "no answer in %d seconds", PATIENCE);
}

/* Whether the server is a new one; its cookie. Whatever was sent before is done when it answers. */
static bool say_hello(const struct chat *chat, struct user *user, char *cookie)
{
    char text[HELLO];
    int size = snprintf(text, sizeof text, "HELLO 1 %s ", NONCE);
    memset(text + size, '.', sizeof text - (size_t)size);
    struct heard heard;
    if (ask(chat, user, NOTHING, text, HELLO - 2, WELCOME, ERROR, &heard) == ERROR)
        return false;
    if (sscanf((char *)heard.data + 2, "%*s %*s %*s %*s %32s", cookie) != 1)
        errx(1, "no cookie: %s", heard.data + 2);
    return true;
}

bool chat_greet(const struct chat *chat)
{
    char cookie[33];
    struct user other = {.fd = open_socket(FIRST_ADDRESS + chat->count), .index = chat->count};
    bool is_new = say_hello(chat, &other, cookie);
    close(other.fd);
    return is_new;
}

static void log_in_new(struct chat *chat, struct user *user)
{
    char text[LONGEST_EVENT], session[2 * SESSION + 1], key[2 * KEY + 1], cookie[33];
    struct heard heard;
    say_hello(chat, user, cookie);
    int size = snprintf(text, sizeof text, "u%u %s %s", user->index, cookie, NONCE);
    ask(chat, user, OPEN, text, (size_t)size, OPENED, OPENED, &heard);
    if (sscanf((char *)heard.data + 2, "%*s %16s %32s", session, key) != 2)
        errx(1, "no session: %s", heard.data + 2);
    read_hex(user->session, SESSION, session);
    read_hex(user->key, KEY, key);
}

void chat_log_in(struct chat *chat, uint32_t index, const char *channel)
{
    struct user *user = chat->users + index;
    struct heard heard;
    char name[16];
    if (index == 0)
        chat->is_signed = chat_greet(chat);
    if (chat->is_signed) {
        log_in_new(chat, user);
    } else {
        size_t size = (size_t)snprintf(name, sizeof name, "u%u", index);
        ask(chat, user, LOGIN_REQ, name, size, LOGIN_ACK, LOGIN_ACK, &heard);
    }
    channel = channel ? channel : TITLE;
    ask(chat, user, JOIN_REQ, channel, strlen(channel), JOIN_ACK, JOIN_ACK, &heard);
    if (!chat->is_signed)
        return;
    if (heard.size < SERVER_TRAILER + KEY || !is_genuine(user->key, heard.data, heard.size))
        errx(1, "the answer to a join has a wrong MAC");
    if (channel == TITLE)
        memcpy(chat->channel, heard.data + heard.size - BEHIND_KEY - KEY, KEY);
}

void chat_log_off(struct chat *chat)
{
    char name[16], cookie[33];
    for (uint32_t i = chat->count; i-- > 0;) {
        struct user *user = chat->users + i;
        chat_tell(chat, user, LOGOFF, name, (size_t)snprintf(name, sizeof name, "u%u", i));
        if (i % 64 == 0) /* no more than the server's socket holds */
            say_hello(chat, chat->users, cookie);
    }
}

static int names(const struct user *user, char *text)
{
    return sprintf(text, "%s u%u ", TITLE, user->index);
}

/* So long that what goes out has the size that was asked for. */
void chat_say(const struct chat *chat, struct user *user, uint64_t number)
{
    char text[LONGEST_EVENT], beside[64];
    size_t size = (size_t)chat->options->size - 2 - (size_t)names(user, beside) -
                  (chat->is_signed ? SERVER_TRAILER : 0);
    memset(text, 'x', size);
    sprintf(text, "%0*" PRIu64, NUMBER, number);
    text[NUMBER] = 'x';
    chat_tell(chat, user, SEND_PUBLIC, text, size);
}

/* Whether it is something said, as it was said; else it is nothing to count. */
bool chat_said(const struct chat *chat, const struct heard *heard, uint64_t *number)
{
    if (heard->code != PUBLIC_MSG)
        return false;
    size_t size = heard->size - (chat->is_signed ? SERVER_TRAILER : 0);
    const uint8_t *end = heard->data + size;
    const char *text = memchr(heard->data + 2 + sizeof TITLE, ' ', size - 2 - sizeof TITLE);
    if (heard->size != (size_t)chat->options->size || !text ||
        sscanf(text + 1, "%16" SCNu64 "x", number) != 1 || end[-1] != 'x')
        errx(1, "wrong answer: %zu bytes", heard->size);
    if (chat->is_signed && (*end != '\n' || !is_genuine(chat->channel, heard->data, heard->size)))
        errx(1, "what was said has a wrong MAC");
    return true;
}
