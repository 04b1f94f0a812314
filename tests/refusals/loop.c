/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* loop.c: waits on many rings, and descriptors of endpoints, while the system refuses one call
   after the other. */
#include "refusals.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ringbox/ringbox.h>

static const rbx_wait_options no_spin = {.how = RBX_WAIT_SLEEP, .spin_ns = RBX_NO_SPIN};
static const uint64_t one = 1;

/* A ring, and both its ends. */
struct pair {
    rbx_ring *ring;
    rbx_tx tx;
    rbx_rx rx;
};

static int pair_open(struct pair *pair, const char *name, rbx_ring_kind kind)
{
    const rbx_ring_options options = {.kind = kind, .message_size = 8, .capacity = 4};
    int err = rbx_ring_open(&pair->ring, name, &options);
    if (err == 0)
        err = rbx_tx_open(&pair->tx, pair->ring);
    if (err == 0)
        err = rbx_rx_open(&pair->rx, pair->ring);
    if (err == 0)
        err = first(rbx_tx_wait_by(&pair->tx, &no_spin), rbx_rx_wait_by(&pair->rx, &no_spin));
    return err;
}

static int pair_close(struct pair *pair)
{
    rbx_tx_close(&pair->tx);
    rbx_rx_close(&pair->rx);
    return rbx_ring_close(pair->ring);
}

static void fill(rbx_tx *tx)
{
    while (rbx_try_send(tx, &one) == 0)
        ;
}

static void drain(rbx_rx *rx)
{
    uint64_t message;
    while (rbx_try_recv(rx, &message) == 0)
        ;
}

/* ---- many rings -------------------------------------------------------------------------------
 */

enum { ENDS = 3 };

static void are_ready(rbx_any *ends, int wanted, int answer)
{
    int marked = 0;
    for (int i = 0; i < ENDS; i++)
        marked += ends[i].ready;
    must(answer == (wanted > 0 ? wanted : -ETIMEDOUT), "a wait on many says how many are ready");
    must(marked == wanted, "a wait on many marks those that are ready");
}

/* What it answers, if that was because something was refused. */
static int wait_for_all(rbx_any *ends, int wanted)
{
    const uint64_t two_sleeps_ns = 1500000; /* the first one is short */
    int answer = rbx_wait_any(ends, ENDS, two_sleeps_ns);
    if (answer >= 0 || answer == -ETIMEDOUT) {
        are_ready(ends, wanted, answer);
        return 0;
    }
    for (int i = 0; i < ENDS; i++)
        must(!ends[i].ready, "a wait on many that fails marks nobody");
    are_ready(ends, wanted, rbx_wait_any(ends, ENDS, two_sleeps_ns));
    return answer;
}

static int wait_on_many(void)
{
    struct pair pairs[ENDS] = {0};
    static const rbx_ring_kind kinds[ENDS] = {RBX_SPSC, RBX_MPMC, RBX_LOCKED};
    int err = 0;
    for (int i = 0; i < ENDS && err == 0; i++)
        err = pair_open(&pairs[i], i == 1 ? OWN_NAME : NULL, kinds[i]);
    rbx_any ends[ENDS] = {{.rx = &pairs[0].rx}, {.rx = &pairs[1].rx}, {.tx = &pairs[2].tx}};
    if (err == 0) {
        fill(&pairs[2].tx);
        err = wait_for_all(ends, 0);
        must(rbx_try_send(&pairs[1].tx, &one) == 0, "there is room");
        drain(&pairs[2].rx);
        err = first(err, wait_for_all(ends, 2));
        must(!ends[0].ready, "an empty ring has no message");
    }
    for (int i = 0; i < ENDS; i++)
        err = first(err, pair_close(&pairs[i]));
    return err;
}

static int nap_on_many(void)
{
    refuse_sleep_on_several();
    return wait_on_many();
}

/* ---- descriptors ------------------------------------------------------------------------------
 */

static bool is_readable_within(int fd, int timeout_ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int n;
    do
        n = poll(&ready, 1, timeout_ms);
    while (n < 0 && errno == EINTR); /* an io_uring that goes may interrupt once */
    return n == 1 && ready.revents == POLLIN;
}

/* An end's calls, and whether it is armed as it should be. */
struct end {
    rbx_rx *rx;
    rbx_tx *tx;
    rbx_poll_by by;
    int err; /* the first refusal's */
};

static int fd_of(const struct end *end)
{
    return end->rx ? rbx_rx_fd_by(end->rx, end->by) : rbx_tx_fd_by(end->tx, end->by);
}

static int arm_once(const struct end *end)
{
    return end->rx ? rbx_rx_arm(end->rx) : rbx_tx_arm(end->tx);
}

/* What was refused once works the next time. */
static int insist(struct end *end, int (*call)(const struct end *end), const char *works_later)
{
    int answer = call(end);
    if (answer >= 0)
        return answer;
    end->err = first(end->err, answer);
    answer = call(end);
    must(answer >= 0, works_later);
    return answer;
}

static int descriptor(struct end *end)
{
    return insist(end, fd_of, "what could not have a descriptor has one later");
}

static int arm(struct end *end)
{
    return insist(end, arm_once, "what could not be armed can be armed later");
}

static void see_to_it(const struct end *end)
{
    if (end->rx)
        drain(end->rx);
    else
        fill(end->tx);
}

