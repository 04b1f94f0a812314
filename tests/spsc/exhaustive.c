/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Every state that a small ring can be in, and every operation in each of them.
 *
 * A search in breadth: from a new ring on, each operation is tried in each state, and what it did
 * is held against a queue that only counts. Two states are the same when everything is at the same
 * distance from everything else, in the same slots. Messages are numbered, so a state need not say
 * what they hold.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pair.h"

TestSuite(exhaustive, .timeout = 280);

/* All that an operation can change, but for counters that decide nothing. */
struct state {
    uint64_t sent, received; /* the queue that it is held against */
    uint64_t tx_at, tx_limit, tx_head, tx_credit, tx_hold;
    uint64_t rx_at, rx_seen, rx_head, rx_owed, rx_hold, rx_shown, rx_unshown;
    uint64_t seat_tx, seat_rx, freed;
};

static struct search {
    struct pair pair;
    struct state now;
    size_t frames_size, record;
    char *records; /* states with their frames */
    size_t count, room;
    uint64_t *seen; /* hash table of keys + 1 */
    size_t seen_room;
    uint64_t refused, tried;
    char *messages;
    bool holds; /* claim and commit, peek and release, are operations of their own */
} s;

static char *frames(void)
{
    return (char *)s.pair.memory + RBX_RING_SEATS_AT;
}

static void save(struct state *to)
{
    const rbx_tx *tx = &s.pair.tx;
    const rbx_rx *rx = &s.pair.rx;
    *to = s.now;
    to->tx_at = tx->spsc.at, to->tx_limit = tx->spsc.limit, to->tx_credit = tx->spsc.credit;
    to->tx_head = (uint64_t)((char *)tx->spsc.head - frames()), to->tx_hold = tx->hold;
    to->rx_at = rx->spsc.now.at, to->rx_seen = rx->spsc.now.seen, to->rx_owed = rx->spsc.owed,
    to->rx_hold = rx->hold;
    to->rx_head = (uint64_t)((char *)rx->spsc.now.head - frames());
    to->rx_shown = rx->shown, to->rx_unshown = rx->spsc.unshown;
    to->seat_tx = rbx_load_relaxed(&s.pair.spsc->tx.at);
    to->seat_rx = rbx_load_relaxed(&s.pair.spsc->rx.at);
    to->freed = rbx_load_relaxed(&s.pair.spsc->freed);
}

static void restore(const char *record)
{
    rbx_tx *tx = &s.pair.tx;
    rbx_rx *rx = &s.pair.rx;
    memcpy(&s.now, record, sizeof s.now);
    memcpy(frames(), record + sizeof s.now, s.frames_size);
    const struct state *from = &s.now;
    tx->spsc.at = from->tx_at, tx->spsc.limit = from->tx_limit, tx->spsc.credit = from->tx_credit;
    tx->spsc.head = (void *)(frames() + from->tx_head), tx->hold = (uint32_t)from->tx_hold;
    rx->spsc.now.at = from->rx_at, rx->spsc.now.seen = from->rx_seen, rx->spsc.owed = from->rx_owed;
    rx->spsc.now.head = (void *)(frames() + from->rx_head), rx->hold = (uint32_t)from->rx_hold;
    rx->shown = (uint32_t)from->rx_shown, rx->spsc.unshown = (uint32_t)from->rx_unshown;
    rbx_store_relaxed(&s.pair.spsc->tx.at, from->seat_tx);
    rbx_store_relaxed(&s.pair.spsc->rx.at, from->seat_rx);
    rbx_store_relaxed(&s.pair.spsc->freed, from->freed);
}

static uint64_t key_of(const struct state *state)
{
    uint64_t rx_frame = state->rx_at >> 8, key = state->tx_head / s.pair.shape.frame.bytes;
    const struct {
        uint64_t value;
        unsigned bits;
    } parts[] = {{(state->tx_at >> 8) + 1 - rx_frame, 4}, /* the receiver can be ahead by one */
                 {rx_frame + 1 - state->freed, 4},
                 {state->tx_credit, 4},
                 {state->tx_at & 255, 7},
                 {state->rx_at & 255, 7},
                 {state->rx_seen - state->rx_at, 7},
                 {state->seat_rx != state->rx_at, 1},
                 {state->seat_tx >> 8 != state->tx_at >> 8, 1},
                 {state->tx_hold == RBX_HOLD_PLACE, 1},
                 {state->rx_hold == RBX_HOLD_PLACE, 1},
                 {state->rx_hold == RBX_HOLD_PLACE ? state->rx_shown : 0, 7},
                 {state->rx_hold == RBX_HOLD_PLACE ? state->rx_unshown : 0, 7}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        cr_assert_eq(parts[i].value >> parts[i].bits, 0, "part %zu of the key is %llu", i,
                     (unsigned long long)parts[i].value);
        key = key << parts[i].bits | parts[i].value;
    }
    return key + 1;
}

