/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "verdicts.h"

#include <stdio.h>

#include "../explore/history.h"

enum { CALLS = 8, OF_DEFAULT = 1, OF_STRICT = 2, OF_LOCKED = 4, OF_ALL = 7 };

#define SEND(thread, value, from, to)                                                              \
    {                                                                                              \
        thread, HISTORY_SEND, HISTORY_DONE, value, from, to                                        \
    }
#define FULL(thread, from, to)                                                                     \
    {                                                                                              \
        thread, HISTORY_SEND, HISTORY_REFUSED, 99, from, to                                        \
    }
#define TOO_LATE(thread, from, to)                                                                 \
    {                                                                                              \
        thread, HISTORY_SEND, HISTORY_ENDED, 99, from, to                                          \
    }
#define ABORT(thread, value, from, to)                                                             \
    {                                                                                              \
        thread, HISTORY_ABORT, HISTORY_DONE, value, from, to                                       \
    }
#define RECV(thread, value, from, to)                                                              \
    {                                                                                              \
        thread, HISTORY_RECV, HISTORY_DONE, value, from, to                                        \
    }
#define EMPTY(thread, from, to)                                                                    \
    {                                                                                              \
        thread, HISTORY_RECV, HISTORY_REFUSED, 0, from, to                                         \
    }
#define END(thread, from, to)                                                                      \
    {                                                                                              \
        thread, HISTORY_RECV, HISTORY_ENDED, 0, from, to                                           \
    }
#define PUT_BACK(thread, value, from, to)                                                          \
    {                                                                                              \
        thread, HISTORY_PUT_BACK, HISTORY_DONE, value, from, to                                    \
    }
#define SHUT(thread, from, to)                                                                     \
    {                                                                                              \
        thread, HISTORY_SHUT, HISTORY_DONE, 0, from, to                                            \
    }

