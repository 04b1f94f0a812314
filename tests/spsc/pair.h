/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* pair.h: a ring in memory with both of its ends open, and messages that are numbers. */
#ifndef RBX_TESTS_SPSC_PAIR_H
#define RBX_TESTS_SPSC_PAIR_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../support/support.h"
#include "ring/header.h"

struct pair {
    struct rbx_ring_shape shape;
    void *memory; /* exactly as large as the ring, so that the address sanitizer sees what is not */
    size_t size;
    struct rbx_spsc *spsc;
    rbx_ring *ring;
    rbx_tx tx;
    rbx_rx rx;
};

/* With the frames counted from `first_frame` on. */
static inline void pair_open_at(struct pair *pair, const rbx_ring_options *options,
                                uint64_t first_frame)
{
    succeeds(rbx_ring_plan(&pair->shape, options));
    pair->shape.first_frame = first_frame;
    pair->size = rbx_ring_size(&pair->shape);
    pair->memory = aligned_alloc(64, pair->size);
    memset(pair->memory, 0, pair->size);
    pair->spsc = (struct rbx_spsc *)((char *)pair->memory + RBX_RING_SHARED_AT);
    rbx_ring_format(pair->memory, &pair->shape);
    succeeds(rbx_ring_attach(&pair->ring, pair->memory, pair->size, options));
    succeeds(rbx_tx_open(&pair->tx, pair->ring));
    succeeds(rbx_rx_open(&pair->rx, pair->ring));
}

static inline void pair_open(struct pair *pair, size_t message_size, size_t capacity)
{
    const rbx_ring_options options = {.message_size = message_size, .capacity = capacity};
    pair_open_at(pair, &options, 0);
}

static inline void pair_close(struct pair *pair)
{
    rbx_tx_close(&pair->tx);
    rbx_rx_close(&pair->rx);
    succeeds(rbx_ring_close(pair->ring));
    free(pair->memory);
}

/* Fewer messages than these are never 'full', and more than those are never there. */
static inline uint64_t pair_least(const struct pair *pair)
{
    return (pair->shape.frames - pair->shape.lazy) * pair->shape.frame.per_frame;
}

static inline uint64_t pair_most(const struct pair *pair)
{
    return pair->shape.frames * pair->shape.frame.per_frame;
}

static inline rbx_ring_info described(const rbx_ring *ring)
{
    rbx_ring_info info;
    succeeds(rbx_ring_describe(ring, &info));
    return info;
}

/* No two of 256 successive numbers look alike, in a single byte either. */
static inline uint8_t byte_of(uint64_t number, size_t at)
{
    return (uint8_t)(number * 167 + at * 31 + (at ? number >> 8 : 0));
}

static inline void put_number(void *message, size_t size, uint64_t number)
{
    uint8_t *bytes = message;
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_of(number, i);
}

static inline bool has_number(const void *message, size_t size, uint64_t number)
{
    const uint8_t *bytes = message;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != byte_of(number, i))
            return false;
    return true;
}

#endif
