/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* traffic.c: what the survivors do while the victim is stopped, and when it is dead. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crash.h"

enum { LAPS = 5, WAITER_MESSAGES = 256 };

static unsigned kept(const struct world *w)
{
    return (w->kept_place ? 1U : 0U) + (w->kept_message ? 1U : 0U);
}

static bool is_shut(const struct world *w)
{
    rbx_ring_info info;
    rbx_ring_describe(w->ring, &info);
    return info.shut;
}

/* --- Beside one that is stopped --- */

/* The stopped one holds nothing: so nobody waits for it. */
static void check_free_lap(struct world *w, unsigned accepted, unsigned came)
{
    if (accepted < w->slots || (w->kind != SPSC && accepted > w->slots) || came < accepted)
        blame(w, "nothing is in anybody's hands, and the ring takes %u messages and gives %u",
              accepted, came);
}

/* In strict rings nobody waits for one that is stopped, whatever it holds. */
static void check_strict_laps(struct world *w, unsigned laps, unsigned accepted)
{
    unsigned own = w->scenario->places > 0 ? w->scenario->places : 1;
    unsigned stopped = own + kept(w) + w->died_holding[0] + w->died_holding[1];
    size_t in_hand = w->scenario->holds + (w->kept_message ? 1 : 0) + w->died_holding[1];
    if (stopped >= w->slots)
        return; /* not promised */
    if (accepted < laps * (w->slots - stopped))
        blame(w, "with %u places stopped, a strict ring of %u takes %u messages in %u laps",
              stopped, w->slots, accepted, laps);
    else if (ledger_outstanding(w) > in_hand)
        blame(w, "with %u places stopped, %zu messages in a strict ring do not come", stopped,
              ledger_outstanding(w));
}

/* Only one end is the survivors'. */
static void run_one_end(struct world *w)
{
    if (world_has_tx(w)) {
        size_t waiting = ledger_outstanding(w);
        unsigned accepted = world_fill(w);
        if (waiting + accepted < w->capacity && !is_shut(w))
            blame(w, "with %zu messages waiting the ring takes %u", waiting, accepted);
    } else {
        world_drain(w);
        if (ledger_outstanding(w) != 0)
            blame(w, "%zu messages that were sent do not come", ledger_outstanding(w));
    }
}

void run_beside(struct world *w)
{
    unsigned all = 0;
    if (!world_has_tx(w) || !world_has_rx(w)) {
        run_one_end(w);
        return;
    }
    world_drain(w);
    for (int lap = 0; lap < LAPS && !w->failed; lap++) { /* fills the ring and empties it */
        bool is_free = world_held(w) == 0 && w->voids == 0 && w->kind != STRICT;
        unsigned accepted = world_fill(w), came = world_drain(w);
        all += accepted;
        if (is_shut(w))
            return;
        if (is_free && !w->goes_on && !w->failed)
            check_free_lap(w, accepted, came);
    }
    if (w->kind == STRICT && !w->failed)
        check_strict_laps(w, LAPS - 1, all); /* one lap may still meet what is put back */
}

/* --- Waiting survivors --- */

static struct {
    pthread_t thread;
    bool is_there, wants_one;
    _Atomic pid_t id;
    struct world *world;
    int answer; /* the last: 0 or -EPIPE when all went well */
    unsigned heard;
    size_t count;
    char messages[WAITER_MESSAGES][MESSAGE_MAX];
} waiter;

static bool is_last(const char *message)
{
    uint64_t first;
    memcpy(&first, message, 8);
    return (first & 0xff) == LAST_MESSAGE;
}

static void *wait_for_messages(void *unused)
{
    (void)unused;
    atomic_store(&waiter.id, gettid());
    while (waiter.count < WAITER_MESSAGES) {
        char *message = waiter.messages[waiter.count];
        waiter.answer = rbx_recv_for(&waiter.world->rx[FIRST], message, DEADLINE_NS);
        if (waiter.answer == 0) {
            waiter.count++;
            if (waiter.wants_one || is_last(message))
                break;
        } else if (waiter.answer != -EOWNERDEAD || ++waiter.heard > SEATS)
            break;
    }
    return NULL;
}

bool is_anyone_waiting(void)
{
    return waiter.is_there;
}

static void start(struct world *w, bool wants_one)
{
    waiter.wants_one = wants_one;
    atomic_store(&waiter.id, 0);
    waiter.world = w;
    waiter.answer = 0;
    waiter.heard = 0;
    waiter.count = 0;
    waiter.is_there = pthread_create(&waiter.thread, NULL, wait_for_messages, NULL) == 0;
    if (!waiter.is_there)
        blame(w, "a thread could not be started");
}

void start_waiting(struct world *w)
{
    start(w, false);
}

static bool is_asleep(pid_t thread)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
    FILE *file = fopen(path, "r");
    size_t got = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[got] = '\0';
    const char *name_ends = strrchr(text, ')');
    return name_ends && name_ends[1] == ' ' && name_ends[2] == 'S';
}