/* Threads 1 and 2 send, 3 and 4 receive. */
static const struct verdict {
    const char *says;
    unsigned sound; /* for these kinds of ring; for the others it is not */
    size_t capacity;
    struct history_call calls[CALLS]; /* as many as have a thread */
} verdicts[] = {
    /* --- What any queue does, and does not --- */
    {"one after the other",
     OF_ALL,
     2,
     {SEND(1, 1, 1, 2), SEND(1, 2, 3, 4), FULL(1, 5, 6), RECV(3, 1, 7, 8), RECV(3, 2, 9, 10),
      EMPTY(3, 11, 12)}},
    {"the second message first",
     0,
     2,
     {SEND(1, 1, 1, 2), SEND(1, 2, 3, 4), RECV(3, 2, 5, 6), RECV(3, 1, 7, 8)}},
    {"of two senders, at once, in either order",
     OF_ALL,
     2,
     {SEND(1, 1, 1, 3), SEND(2, 2, 2, 4), RECV(3, 2, 5, 6), RECV(3, 1, 7, 8)}},
    {"of two senders, the later one first",
     0,
     2,
     {SEND(1, 1, 1, 2), SEND(2, 2, 3, 4), RECV(3, 2, 5, 6), RECV(3, 1, 7, 8)}},
    {"a batch the wrong way round",
     0,
     2,
     {SEND(1, 1, 1, 2), SEND(1, 2, 1, 2), RECV(3, 2, 3, 4), RECV(3, 1, 3, 4)}},
    {"twice", 0, 2, {SEND(1, 1, 1, 2), RECV(3, 1, 3, 5), RECV(4, 1, 4, 6)}},
    {"lost", 0, 2, {SEND(1, 1, 1, 2), EMPTY(3, 3, 4)}},
    {"received before it was sent", 0, 2, {RECV(3, 1, 1, 2), SEND(1, 1, 3, 4)}},
    {"received while it is sent", OF_ALL, 2, {SEND(1, 1, 1, 4), RECV(3, 1, 2, 3)}},
    {"never sent", 0, 2, {SEND(1, 1, 1, 2), RECV(3, 7, 3, 4)}},
    {"more than there is room for",
     0,
     2,
     {SEND(1, 1, 1, 2), SEND(1, 2, 3, 4), SEND(1, 3, 5, 6), RECV(3, 1, 7, 8)}},
    {"a claim that was given up is received", 0, 2, {ABORT(1, 1, 1, 2), RECV(3, 1, 3, 4)}},
    {"a claim that was given up is not in the way",
     OF_ALL,
     1,
     {ABORT(1, 1, 1, 2), SEND(1, 2, 3, 4), RECV(3, 2, 5, 6)}},
    {"full, but of nothing", 0, 1, {ABORT(1, 1, 1, 2), FULL(1, 3, 4)}},
    {"full, and it is not", 0, 2, {SEND(1, 1, 1, 2), FULL(1, 3, 4)}},

    /* --- Others who are in the middle of a call --- */
    {"empty, while the one whose turn it is is sending; another has sent",
     OF_DEFAULT,
     2,
     {SEND(1, 1, 1, 8), SEND(2, 2, 2, 3), EMPTY(3, 4, 5), RECV(3, 1, 9, 10), RECV(3, 2, 11, 12)}},
    {"empty, while one is sending whose turn it is not",
     0,
     2,
     {SEND(2, 2, 1, 2), SEND(1, 1, 3, 8), EMPTY(3, 4, 5), RECV(3, 2, 9, 10), RECV(3, 1, 11, 12)}},
    {"full, while the slot that is next is in a receiver's hands",
     OF_DEFAULT | OF_STRICT,
     2,
     {SEND(1, 1, 1, 2), SEND(1, 2, 3, 4), RECV(3, 1, 5, 20), FULL(1, 7, 8), RECV(4, 2, 9, 10),
      FULL(1, 11, 12)}},
    {"full, while another slot than the next is in a receiver's hands",
     OF_STRICT,
     2,
     {SEND(1, 1, 1, 2), SEND(1, 2, 3, 4), RECV(3, 1, 5, 6), RECV(3, 2, 7, 20), FULL(1, 8, 9),
      EMPTY(4, 10, 11)}},
    {"empty, and then received", 0, 2, {SEND(1, 1, 1, 2), EMPTY(4, 3, 4), RECV(3, 1, 5, 6)}},

    /* --- Messages that are put back --- */
    {"put back, and there again",
     OF_ALL,
     2,
     {SEND(1, 1, 1, 2), PUT_BACK(3, 1, 3, 4), RECV(4, 1, 5, 6)}},
    {"put back, and out of turn then",
     OF_DEFAULT | OF_STRICT,
     2,
     {SEND(1, 1, 1, 2), SEND(1, 2, 3, 4), PUT_BACK(3, 1, 5, 6), RECV(4, 2, 7, 8),
      RECV(4, 1, 9, 10)}},
    {"put back, and lost", 0, 2, {SEND(1, 1, 1, 2), PUT_BACK(3, 1, 3, 4), EMPTY(4, 5, 6)}},
    {"empty, while it is put back",
     OF_DEFAULT | OF_STRICT,
     2,
     {SEND(1, 1, 1, 2), PUT_BACK(3, 1, 3, 6), EMPTY(4, 4, 5), RECV(4, 1, 7, 8)}},

    /* --- The end --- */
    {"shut down, and drained",
     OF_ALL,
     2,
     {SEND(1, 1, 1, 2), SHUT(2, 3, 4), TOO_LATE(1, 5, 6), RECV(3, 1, 7, 8), END(3, 9, 10)}},
    {"sent after the end", 0, 2, {SHUT(2, 1, 2), SEND(1, 1, 3, 4), RECV(3, 1, 5, 6)}},
    {"sent in time", OF_ALL, 2, {SHUT(2, 1, 3), SEND(1, 1, 2, 4), RECV(3, 1, 5, 6)}},
    {"ended, with a message left",
     0,
     2,
     {SEND(1, 1, 1, 2), SHUT(2, 3, 4), END(3, 5, 6), RECV(4, 1, 7, 8)}},
    {"ended, before it was shut down", 0, 2, {END(3, 1, 2), SHUT(2, 3, 4)}},
    {"too late, before it was shut down", 0, 2, {TOO_LATE(1, 1, 2), SHUT(2, 3, 4)}},
    {"full, and not too late", 0, 1, {SEND(1, 1, 1, 2), SHUT(2, 3, 4), FULL(1, 5, 6)}},
    {"empty for ever", 0, 2, {SHUT(2, 1, 2), EMPTY(3, 3, 4)}},
    {"empty, while it is shut down", OF_ALL, 2, {SHUT(2, 1, 4), EMPTY(3, 2, 3)}},
};

static bool is_right(const struct verdict *verdict, enum history_ring ring)
{
    struct history history = {.calls = verdict->calls, .capacity = verdict->capacity, .ring = ring};
    while (history.count < CALLS && verdict->calls[history.count].thread != 0)
        history.count++;
    bool sound = verdict->sound >> ring & 1;
    if (history_is_sound(&history) == sound)
        return true;
    static const char *const rings[] = {"default", "strict", "locked"};
    printf("'%s' should be %s for a ring of kind %s\n", verdict->says, sound ? "sound" : "refused",
           rings[ring]);
    return false;
}

bool verdicts_are_right(void)
{
    bool right = true;
    for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++)
        for (enum history_ring ring = HISTORY_DEFAULT; ring <= HISTORY_LOCKED; ring++)
            right &= is_right(&verdicts[i], ring);
    return right;
}
