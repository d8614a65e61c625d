/* Users of a chat: how they log in, speak and hear. Each has an address of its own, of 127.1.0.0/16;
   most of them share one socket, which the kernel tells which of them a datagram is for. */

#pragma once

#include "load.h"

enum {
    MOST_USERS = 60000,
    MAC = 8,
    KEY = 16,
    SESSION = 8,
    LONGEST_EVENT = 1024,
    NUMBER = 16, /* digits at the beginning of what is said */
};

enum code {
    NOTHING = 0,
    ERROR = 10,
    LOGIN_REQ = 20,
    LOGIN_ACK = 30,
    LOGOFF = 40,
    JOIN_REQ = 50,
    JOIN_ACK = 60,
    SEND_PUBLIC = 90,
    PUBLIC_MSG = 100,
    STILL_HERE = 200,
    WELCOME = 1000,
    OPEN = 1010,
    OPENED = 1020,
    ACK = 1030,
};

/* Keys and sessions only where the server is one that answers a hello; others have the events of old
   clients, without trailers. */
struct user {
    int fd;
    uint32_t index; /* its address and its nickname */
    uint32_t number;
    uint8_t session[SESSION], key[KEY];
};

struct chat {
    const struct options *options;
    bool is_signed;
    int crowd; /* the socket that most users share */
    uint32_t count;
    struct user *users; /* the first has a socket of its own */
    uint8_t channel[KEY];
};

struct heard {
    uint32_t index; /* who was sent it */
    int code;
    size_t size; /* of all of it, with a trailer */
    uint8_t data[LONGEST_EVENT + 1];
};

/* All of them end the program where they fail. */
void chat_open(struct chat *chat, const struct options *options, uint32_t count);
/* Say hello as somebody who is no user; whether the server is a new one. It answers in order: all that
   it owes to what it was sent before is here, and what it may say twice to this comes to no user. */
bool chat_greet(const struct chat *chat);
void chat_log_in(struct chat *chat, uint32_t index, const char *channel);
void chat_log_off(struct chat *chat);
void chat_say(const struct chat *chat, struct user *user, uint64_t number);
void chat_tell(const struct chat *chat, struct user *user, enum code code, const void *text,
               size_t size);
bool chat_hear(int fd, struct heard *heard); /* false where nothing waits */
bool chat_said(const struct chat *chat, const struct heard *heard, uint64_t *number);
