/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "state.h"

#include <string.h>

#include "fiber.h"
#include "turn.h"
#include "views.h"
#include "words.h"

static inline uint64_t mix(uint64_t h, uint64_t value)
{
    h = (h ^ value) * UINT64_C(0x9fb21c651e98df25);
    return h ^ (h >> 32);
}

/* All 128 bits of a product, of 16 bytes at a time. */
static inline uint64_t mix_pair(uint64_t h, const char *bytes)
{
    uint64_t pair[2];
    memcpy(pair, bytes, sizeof pair);
    __extension__ unsigned __int128 product =
        (unsigned __int128)(pair[0] ^ h) * (pair[1] ^ UINT64_C(0x8bb84b93962eacc9));
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Three lanes, as a multiplication takes its time. */
uint64_t state_piece(unsigned thread)
{
    struct fiber_piece piece = fiber_piece(thread);
    uint64_t a = piece.size, b = UINT64_C(0x2d358dccaa6c78a5), c = UINT64_C(0x4b33a62ed433d4a3);
    const char *bytes = piece.bytes;
    size_t left = piece.size;
    for (; left >= 48; left -= 48, bytes += 48) {
        a = mix_pair(a, bytes);
        b = mix_pair(b, bytes + 16);
        c = mix_pair(c, bytes + 32);
    }
    for (; left >= 16; left -= 16, bytes += 16)
        a = mix_pair(a, bytes);
    if (left > 0) { /* 8 */
        uint64_t last;
        memcpy(&last, bytes, sizeof last);
        b = mix(b, last);
    }
    return mix(mix(a, b), c);
}

static uint64_t hash_of_thread(uint64_t h, const struct thread *t)
{
    h = mix(h, (uint64_t)t->state << 58 | (uint64_t)t->access << 48 | (uint64_t)t->word << 40 |
                   (uint64_t)t->call << 32 | (uint64_t)t->fencing << 24 |
                   (uint64_t)t->stores << 16 | (uint64_t)t->sleeps_on << 8 |
                   (uint64_t)t->slices << 2 | (uint64_t)t->timed_out << 1 | t->calling);
    h = mix(mix(h, t->now), t->nap ^ t->napped * 3);
    h = mix(h, t->late.value ^ (uint64_t)t->late.word << 56 ^ (uint64_t)(uintptr_t)t->late_copy);
    for (unsigned i = 0; i < t->stores; i++)
        h = mix(h, t->buffer[i].value ^ (uint64_t)t->buffer[i].word << 56 ^
                       (uint64_t)t->buffer[i].record << 48);
    if (t->fresh)
        h = mix(mix(h, (uint64_t)t->fresh), (uint64_t)(t->fresh >> 64));
    /* Looks matter only where they are waited for to change. */
    for (unsigned i = 0; t->access & PAUSES && i < t->looks; i++)
        h = mix(h, t->look[i].value ^ (uint64_t)t->look[i].word << 56);
    return h;
}

uint64_t state_hash(const uint64_t *pieces, unsigned switches, unsigned last)
{
    uint64_t h =
        (uint64_t)switches << 32 | last << 16 | (unsigned)world.deaths << 12 | world.timeouts;
    for (unsigned t = 0; t < THREADS_MAX; t++) {
        if (world.threads[t].state == THREAD_NONE)
            continue;
        h = hash_of_thread(mix(h, pieces[t]), &world.threads[t]);
        for (unsigned i = 0; i < RECORDS_MAX; i++) {
            const struct record *r = &world.records[t][i];
            if (r->outcome == NOT_CALLED && r->preceded == 0)
                continue;
            h = mix(h, r->value << 8 | r->outcome);
            h = mix(h, r->preceded);
        }
    }
    h = mix(h, world.returned);
    return mix(h, sum_of_memory() ^ (is_weak ? views_sum() : 0));
}

uint64_t state_outcome(void)
{
    uint64_t h = 0;
    for (unsigned t = 0; t < THREADS_MAX; t++) {
        h = mix(h, world.threads[t].state);
        for (unsigned i = 0; i < RECORDS_MAX; i++)
            if (world.records[t][i].outcome > CALLED)
                h = mix(h, world.records[t][i].value << 8 | world.records[t][i].outcome | i << 4);
    }
    for (unsigned i = 0; i < word_count; i++)
        if (word_table[i].kind == WORD_SLOT)
            h = mix(h, world.memory[i]);
    return h;
}
