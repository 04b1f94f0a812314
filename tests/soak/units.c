/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * units.c: semaphores. Of the first members units are taken so that they come back from the dead:
 * those that live never have more than there are, and at the end all are there. Of the last one
 * they are put in and taken for good, each call whole or not at all: at the end the sum is right.
 */
#include <errno.h>
#include <stdio.h>

#include "soak.h"

enum { MEMBERS = 3, LAST = MEMBERS - 1, UNITS = 3 };

static rbx_sem *sem_now;
/* Of the last member, from calls that a death interrupted. */
static int64_t settled, at_least, at_most;

static bool begin(void)
{
    static const uint32_t values[MEMBERS] = {UNITS, 1, 0};
    uint64_t state = mix(round_now.seed ^ 1);
    const rbx_sem_options options = {
        .count = MEMBERS, .values = values, .seats = SLOTS, .box.how = RBX_CREATE_ONLY};
    round_now.slots = round_now.first_out = 2 + draw_from(&state, 6);
    settled = at_least = at_most = 0;
    if (rbx_sem_open(&sem_now, round_now.name, &options) < 0) {
        fail("semaphores could not be made: %s", rbx_last_error());
        return false;
    }
    return true;
}

static void check(const char *call, int err)
{
    if (err < 0)
        fail("%s answered %d: %s", call, err, rbx_last_error());
}

/* Who takes with a time-out, or for a while, may go without. */
static bool took(const char *call, int err, unsigned how, uint64_t timeout)
{
    bool expected =
        err == 0 ||
        (how == 0 ? err == -EAGAIN
                  : err == -EINTR || (err == -ETIMEDOUT && how == 1 && timeout != RBX_FOREVER));
    if (!expected)
        check(call, err);
    return err == 0;
}

/* --- Units that come back. in_hand: life << 8 | member << 4 | units. Who has taken them says so
   after, and who gives them back before. --- */

/* What those that live and have not been killed hold: they did so at one moment, when two looks
   see the same. Else nothing is known. */
static void check_sum(uint32_t member, uint32_t units)
{
    uint32_t seen[SLOTS], sum = 0;
    for (unsigned i = 0; i < round_now.slots; i++)
        seen[i] = atomic_load(&ledger->slot[i].in_hand);
    uint64_t counts[SLOTS];
    for (unsigned i = 0; i < round_now.slots; i++)
        counts[i] = atomic_load(&ledger->slot[i].count);
    for (unsigned i = 0; i < round_now.slots; i++)
        if (atomic_load(&ledger->slot[i].in_hand) != seen[i] ||
            atomic_load(&ledger->slot[i].count) != counts[i])
            return;
    for (unsigned i = 0; i < round_now.slots; i++)
        if ((seen[i] >> 4 & 15) == member && !is_doomed(seen[i] >> 8))
            sum += seen[i] & 15;
    if (sum > units)
        fail("TOO MANY: %u units of member %u are taken, and there are %u", sum, member, units);
}

static void note_hand(uint32_t word)
{
    atomic_store(&me.slot->in_hand, word);
    atomic_fetch_add(&me.slot->count, 1);
}

static void borrow(rbx_sem *sem)
{
    uint32_t member = draw(LAST), units = member == 0 ? UNITS : 1, n = 1 + draw(units);
    unsigned how = draw(3);
    uint64_t timeout = draw_timeout();
    const uint32_t flags = RBX_SEM_UNDO;
    bool is_forever = how == 2 || (how == 1 && timeout == RBX_FOREVER);
    does("take", is_forever);
    n = how == 1 ? n : 1;
    int err = how == 0   ? rbx_sem_try_wait(sem, member, flags)
              : how == 1 ? rbx_sem_take(sem, member, n, flags, timeout)
                         : rbx_sem_wait(sem, member, flags);
    if (!took("take", err, how, timeout))
        return;
    note_hand(me.life << 8 | member << 4 | n);
    check_sum(member, units);
    hold("has units");
    note_hand(0);
    does("give", false);
    check("give", n == 1 ? rbx_sem_done(sem, member) : rbx_sem_give(sem, member, n));
    atomic_fetch_add_explicit(&me.slot->moved, 1, memory_order_relaxed);
}

