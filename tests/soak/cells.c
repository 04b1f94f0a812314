/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cells.c: a value that counts what each slot has done to it, and says so in all of its words. It
 * is whole whoever looks, and nobody sees less than was there before; and it counts every change
 * that was made, and of a call that a death interrupted one or none.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "soak.h"

enum { WORDS = 200 };

struct value {
    uint64_t changes;
    uint64_t by[SLOTS];
    uint64_t words[WORDS]; /* each follows from `changes` and its place */
};

static rbx_cell *cell_now;
static uint64_t seen; /* by this participant */
static uint64_t made; /* what the value has, if this change is made */

static void fill(struct value *value)
{
    for (unsigned i = 0; i < WORDS; i++)
        value->words[i] = value->changes * 31 + i;
}

static void check_value(const struct value *value, uint64_t at_least, const char *how)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < SLOTS; i++)
        sum += value->by[i];
    bool is_whole = sum == value->changes;
    for (unsigned i = 0; i < WORDS; i++)
        is_whole &= value->words[i] == value->changes * 31 + i;
    if (!is_whole)
        fail("TORN: a value that %s shows has %llu changes and is not whole", how,
             (unsigned long long)value->changes);
    if (value->changes < at_least)
        fail("LOST: a value that %s shows has %llu changes, and before it had %llu", how,
             (unsigned long long)value->changes, (unsigned long long)at_least);
    if (seen < value->changes)
        seen = value->changes;
}

static void check(const char *call, int err)
{
    if (err < 0)
        fail("%s answered %d: %s", call, err, rbx_last_error());
}

static bool begin(void)
{
    struct value initial = {0};
    uint64_t state = mix(round_now.seed ^ 1);
    const rbx_cell_options options = {.box.how = RBX_CREATE_ONLY};
    round_now.slots = round_now.first_out = 2 + draw_from(&state, 6);
    fill(&initial);
    seen = 0;
    int err = rbx_cell_open(&cell_now, round_now.name, sizeof initial, &initial, &options);
    check("making a cell", err);
    return err == 0;
}

/* --- What participants do with it --- */

/* Half done for a while. It fails now and then: then nothing changes. */
static int change(void *at, size_t size, void *arg)
{
    struct value *value = at;
    (void)size;
    (void)arg;
    check_value(value, seen, "a change");
    made = ++value->changes;
    if (draw(16) == 0)
        hold("has the value, half changed");
    value->by[me.number]++;
    fill(value);
    return draw(16) == 0 ? -ERANGE : 0;
}

static int look(const void *value, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    check_value(value, seen, "a read");
    return 0;
}

/* The newest that anybody knows of. */
static void tell_others(void)
{
    uint64_t newest = atomic_load(&ledger->newest);
    while (newest < seen && !atomic_compare_exchange_weak(&ledger->newest, &newest, seen))
        ;
}

/* word: changes by this slot << 1 | one is being made */
static void make_change(rbx_cell *cell)
{
    uint64_t before = atomic_load(&me.slot->word) & ~UINT64_C(1), timeout = draw_timeout();
    atomic_store(&me.slot->word, before | 1);
    does("change", timeout == RBX_FOREVER);
    int err = rbx_cell_change_for(cell, change, NULL, timeout);
    atomic_store(&me.slot->word, before + (err == 0 ? 2 : 0));
    if (err < 0 && err != -ERANGE && (err != -ETIMEDOUT || timeout == RBX_FOREVER))
        check("change", err);
    if (err == 0) {
        seen = made;
        tell_others();
    }
}

static void take_snapshot(const rbx_cell *cell)
{
    struct value value;
    uint64_t newest = atomic_load(&ledger->newest);
    does("snapshot", true);
    check("snapshot", rbx_cell_snapshot(cell, &value));
    check_value(&value, newest > seen ? newest : seen, "a snapshot");
    tell_others();
}

static void use(rbx_cell *cell)
{
    switch (draw(4)) {
    case 0:
        make_change(cell);
        break;
    case 1:
        does("read", true);
        check("read", rbx_cell_read(cell, look, NULL));
        break;
    default:
        take_snapshot(cell);
    }
    did();
    atomic_fetch_add_explicit(&me.slot->moved, 1, memory_order_relaxed);
}

/* Who was there before may have died in a change: it counts, or not. */
static void make_good(rbx_cell *cell)
{
    struct value value;
    uint64_t word = atomic_load(&me.slot->word), by;
    check("snapshot", rbx_cell_snapshot(cell, &value));
    by = value.by[me.number];
    if (by != word >> 1 && (!(word & 1) || by != (word >> 1) + 1))
        fail("LOST: slot %u has made %llu changes%s, and %llu count", me.number,
             (unsigned long long)(word >> 1), word & 1 ? ", and perhaps one more" : "",
             (unsigned long long)by);
    atomic_store(&me.slot->word, by << 1);
}

static void play(void)
{
    const rbx_cell_options joins = {.box.how = RBX_OPEN_ONLY};
    rbx_cell *cell;
    does("joins", false);
    int err = rbx_cell_open(&cell, round_now.name, sizeof(struct value), NULL, &joins);
    check("joining", err);
    if (err == 0)
        make_good(cell);
    while (err == 0 && is_well() && phase() == RUN && !feels_like_leaving()) {
        use(cell);
        dawdle();
    }
    does("closes", false);
    if (err == 0)
        check("closing", rbx_cell_close(cell));
}

/* --- The end --- */

static void judge(void)
{
    for (me.number = 0; me.number < round_now.slots; me.number++) {
        me.slot = &ledger->slot[me.number];
        make_good(cell_now);
    }
    check("read", rbx_cell_read(cell_now, look, NULL));
}

static void tell(void)
{
    printf("  version %llu\n", (unsigned long long)rbx_cell_version(cell_now));
}

static void end(void)
{
    check("closing", rbx_cell_close(cell_now));
    cell_now = NULL;
}

const struct game cell_game = {
    .noun = "cell", .begin = begin, .play = play, .judge = judge, .tell = tell, .end = end};
