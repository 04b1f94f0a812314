/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* polled.h: what the tests of descriptors share: rings of all kinds, of which either end is armed,
   waited for by io_uring and by a thread. */
#ifndef RBX_TESTS_RING_POLLED_H
#define RBX_TESTS_RING_POLLED_H

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "../support/support.h"

struct polled_kind {
    const char *noun;
    rbx_ring_kind kind;
    unsigned flags;
};

static const struct polled_kind polled_kinds[] = {{"spsc", RBX_SPSC, 0},
                                                  {"mpmc", RBX_MPMC, 0},
                                                  {"strict", RBX_MPMC, RBX_STRICT},
                                                  {"locked", RBX_LOCKED, 0}};
enum { KINDS = sizeof polled_kinds / sizeof *polled_kinds, CAPACITY = 4 };

static const rbx_poll_by ways[] = {RBX_POLL_BY_URING, RBX_POLL_BY_THREAD};
enum { WAYS = sizeof ways / sizeof *ways };

static inline rbx_ring_options options_of(const struct polled_kind *kind)
{
    return (rbx_ring_options){
        .kind = kind->kind, .flags = kind->flags, .message_size = 8, .capacity = CAPACITY};
}

/* Whether this kernel and this sandbox let io_uring wait on a futex. */
static inline bool has_uring(void)
{
    static int known = -1;
    const rbx_ring_options options = options_of(&polled_kinds[0]);
    rbx_ring *ring;
    rbx_rx rx;
    if (known < 0) {
        succeeds(rbx_ring_open(&ring, NULL, &options));
        succeeds(rbx_rx_open(&rx, ring));
        known = rbx_rx_fd_by(&rx, RBX_POLL_BY_URING) >= 0;
        rbx_rx_close(&rx);
        rbx_ring_close(ring);
    }
    return known;
}

/* Each kind of ring, and each way that is there. */
#define for_each_kind_and_way(kind, by)                                                            \
    for (const struct polled_kind *kind = polled_kinds; kind < polled_kinds + KINDS; kind++)       \
        for (unsigned way_number = has_uring() ? 0 : 1; way_number < WAYS; way_number++)           \
            for (rbx_poll_by by = ways[way_number], once = by; once; once = RBX_POLL_BY_ANY)

#define needs_uring()                                                                              \
    do {                                                                                           \
        if (!has_uring())                                                                          \
            cr_skip_test("SKIP: io_uring cannot wait for futexes here");                           \
    } while (0)

/* How many are ready, once some are. The endpoint that was closed before may have had the kernel
   interrupt this thread once: poll.h. */
static inline int ready_in(int set, struct epoll_event *ready, int most)
{
    int count;
    do
        count = epoll_wait(set, ready, most, -1);
    while (count < 0 && errno == EINTR);
    return count;
}

/* Waits at most `timeout_ms`, -1 for ever. */
static inline bool is_readable_within(int fd, int timeout_ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int n;
    do
        n = poll(&ready, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    return n == 1 && ready.revents == POLLIN;
}

static inline bool is_readable(int fd)
{
    return is_readable_within(fd, 0);
}

static inline void fill(rbx_tx *tx)
{
    const uint64_t message = 1;
    int err;
    do
        err = rbx_try_send(tx, &message);
    while (err == 0);
    cr_assert_eq(err, -EAGAIN);
}

static inline int drain(rbx_rx *rx)
{
    uint64_t message;
    int err;
    do
        err = rbx_try_recv(rx, &message);
    while (err == 0);
    return err;
}

/* Both ends, in this process. */
struct both {
    rbx_ring *ring;
    rbx_tx tx;
    rbx_rx rx;
};

static inline void open_both(struct both *both, const char *name, const struct polled_kind *kind)
{
    const rbx_ring_options options = options_of(kind);
    succeeds(rbx_ring_open(&both->ring, name, &options));
    succeeds(rbx_tx_open(&both->tx, both->ring));
    succeeds(rbx_rx_open(&both->rx, both->ring));
}

static inline void close_both(struct both *both)
{
    rbx_tx_close(&both->tx);
    rbx_rx_close(&both->rx);
    succeeds(rbx_ring_close(both->ring));
}

/* Drains, and arms, until that says that there is nothing: what a loop does. -EAGAIN, or why it
   ended. */
static inline int drain_and_arm(rbx_rx *rx)
{
    for (;;) {
        int err = drain(rx);
        if (err != -EAGAIN)
            return err;
        int is_ready = rbx_rx_arm(rx);
        cr_assert_geq(is_ready, 0, "%s", rbx_last_error());
        if (!is_ready)
            return -EAGAIN;
    }
}

static inline int threads(void)
{
    return entries("/proc/self/task");
}

/* One that has been joined may be on its way out still. */
static inline void await_threads(int count)
{
    while (threads() != count)
        sched_yield();
}

/* What another process has to do with a ring. */
struct life {
    const char *name;
    const struct polled_kind *kind;
    enum { SENDS, RECEIVES } does;
    unsigned messages;
};

static inline rbx_ring *ring_of(const struct life *life)
{
    const rbx_ring_options options = options_of(life->kind);
    rbx_ring *ring;
    succeeds(rbx_ring_open(&ring, life->name, &options));
    return ring;
}

#endif