static size_t slot_of(const uint64_t *table, size_t room, uint64_t key)
{
    size_t slot = (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 20) % room;
    while (table[slot] != 0 && table[slot] != key)
        slot = (slot + 1) % room;
    return slot;
}

static void grow_seen(void)
{
    size_t room = s.seen_room ? s.seen_room * 2 : 4096;
    uint64_t *table = calloc(room, sizeof *table);
    for (size_t i = 0; i < s.seen_room; i++)
        if (s.seen[i] != 0)
            table[slot_of(table, room, s.seen[i])] = s.seen[i];
    free(s.seen);
    s.seen = table;
    s.seen_room = room;
}

/* The state that the ring is in now, if it is a new one, is to be looked at. */
static void note(void)
{
    struct state state;
    save(&state);
    if (s.count * 2 >= s.seen_room)
        grow_seen();
    uint64_t key = key_of(&state);
    size_t slot = slot_of(s.seen, s.seen_room, key);
    if (s.seen[slot] == key)
        return;
    s.seen[slot] = key;
    if (s.count == s.room) {
        s.room = s.room ? s.room * 2 : 256;
        s.records = realloc(s.records, s.room * s.record);
        cr_assert_not_null(s.records);
    }
    char *record = s.records + s.count++ * s.record;
    memcpy(record, &state, sizeof state);
    memcpy(record + sizeof state, frames(), s.frames_size);
}

/* --- Operations: what they answer, and what they leave, must be what the queue says. --- */

static uint64_t waiting(void)
{
    return s.now.sent - s.now.received;
}

/* `count` were wanted. */
static void check_sent(ptrdiff_t answer, size_t count)
{
    if (s.pair.tx.hold == RBX_HOLD_PLACE && count > 0) {
        cr_assert_eq(answer, -EBUSY);
        return;
    }
    cr_assert(answer >= 0 || answer == -EAGAIN, "%td: %s", answer, rbx_last_error());
    cr_assert_leq(answer, (ptrdiff_t)count);
    s.now.sent += answer > 0 ? (uint64_t)answer : 0;
    cr_assert_leq(waiting(), pair_most(&s.pair));
    if (answer < (ptrdiff_t)count) {
        s.refused++;
        cr_assert_neq(answer, 0, "none of several is -EAGAIN");
        cr_assert_geq(waiting(), pair_least(&s.pair), "full with %llu waiting, after %zu states",
                      (unsigned long long)waiting(), s.count);
    }
}

static void send_one(size_t unused)
{
    (void)unused;
    put_number(s.messages, s.pair.shape.frame.message_size, s.now.sent);
    int answer = rbx_try_send(&s.pair.tx, s.messages);
    check_sent(answer == 0 ? 1 : answer, 1);
}

static void send_many(size_t count)
{
    size_t size = s.pair.shape.frame.message_size;
    for (size_t i = 0; i < count; i++)
        put_number(s.messages + i * size, size, s.now.sent + i);
    check_sent(rbx_try_send_n(&s.pair.tx, s.messages, count), count);
}

static void claim(size_t unused)
{
    (void)unused;
    void *place;
    if (s.pair.tx.hold == RBX_HOLD_PLACE) {
        cr_assert_eq(rbx_try_claim(&s.pair.tx, &place), -EBUSY);
        return;
    }
    uint64_t before = s.now.sent;
    int answer = rbx_try_claim(&s.pair.tx, &place);
    cr_assert_eq(place == NULL, answer < 0);
    if (answer < 0) {
        check_sent(answer, 1);
        return;
    }
    cr_assert_eq((uintptr_t)place % s.pair.shape.alignment, 0);
    put_number(place, s.pair.shape.frame.message_size, before);
}

