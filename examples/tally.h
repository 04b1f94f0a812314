/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tally.h: what message-passing sends, and what its receiver counts: how many messages have come,
 * which were missing, and how long each took. message-passing-tour looks at it, and shows it.
 */
#ifndef RINGBOX_EXAMPLES_TALLY_H
#define RINGBOX_EXAMPLES_TALLY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <ringbox/ringbox.h>

struct tick {
    uint64_t number;  /* 0, 1, 2 and so on */
    uint64_t sent_ns; /* CLOCK_MONOTONIC: the same for all processes of a machine */
    double price;
    uint64_t volume;
};

/* Each power of two of nanoseconds in 32 steps: a latency is shown at most 3% too long. */
enum { STEP_BITS = 5, STEPS = 1 << STEP_BITS, BUCKETS = (65 - STEP_BITS) * STEPS };

struct tally {
    _Atomic uint64_t messages; /* the tour looks at it from its own process */
    uint64_t next;             /* the number that should come now */
    uint64_t lost, twice;
    uint64_t first_ns, last_ns; /* when the first and the last one came */
    uint64_t latency[BUCKETS];
};

static inline uint64_t messages(const struct tally *tally)
{
    return atomic_load_explicit(&tally->messages, memory_order_relaxed);
}

static inline size_t bucket_of(uint64_t ns)
{
    if (ns < STEPS)
        return (size_t)ns;
    int shift = 63 - __builtin_clzll(ns) - STEP_BITS;
    return (size_t)shift * STEPS + (size_t)(ns >> shift);
}

static inline uint64_t longest_in(size_t bucket)
{
    if (bucket < 2 * STEPS)
        return bucket;
    return ((bucket % STEPS + STEPS + 1) << (bucket / STEPS - 1)) - 1;
}

/* What `percent` of the messages did not exceed. */
static inline double percentile_us(const struct tally *tally, double percent)
{
    double wanted = (double)messages(tally) * percent / 100, seen = 0;
    size_t bucket = 0;
    for (size_t i = 0; i < BUCKETS && seen < wanted; i++) {
        seen += (double)tally->latency[i];
        bucket = i;
    }
    return (double)longest_in(bucket) / 1000;
}

static inline double throughput(const struct tally *tally)
{
    uint64_t ns = tally->last_ns - tally->first_ns;
    return ns ? (double)messages(tally) * 1e9 / (double)ns : 0;
}

static inline void print_heading(void)
{
    printf("%19s%12s  us: 50%%      90%%      99%%    99.9%%      max\n", "", "messages/s");
}

static inline void print_figures(const char *what, double a_second, const struct tally *tally)
{
    printf("   %-16s%12.0f%9.1f%9.1f%9.1f%9.1f%9.1f\n", what, a_second, percentile_us(tally, 50),
           percentile_us(tally, 90), percentile_us(tally, 99), percentile_us(tally, 99.9),
           percentile_us(tally, 100));
}

static inline bool is_complete(const struct tally *tally)
{
    return tally->lost == 0 && tally->twice == 0;
}

/* The tour's tally outlives a receiver that is killed, and its successor goes on with it. */
static inline rbx_box *open_tally(uint64_t tour)
{
    const rbx_box_options options = {.size = sizeof(struct tally), .policy = RBX_LAST_ONE_OUT};
    char name[64];
    snprintf(name, sizeof name, "demo.%d.tally", (int)tour);
    rbx_box *box;
    return rbx_box_open(&box, name, &options) < 0 ? NULL : box;
}

#endif
