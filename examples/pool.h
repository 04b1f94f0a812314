/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pool.h: what the processes of a worker-pool share: a ring of jobs, a ring of results, and a
 * ledger. worker-pool-tour looks at them, and shows them.
 */
#ifndef RINGBOX_EXAMPLES_POOL_H
#define RINGBOX_EXAMPLES_POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <ringbox/ringbox.h>

enum { CAPACITY = 64, JOBS_MAX = 1000000 };

struct job {
    uint64_t number; /* tells it from all others */
    uint64_t odd;    /* whose smallest factor is wanted */
};

struct result {
    uint64_t number;
    uint64_t odd, factor;
};

RBX_RING_TYPE(jobs, struct job, MPMC)
RBX_RING_TYPE(results, struct result, MPMC)

/* In a box: so it outlives whoever writes to it. */
struct ledger {
    _Atomic uint8_t submitted[JOBS_MAX]; /* by its submitter, once it has sent the job */
    _Atomic uint32_t results[JOBS_MAX];  /* how many have come: by the collector */
};

struct pool {
    rbx_ring *jobs, *results;
    rbx_box *box;
    struct ledger *ledger;
};

static const char *const pool_parts[] = {"jobs", "results", "ledger"};

static inline const char *pool_part(const char *pool, int part)
{
    static char name[RBX_NAME_MAX + 2]; /* one too long is refused, not cut */
    snprintf(name, sizeof name, "%s.%s", pool, pool_parts[part]);
    return name;
}

/* 0 or the first error. */
static inline int close_pool(struct pool *pool)
{
    int jobs = rbx_ring_close(pool->jobs);
    int results = rbx_ring_close(pool->results);
    int box = rbx_box_close(pool->box);
    return jobs < 0 ? jobs : results < 0 ? results : box;
}

/* Whoever comes first makes it, and whoever leaves last removes it. */
static inline int open_pool(struct pool *pool, const char *name)
{
    /* A worker keeps what it has peeked at as long as it works on it, and may be stopped meanwhile:
       in strict mode it then holds up nobody. */
    const rbx_ring_options ring = {.capacity = CAPACITY, .flags = RBX_STRICT};
    const rbx_box_options box = {.size = sizeof(struct ledger), .policy = RBX_LAST_ONE_OUT};
    *pool = (struct pool){0};
    int err = jobs_open(&pool->jobs, pool_part(name, 0), &ring);
    if (err == 0)
        err = results_open(&pool->results, pool_part(name, 1), &ring);
    if (err == 0)
        err = rbx_box_open(&pool->box, pool_part(name, 2), &box);
    if (err < 0)
        close_pool(pool);
    else
        pool->ledger = rbx_box_as(pool->box, struct ledger);
    return err;
}

struct totals {
    uint64_t submitted, done, twice, open; /* open: submitted, and no result yet; or lost */
};

/* Of `count` jobs from `first` on. */
static inline struct totals add_up(struct ledger *ledger, uint64_t first, uint64_t count)
{
    struct totals totals = {0};
    for (uint64_t i = first; i < first + count; i++) {
        bool submitted = atomic_load(&ledger->submitted[i]);
        uint32_t results = atomic_load(&ledger->results[i]);
        totals.submitted += submitted;
        totals.done += results > 0;
        totals.twice += results > 1;
        totals.open += submitted && !results;
    }
    return totals;
}

#endif