static void commit(size_t unused)
{
    (void)unused;
    if (s.pair.tx.hold != RBX_HOLD_PLACE) {
        cr_assert_eq(rbx_commit(&s.pair.tx), -EINVAL);
        return;
    }
    cr_assert_eq(rbx_commit(&s.pair.tx), 0);
    s.now.sent++;
    cr_assert_leq(waiting(), pair_most(&s.pair));
}

static void give_up(size_t unused)
{
    (void)unused;
    int expected = s.pair.tx.hold == RBX_HOLD_PLACE ? 0 : -EINVAL;
    cr_assert_eq(rbx_abort(&s.pair.tx), expected);
}

static void claim_and_commit(size_t unused)
{
    claim(unused);
    if (s.pair.tx.hold == RBX_HOLD_PLACE)
        commit(unused);
}

/* What dies and what closes leaves the same: the claimed place is given up. */
static void replace_sender(size_t unused)
{
    (void)unused;
    rbx_tx_close(&s.pair.tx);
    succeeds(rbx_tx_open(&s.pair.tx, s.pair.ring));
}

static void recv_many(size_t most)
{
    size_t size = s.pair.shape.frame.message_size;
    ptrdiff_t answer = rbx_try_recv_n(&s.pair.rx, s.messages, most);
    if (most == 0)
        cr_assert_eq(answer, 0);
    else if (s.pair.rx.hold == RBX_HOLD_PLACE)
        cr_assert_eq(answer, -EBUSY);
    else if (waiting() == 0)
        cr_assert_eq(answer, -EAGAIN);
    else
        cr_assert_eq(answer, (ptrdiff_t)(most < waiting() ? most : waiting()));
    for (ptrdiff_t i = 0; i < answer; i++)
        cr_assert(has_number(s.messages + (size_t)i * size, size, s.now.received++));
}

static void recv_one(size_t unused)
{
    (void)unused;
    int answer = rbx_try_recv(&s.pair.rx, s.messages);
    if (s.pair.rx.hold == RBX_HOLD_PLACE)
        cr_assert_eq(answer, -EBUSY);
    else if (waiting() == 0)
        cr_assert_eq(answer, -EAGAIN);
    else {
        cr_assert_eq(answer, 0);
        cr_assert(has_number(s.messages, s.pair.shape.frame.message_size, s.now.received++));
    }
}

static void peek_many(size_t most)
{
    const void *first;
    if (s.pair.rx.hold == RBX_HOLD_PLACE) {
        cr_assert_eq(rbx_try_peek_n(&s.pair.rx, &first, most), -EBUSY);
        return;
    }
    ptrdiff_t shown = rbx_try_peek_n(&s.pair.rx, &first, most);
    if (waiting() == 0) {
        cr_assert_eq(shown, -EAGAIN);
        cr_assert_null(first);
        return;
    }
    cr_assert(shown >= 1 && shown <= (ptrdiff_t)most && (uint64_t)shown <= waiting());
    cr_assert_eq((uintptr_t)first % s.pair.shape.alignment, 0);
    for (ptrdiff_t i = 0; i < shown; i++)
        cr_assert(has_number((const char *)first + (size_t)i * rbx_stride(&s.pair.rx),
                             s.pair.shape.frame.message_size, s.now.received + (uint64_t)i));
}

static void release(size_t count)
{
    if (s.pair.rx.hold != RBX_HOLD_PLACE || count > s.pair.rx.shown) {
        cr_assert_eq(rbx_release_n(&s.pair.rx, count), -EINVAL);
        return;
    }
    cr_assert_eq(rbx_release_n(&s.pair.rx, count), 0);
    s.now.received += count;
}

static void peek_and_release(size_t most)
{
    peek_many(most);
    if (s.pair.rx.hold == RBX_HOLD_PLACE)
        release(s.pair.rx.shown);
}

static void replace_receiver(size_t unused)
{
    (void)unused;
    rbx_rx_close(&s.pair.rx);
    succeeds(rbx_rx_open(&s.pair.rx, s.pair.ring));
}

static void bury_receiver(size_t unused)
{
    (void)unused;
    uint64_t freed = rbx_load_relaxed(&s.pair.spsc->freed);
    rbx_rx_close(&s.pair.rx);
    rbx_store_relaxed(&s.pair.spsc->freed, freed); /* who dies gives nothing back */
    succeeds(rbx_rx_open(&s.pair.rx, s.pair.ring));
}