/* --- For good. word: what this slot has put in, less what it took << 8 | 1 (or 2), while it puts
   one in (or takes one) --- */

static void note(int64_t change, unsigned call)
{
    int64_t net = ((int64_t)atomic_load(&me.slot->word) >> 8) + change;
    atomic_store(&me.slot->word, (uint64_t)net << 8 | call);
}

static void put_in_or_take(rbx_sem *sem)
{
    bool adds = draw(2);
    note(0, adds ? 1 : 2);
    does(adds ? "add" : "try_wait", false);
    int err = adds ? rbx_sem_add(sem, LAST, 1) : rbx_sem_try_wait(sem, LAST, 0);
    note(err < 0 ? 0 : adds ? 1 : -1, 0);
    if (err < 0 && (adds || err != -EAGAIN))
        check("add (or try_wait)", err);
    atomic_fetch_add_explicit(&me.slot->moved, 1, memory_order_relaxed);
}

static void settle(unsigned slot)
{
    uint64_t word = atomic_load(&ledger->slot[slot].word);
    settled += (int64_t)word >> 8;
    at_most += (word & 0xff) == 1;
    at_least -= (word & 0xff) == 2;
    atomic_store(&ledger->slot[slot].word, 0);
}

static void bury(unsigned slot, uint32_t life)
{
    (void)life;
    settle(slot);
    atomic_store(&ledger->slot[slot].in_hand, 0);
}

/* --- All --- */

static void play(void)
{
    const rbx_sem_options joins = {.box.how = RBX_OPEN_ONLY};
    rbx_sem *sem;
    does("joins", false);
    int err = rbx_sem_open(&sem, round_now.name, &joins);
    check("joining", err);
    while (err == 0 && is_well() && phase() == RUN && !feels_like_leaving()) {
        if (draw(4))
            borrow(sem);
        else
            put_in_or_take(sem);
        did();
        dawdle();
        if (draw(4096) == 0) {
            does("wait_zero", false);
            took("wait_zero", rbx_sem_wait_zero(sem, draw(MEMBERS), draw(1000000)), 1, 0);
        }
    }
    does("closes", false);
    if (err == 0 && draw(2)) /* it comes back when it closes, too */
        rbx_sem_try_wait(sem, 0, RBX_SEM_UNDO);
    if (err == 0)
        check("closing", rbx_sem_close(sem));
}

static void judge(void)
{
    rbx_sem_info info = {0};
    for (unsigned i = 0; i < round_now.slots; i++)
        settle(i);
    int value = rbx_sem_value(sem_now, LAST);
    if (value < settled + at_least || value > settled + at_most)
        fail(
            "%d units are there; %lld were put in and not taken, and some calls of the dead count: "
            "%lld to %lld",
            value, (long long)settled, (long long)at_least, (long long)at_most);
    check("describe", rbx_sem_describe(sem_now, &info));
    if (rbx_sem_value(sem_now, 0) != UNITS || rbx_sem_value(sem_now, 1) != 1)
        fail("LOST: at the end %d and %d units are there, of %d and 1", rbx_sem_value(sem_now, 0),
             rbx_sem_value(sem_now, 1), UNITS);
    if (info.holders != 0 || info.undo_units != 0 || info.suspects != 0)
        fail("at the end %u hold %llu units, and %u are suspect", info.holders,
             (unsigned long long)info.undo_units, info.suspects);
}

static void tell(void)
{
    printf("  values %d, %d, %d\n", rbx_sem_value(sem_now, 0), rbx_sem_value(sem_now, 1),
           rbx_sem_value(sem_now, 2));
}

static void end(void)
{
    check("closing", rbx_sem_close(sem_now));
    sem_now = NULL;
}

const struct game sem_game = {.noun = "semaphores",
                              .begin = begin,
                              .play = play,
                              .bury = bury,
                              .judge = judge,
                              .tell = tell,
                              .end = end};