void fall_asleep(struct world *w)
{
    start(w, true);
    while (!w->failed && (atomic_load(&waiter.id) == 0 || !is_asleep(atomic_load(&waiter.id))))
        sched_yield();
}

static void finish_waiting(struct world *w, int expected)
{
    pthread_join(waiter.thread, NULL);
    waiter.is_there = false;
    for (size_t i = 0; i < waiter.count; i++)
        ledger_received(w, waiter.messages[i], false);
    w->heard += waiter.heard;
    if (w->heard > w->deaths)
        blame(w, "a waiting receiver heard of %u deaths, and there were %u", w->heard, w->deaths);
    if (waiter.answer != expected)
        blame(w, "a receiver that waited for up to 5 s was answered %d after %zu messages, not %d",
              waiter.answer, waiter.count, expected);
}

void wake_up(struct world *w)
{
    finish_waiting(w, 0);
}

static bool send_waiting(struct world *w, enum sender sender)
{
    char message[MESSAGE_MAX];
    size_t number = ledger_make(w, sender, message);
    unsigned heard = 0;
    int err;
    do
        err = rbx_send_for(&w->tx[FIRST], message, DEADLINE_NS);
    while (err == -EOWNERDEAD && ++heard <= w->deaths);
    w->entries[number].fate = err == 0 ? SENT : NOT_SENT;
    if (err < 0)
        blame(w, "a sender that waited for up to 5 s was answered %d", err);
    return err == 0;
}

/* Tries by waiting for a moment: who waits sees to the dead. */
static void send_or_give_up(struct world *w, unsigned *sent)
{
    const uint64_t moment_ns = 5000000;
    char message[MESSAGE_MAX];
    size_t number = ledger_make(w, FIRST, message);
    int err = rbx_send_for(&w->tx[FIRST], message, moment_ns);
    w->entries[number].fate = err == 0 ? SENT : NOT_SENT;
    *sent += err == 0;
    if (err < 0 && err != -ETIMEDOUT)
        blame(w, "a sender that waited was answered %d", err);
}

static bool receive_waiting(struct world *w)
{
    char message[MESSAGE_MAX];
    unsigned heard = 0;
    int err;
    do
        err = rbx_recv_for(&w->rx[FIRST], message, DEADLINE_NS);
    while (err == -EOWNERDEAD && ++heard <= w->deaths);
    if (err == 0)
        ledger_received(w, message, false);
    else
        blame(w, "a receiver that waited for up to 5 s was answered %d, with %zu messages missing",
              err, ledger_outstanding(w));
    return err == 0;
}

/* Messages that must still come. Those that are dropped are so when somebody repairs. */
static bool is_anything_to_come(const struct world *w)
{
    rbx_ring_info info;
    rbx_ring_describe(w->ring, &info);
    return ledger_outstanding(w) > w->gone_at_most + info.repaired.dropped;
}

/* All that have died have been seen to. */
static bool is_repaired(const struct world *w)
{
    rbx_ring_info info;
    rbx_ring_describe(w->ring, &info);
    for (unsigned i = 0; i < info.senders; i++) {
        rbx_end_info seat;
        if (rbx_ring_sender(w->ring, i, &seat) == 0 && seat.state == RBX_END_DEAD)
            return false;
    }
    for (unsigned i = 0; i < info.receivers; i++) {
        rbx_end_info seat;
        if (rbx_ring_receiver(w->ring, i, &seat) == 0 && seat.state == RBX_END_DEAD)
            return false;
    }
    return true;
}

/* --- After the death --- */

static void repair(struct world *w)
{
    rbx_repaired repaired;
    int err = rbx_ring_repair(w->ring, &repaired);
    if (err < 0)
        blame(w, "rbx_ring_repair answered %d: %s", err, rbx_last_error());
    else if (repaired.suspect > 0)
        blame(w, "a dead one that has left nothing is suspect");
}

static void poll_until_all_came(struct world *w)
{
    uint64_t until = now() + DEADLINE_NS;
    unsigned sent = 0, wanted = 2 * w->slots + 1;
    while ((sent < wanted || is_anything_to_come(w)) && !w->failed) {
        if (sent < wanted)
            sent += world_send(w, FIRST) == 0;
        world_receive(w, FIRST);
        if (now() > until)
            blame(w, "after 5 s of polling %u of %u messages were sent, and %zu are missing", sent,
                  wanted, ledger_outstanding(w));
    }
}

static void wait_until_all_came(struct world *w)
{
    if (!waiter.is_there)
        start_waiting(w);
    for (unsigned i = 0; i < 2 * w->slots && send_waiting(w, FIRST); i++)
        ;
    if (!w->failed)
        send_waiting(w, LAST_MESSAGE);
    finish_waiting(w, 0);
    while (!w->failed && is_anything_to_come(w) && w->kind != DROP && receive_waiting(w))
        ;
}