static void try(const char *record, void (*operation)(size_t count), size_t count)
{
    restore(record);
    operation(count);
    s.tried++;
    rbx_ring_info info = described(s.pair.ring);
    cr_assert_eq(info.sent, s.now.sent);
    cr_assert_eq(info.received, s.now.received);
    note();
}

static bool near_a_border(const char *record)
{
    struct state state;
    memcpy(&state, record, sizeof state);
    uint64_t index = state.tx_at & 255;
    return s.holds || index <= 1 || index + 1 >= s.pair.shape.frame.per_frame;
}

/* `counts` ends with one that is more than fits. */
static void try_all(size_t from, const size_t *counts)
{
    char *record = malloc(s.record); /* the others may move */
    memcpy(record, s.records + from * s.record, s.record);
    try(record, send_one, 0);
    try(record, recv_one, 0);
    if (near_a_border(record)) { /* each takes a few system calls */
        try(record, replace_sender, 0);
        try(record, replace_receiver, 0);
        try(record, bury_receiver, 0);
    }
    for (const size_t *count = counts;; count++) {
        try(record, send_many, *count);
        try(record, recv_many, *count);
        if (*count > 0)
            try(record, s.holds ? peek_many : peek_and_release, *count);
        if (s.holds)
            try(record, release, *count);
        if (*count > pair_most(&s.pair))
            break;
    }
    if (s.holds) {
        try(record, claim, 0);
        try(record, commit, 0);
        try(record, give_up, 0);
    } else
        try(record, claim_and_commit, 0);
    free(record);
}

static void explore(size_t size, size_t capacity, uint64_t first_frame)
{
    memset(&s, 0, sizeof s);
    const rbx_ring_options options = {.message_size = size, .capacity = capacity};
    pair_open_at(&s.pair, &options, first_frame);
    uint64_t per_frame = s.pair.shape.frame.per_frame, most = pair_most(&s.pair);
    cr_assert_geq(pair_least(&s.pair), capacity);
    cr_assert_leq(most, 120);
    s.frames_size = s.pair.shape.frames * s.pair.shape.frame.bytes;
    s.record = sizeof s.now + s.frames_size;
    s.messages = malloc((most + 1) * size);
    s.holds = per_frame <= 7;
    size_t counts[128], n = 0;
    for (size_t count = 0; count <= most + 1; count++)
        if (s.holds || count == 0 || count == 2 || count + 1 == per_frame ||
            count == per_frame + 1 || count == most + 1)
            counts[n++] = count;
    note();
    for (size_t at = 0; at < s.count; at++)
        try_all(at, counts);
    cr_assert_gt(s.refused, 0, "never full");
    cr_log_info("%zu bytes, capacity %zu: %zu states, %llu tries", size, capacity, s.count,
                (unsigned long long)s.tried);
    pair_close(&s.pair);
    free(s.records);
    free(s.seen);
    free(s.messages);
}

/* Capacities that make the same ring are one. */
static void explore_all(size_t size)
{
    struct rbx_ring_shape shape, next;
    for (size_t capacity = 1; capacity <= 9; capacity++) {
        rbx_ring_options options = {.message_size = size, .capacity = capacity};
        succeeds(rbx_ring_plan(&shape, &options));
        options.capacity++;
        succeeds(rbx_ring_plan(&next, &options));
        if (capacity == 9 || next.frames != shape.frames || next.lazy != shape.lazy)
            explore(size, capacity, 0);
    }
}

Test(exhaustive, messages_of_one_byte_come_through_whatever_is_done)
{
    explore_all(1);
}

Test(exhaustive, messages_of_three_bytes_come_through_whatever_is_done)
{
    explore_all(3);
}

Test(exhaustive, messages_of_eight_bytes_come_through_whatever_is_done)
{
    explore_all(8);
}

Test(exhaustive, messages_of_16_bytes_come_through_whatever_is_done)
{
    explore_all(16);
}

Test(exhaustive, messages_of_24_bytes_come_through_whatever_is_done)
{
    explore_all(24);
}

Test(exhaustive, messages_of_56_bytes_come_through_whatever_is_done)
{
    explore_all(56);
}

Test(exhaustive, messages_of_64_bytes_come_through_whatever_is_done)
{
    explore_all(64);
}

Test(exhaustive, messages_of_120_bytes_come_through_whatever_is_done)
{
    explore_all(120);
}

Test(exhaustive, messages_of_5000_bytes_come_through_whatever_is_done)
{
    explore_all(5000);
}
