/* A chat: one who speaks as fast as all hear it, or many who speak at a rate. */

#define _GNU_SOURCE
#include "chat.h"

#include <err.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum {
    SIGN_SECONDS = 30, /* between two signs of life of one user */
    TRIES = 5, /* to have each member hear something once: a full buffer may lose it */
    SHORTEST = 96, /* of what is said, with names, number and trailer */
};

static const char *const ELSEWHERE[] = {"CurrentEvents", "Gardening", "Hobbies", "Pets"};

static void need_size(const struct options *options)
{
    if (options->size < SHORTEST || options->size > LONGEST_EVENT)
        errx(2, "what is said has from %d to %d bytes", SHORTEST, LONGEST_EVENT);
}

/* Wait until either of the two sockets has something. */
static bool wait_either(const struct chat *chat, int milliseconds)
{
    struct pollfd ready[] = {{.fd = chat->users[0].fd, .events = POLLIN},
                             {.fd = chat->crowd, .events = POLLIN}};
    return poll(ready, 2, milliseconds) > 0;
}

static bool hear_either(const struct chat *chat, struct heard *heard)
{
    return chat_hear(chat->users[0].fd, heard) || chat_hear(chat->crowd, heard);
}

/* What has come: how many hear this number, and who hears anything for the first time. */
static uint32_t note_heard(const struct chat *chat, uint64_t *heard_by, uint64_t expected,
                           uint32_t *missing)
{
    struct heard heard;
    uint64_t number;
    uint32_t count = 0;
    while (hear_either(chat, &heard)) {
        if (!chat_said(chat, &heard, &number) || heard.index >= chat->count)
            continue;
        if (heard_by[heard.index] >= number)
            errx(1, "somebody hears twice what is said once");
        *missing -= !heard_by[heard.index];
        heard_by[heard.index] = number;
        count += number == expected;
    }
    return count;
}

/* Each member hears what is said, once: else it is no fan-out that is measured. */
static void check_members(const struct chat *chat)
{
    uint64_t *heard_by = allocate(chat->count, sizeof *heard_by);
    uint32_t missing = chat->count;
    for (uint64_t try = 1; missing && try <= TRIES; try++) {
        uint64_t until = now() + NANOSECONDS;
        chat_say(chat, chat->users, try);
        for (uint32_t left = chat->count; left && now() < until;) {
            wait_either(chat, 10);
            left -= note_heard(chat, heard_by, try, &missing);
        }
        chat_greet(chat);
        note_heard(chat, heard_by, try, &missing);
    }
    if (missing)
        errx(1, "%u of %u members hear nothing", missing, chat->count);
}

/* From here on nobody reads what the others are sent. Their buffer is as small as the kernel allows,
   and soon full: a datagram is dropped as soon as it is delivered, which costs little and the same
   whoever sends. */
static void be_deaf(int fd)
{
    int none = 0;
    struct heard heard;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &none, sizeof none))
        err(1, "SO_RCVBUF");
    while (chat_hear(fd, &heard))
        ;
}

void run_chat(const struct options *options, struct tally *tally)
{
    struct chat chat;
    struct heard heard;
    need_size(options);
    chat_open(&chat, options, (uint32_t)options->members);
    for (uint32_t i = 0; i < chat.count; i++)
        chat_log_in(&chat, i, NULL);
    check_members(&chat);
    be_deaf(chat.crowd);

    uint64_t window = (uint64_t)options->window, number, first = TRIES + 1;
    uint64_t said = first, due = first; /* the next to be said, and to be heard */
    uint64_t *asked = allocate(window, sizeof *asked);
    tally_begin(tally, options);
    uint64_t heard_at = now();
    for (uint64_t time = heard_at; time < tally->end;) {
        for (; said < due + window; said++) {
            asked[said % window] = now();
            chat_say(&chat, chat.users, said);
        }
        struct pollfd ready = {.fd = chat.users[0].fd, .events = POLLIN};
        if (poll(&ready, 1, 1000) == 1) {
            heard_at = now();
        } else { /* all that is outstanding is lost */
            tally->lost += said - due;
            due = said;
        }
        time = now();
        if (time - heard_at > (uint64_t)PATIENCE * NANOSECONDS)
            errx(1, "no answer in %d seconds", PATIENCE);
        tally_watch(tally, options, time);
        while (chat_hear(chat.users[0].fd, &heard)) {
            if (!chat_said(&chat, &heard, &number) || number < first)
                continue;
            if (number >= said)
                errx(1, "something is heard that was not said");
            if (number < due) {
                tally->late++;
                continue;
            }
            tally->lost += number - due;
            tally_answer(tally, asked[number % window], time);
            due = number + 1;
        }
    }
    chat_log_off(&chat);
    if (!tally->answers)
        errx(1, "no answer at all");
}

/* What has come: what was said, to whom it is new, and how many events were confirmed. */
static uint64_t hear_all(const struct chat *chat, struct tally *tally, const uint64_t *asked,
                         uint64_t *heard_by)
{
    struct heard heard;
    uint64_t number, confirmed = 0;
    while (hear_either(chat, &heard)) {
        confirmed += heard.code == ACK;
        if (!chat_said(chat, &heard, &number) || heard.index >= chat->count)
            continue;
        if (heard_by[heard.index] >= number)
            tally->duplicates++;
        else
            tally_answer(tally, asked[number], now());
        heard_by[heard.index] = number;
    }
    return confirmed;
}

static void hold(const char *what)
{
    puts(what);
    fflush(stdout);
}

/* Users who give signs of life; the first of them are in one channel, and each has its turn there. */
void run_chat_load(const struct options *options, struct tally *tally)
{
    struct chat chat;
    uint64_t members = (uint64_t)options->members, said = 0, signs = 0, confirmed = 0;
    need_size(options);
    if (options->users < options->members)
        errx(2, "members are users");
    chat_open(&chat, options, (uint32_t)options->users);
    for (uint32_t i = 0; i < chat.count; i++)
        chat_log_in(&chat, i, i < members ? NULL : ELSEWHERE[i % 4]);
    uint64_t most = (uint64_t)(options->seconds * options->rate) + 2;
    uint64_t *asked = allocate(most, sizeof *asked);
    uint64_t *heard_by = allocate(chat.count, sizeof *heard_by);
    hear_all(&chat, tally, asked, heard_by);
    hold("ready");

    uint64_t period = (uint64_t)(NANOSECONDS / options->rate), began = now();
    uint64_t sign_period = (uint64_t)SIGN_SECONDS * NANOSECONDS / chat.count;
    uint64_t end = began + (uint64_t)(options->seconds * NANOSECONDS);
    tally->begin = began, tally->end = end + NANOSECONDS; /* the last of it has a second to come */
    for (uint64_t time = began; time < tally->end; time = now()) {
        tally_watch(tally, options, time);
        for (; time < end && time >= began + said * period && said + 2 < most;) {
            struct user *user = chat.users + said++ % members;
            asked[said] = now();
            chat_say(&chat, user, said);
        }
        for (; chat.is_signed && time < end && time >= began + signs * sign_period; signs++)
            chat_tell(&chat, chat.users + signs % chat.count, STILL_HERE, "", 0);
        wait_either(&chat, 1);
        confirmed += hear_all(&chat, tally, asked, heard_by);
    }
    tally_watch(tally, options, now());
    tally->lost = said * members - tally->answers + (confirmed < signs ? signs - confirmed : 0);
    tally->end = end;
    /* speaking is confirmed by being heard */
    hold("done");
    while (getchar() != EOF)
        ;
}