static void use_fully(struct world *w)
{
    unsigned accepted = world_fill(w);
    size_t left = ledger_outstanding(w);
    unsigned came = world_drain(w);
    if (accepted < w->slots || (w->kind != SPSC && accepted > w->slots) || came != accepted)
        blame(w, "an empty ring of %u takes %u messages, and gives %u of %zu", w->slots, accepted,
              came, left);
}

void run_after(struct world *w)
{
    world_release_kept(w);
    if (w->how.way == BY_POLLING) {
        poll_until_all_came(w);
    } else if (w->how.way == BY_WAITING) {
        wait_until_all_came(w);
    } else {
        repair(w);
        world_drain(w);
        if (is_anything_to_come(w))
            blame(w, "after the repair %zu messages are missing", ledger_outstanding(w));
        for (int lap = 0; lap < 2 && !w->failed; lap++)
            use_fully(w);
    }
}

/*
 * Fills an empty ring while nobody receives. In a strict ring a slot that the dead one held may
 * have been passed over before they found it dead: then its place is back once the others are
 * received.
 */
static void fill_patiently(struct world *w)
{
    uint64_t until = now() + DEADLINE_NS;
    for (unsigned sent = 0; sent < w->slots && !w->failed;) {
        unsigned before = sent;
        if (w->how.way == BY_WAITING)
            send_or_give_up(w, &sent);
        else
            sent += world_send(w, FIRST) == 0;
        if (sent == before && w->kind == STRICT && is_repaired(w))
            return;
        if (now() > until)
            blame(w, "after 5 s a ring of %u has taken %u messages", w->slots, sent);
    }
}

void check_capacity(struct world *w)
{
    world_drain(w);
    if (w->how.way != BY_REPAIR) {
        fill_patiently(w);
        world_drain(w);
    }
    if (!w->failed)
        use_fully(w);
}

void run_out(struct world *w)
{
    uint64_t until = now() + DEADLINE_NS;
    world_release_kept(w);
    if (waiter.is_there)
        finish_waiting(w, -EPIPE);
    int err = 0;
    while (!w->failed && err != -EPIPE) {
        err = world_receive(w, FIRST);
        if (now() > until)
            blame(w, "after 5 s of polling a ring that is shut down has not ended");
    }
    if (world_has_tx(w) && !w->failed && (err = world_send(w, FIRST)) != -EPIPE)
        blame(w, "to send into a ring that is shut down was answered %d", err);
}

/* --- Seats --- */

static void check_seat(struct world *w, bool sends, unsigned i, const rbx_end_info *seat)
{
    bool ours = false;
    for (int j = 0; j < 2; j++)
        ours = ours || (sends ? w->tx[j].hold != RBX_HOLD_CLOSED && w->tx[j].seat == i
                              : w->rx[j].hold != RBX_HOLD_CLOSED && w->rx[j].seat == i);
    if (seat->state != (ours ? RBX_END_ALIVE : RBX_END_NONE))
        blame(w, "the seat of %s %u is in state %d", sends ? "sender" : "receiver", i,
              (int)seat->state);
}

static void check_all_can_be_opened(struct world *w)
{
    static rbx_tx tx[SEATS + 1];
    static rbx_rx rx[SEATS + 1];
    unsigned senders = 0, receivers = 0, taken[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        taken[0] += w->tx[i].hold != RBX_HOLD_CLOSED;
        taken[1] += w->rx[i].hold != RBX_HOLD_CLOSED;
    }
    while (senders < SEATS && rbx_tx_open(&tx[senders], w->ring) == 0)
        senders++;
    while (receivers < SEATS && rbx_rx_open(&rx[receivers], w->ring) == 0)
        receivers++;
    if (senders + taken[0] != w->options.senders || receivers + taken[1] != w->options.receivers)
        blame(w, "%u more senders and %u more receivers find a seat, beside %u and %u", senders,
              receivers, taken[0], taken[1]);
    while (senders > 0)
        rbx_tx_close(&tx[--senders]);
    while (receivers > 0)
        rbx_rx_close(&rx[--receivers]);
}

void check_seats(struct world *w)
{
    rbx_ring_info info;
    repair(w);
    world_drain(w);
    rbx_ring_describe(w->ring, &info);
    for (unsigned i = 0; i < info.senders && !(info.shut && w->kind == SPSC); i++) {
        rbx_end_info seat;
        rbx_ring_sender(w->ring, i, &seat);
        check_seat(w, true, i, &seat);
    }
    for (unsigned i = 0; i < info.receivers; i++) {
        rbx_end_info seat;
        rbx_ring_receiver(w->ring, i, &seat);
        check_seat(w, false, i, &seat);
    }
    if (!info.shut && !w->failed && w->how.after)
        check_all_can_be_opened(w);
}