/* Through all that a descriptor says; `change` makes the end ready. It closes while it is armed. */
static int watch(struct end end, void (*change)(void *), void *other)
{
    int fd = descriptor(&end);
    if (fd < 0)
        return fd;
    for (int is_armed = 0; is_armed < 2; is_armed++) {
        if (is_armed)
            must(arm(&end) == 0, "an end that has nothing to do can be armed");
        change(other);
        must(!is_armed || is_readable_within(fd, -1), "it turns readable");
        must(arm(&end) == 1, "an end that has something to do is told so");
        must(is_readable_within(fd, 0), "and its descriptor is readable");
        see_to_it(&end);
    }
    must(arm(&end) == 0, "it can be armed again");
    must(arm(&end) == 0, "and once more");
    return end.err;
}

static void send_one(void *tx)
{
    must(rbx_try_send(tx, &one) == 0, "there is room");
}

static void take_all(void *rx)
{
    drain(rx);
}

static int watch_both(rbx_poll_by by, const char *name, rbx_ring_kind kind)
{
    struct pair pair = {0};
    int err = pair_open(&pair, name, kind);
    if (err == 0) {
        err = watch((struct end){.rx = &pair.rx, .by = by}, send_one, &pair.tx);
        fill(&pair.tx);
        err = first(err, watch((struct end){.tx = &pair.tx, .by = by}, take_all, &pair.rx));
    }
    return first(err, pair_close(&pair));
}

/* Known before anything is refused. */
static bool has_uring(void)
{
    static int known = -1;
    struct pair pair = {0};
    if (known < 0) {
        known =
            pair_open(&pair, NULL, RBX_SPSC) == 0 && rbx_rx_fd_by(&pair.rx, RBX_POLL_BY_URING) >= 0;
        pair_close(&pair);
    }
    return known;
}

static int by_any(void)
{
    return watch_both(RBX_POLL_BY_ANY, NULL, RBX_SPSC);
}

static int by_uring(void)
{
    return has_uring() ? watch_both(RBX_POLL_BY_URING, OWN_NAME, RBX_SPSC) : NOT_HERE;
}

static int by_thread(void)
{
    return watch_both(RBX_POLL_BY_THREAD, OWN_NAME, RBX_MPMC);
}

static int by_napping_thread(void)
{
    refuse_sleep_on_several();
    return watch_both(RBX_POLL_BY_THREAD, NULL, RBX_LOCKED);
}

/* ---- a peer that dies -------------------------------------------------------------------------
 */

/* Another process that has a sender; all that it does is to wait to be killed. */
static pid_t start_sender(void)
{
    int status = 0;
    pid_t peer = fork();
    if (peer < 0)
        abort(); /* and by no means is -1 killed */
    if (peer == 0) {
        static rbx_ring *ring;
        static rbx_tx tx;
        refuse_no_more();
        if (rbx_ring_open(&ring, OWN_NAME, NULL) < 0 || rbx_tx_open(&tx, ring) < 0)
            _exit(1);
        raise(SIGSTOP);
        _exit(1);
    }
    waitpid(peer, &status, WUNTRACED);
    must(WIFSTOPPED(status), "the other process has a sender");
    return peer;
}

static void kill_sender(pid_t peer)
{
    kill(peer, SIGKILL);
    waitpid(peer, NULL, 0);
}

/* As a loop does. */
static int next_answer(struct end *end, int fd)
{
    uint64_t message;
    int err;
    while ((err = rbx_try_recv(end->rx, &message)) == -EAGAIN)
        if (arm(end) == 0)
            must(is_readable_within(fd, -1), "it turns readable");
    return err;
}

static int hear_of_death(rbx_poll_by by, rbx_ring_kind kind)
{
    const rbx_ring_options options = {.kind = kind, .message_size = 8, .capacity = 4};
    rbx_ring *ring;
    rbx_rx rx = {0};
    struct end end = {.rx = &rx, .by = by};
    int err = rbx_ring_open(&ring, OWN_NAME, &options);
    if (err == 0)
        err = rbx_rx_open(&rx, ring);
    if (err == 0) {
        pid_t peer = start_sender();
        rbx_ring_info info;
        end.err = rbx_ring_describe(ring, &info);
        must(info.tx.state != RBX_END_DEAD, "who cannot be looked at is not called dead");
        int fd = descriptor(&end);
        if (fd >= 0)
            must(arm(&end) == 0, "an end that has nothing to do can be armed");
        kill_sender(peer);
        if (fd >= 0) {
            must(is_readable_within(fd, -1), "it turns readable");
            must(next_answer(&end, fd) == -EOWNERDEAD, "a death is told");
        }
        err = end.err;
    }
    rbx_rx_close(&rx);
    return first(err, rbx_ring_close(ring));
}

static int hear_by_uring(void)
{
    return has_uring() ? hear_of_death(RBX_POLL_BY_URING, RBX_SPSC) : NOT_HERE;
}

static int hear_by_thread(void)
{
    return hear_of_death(RBX_POLL_BY_THREAD, RBX_MPMC);
}

const struct act loop_acts[] = {
    {"a wait on many rings", wait_on_many},
    {"a wait on many rings, by naps", nap_on_many},
    {"descriptors by what there is", by_any},
    {"descriptors by io_uring", by_uring},
    {"descriptors by a thread", by_thread},
    {"descriptors by a thread that naps", by_napping_thread},
    {"a death that io_uring tells of", hear_by_uring},
    {"a death that a thread tells of", hear_by_thread},
};
const size_t loop_act_count = sizeof loop_acts / sizeof *loop_acts;
