/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <ringbox/poll.h>

#include <errno.h>
#include <stdlib.h>

#include "error.h"
#include "os/alarm.h"
#include "os/clock.h"
#include "os/eventfd.h"
#include "os/pollset.h"
#include "ring/arm.h"
#include "ring/peers.h"
#include "ring/poll.h"
#include "wait.h"

/*
 * `set`, the descriptor that is handed out, holds the flag of an alarm that the kernel sets when
 * the end's bell is rung, and a descriptor of each peer's process, readable when that has ended.
 */
struct rbx_poll {
    struct rbx_armed armed;
    struct rbx_fd set;
    struct rbx_alarm alarm;
    struct rbx_peers peers;
    bool is_readable; /* the flag is set, as far as is known */
    bool is_armed;
    uint64_t announced; /* when the bell began to say what armed.value is */
};

/* --- Making it --- */

static int inherited(const struct rbx_poll *poll)
{
    return rbx_fail(-EBADF,
                    "this endpoint of ring '%s' was inherited through fork(), and its descriptor "
                    "is closed: the child opens its own",
                    rbx_ring_name(poll->armed.end.ring));
}

static int open_parts(struct rbx_poll *poll, enum rbx_alarm_by by)
{
    int err = rbx_pollset_open(&poll->set);
    if (err == 0)
        err = rbx_alarm_open(&poll->alarm, by);
    if (err == 0)
        err = rbx_pollset_add(&poll->set, poll->alarm.flag.fd, NULL);
    if (err == 0)
        err = rbx_peers_open(&poll->peers, poll->armed.end, &poll->set);
    return err;
}

static int make(struct rbx_poll **out, const struct rbx_armed *armed, rbx_poll_by by)
{
    if ((unsigned)by > RBX_POLL_BY_THREAD)
        return rbx_fail(-EINVAL, "there is no way to poll number %d", (int)by);
    struct rbx_poll *poll = malloc(sizeof *poll);
    if (!poll)
        return rbx_fail(-ENOMEM, "cannot allocate what a descriptor needs: %m");
    *poll =
        (struct rbx_poll){.armed = *armed, .set = RBX_FD_CLOSED, .alarm = {.flag = RBX_FD_CLOSED}};
    int err = open_parts(poll, (enum rbx_alarm_by)by);
    if (err < 0) {
        rbx_poll_end(poll);
        return rbx_fail(err, "cannot make a descriptor for ring '%s': %m",
                        rbx_ring_name(armed->end.ring));
    }
    *out = poll;
    return 0;
}

/* The endpoint's, made if there is none yet. */
static int descriptor(struct rbx_poll **poll, const struct rbx_armed *armed, rbx_poll_by by)
{
    int err = *poll ? 0 : make(poll, armed, by);
    if (err < 0)
        return err;
    if (!rbx_fd_is_open(&(*poll)->set))
        return inherited(*poll);
    if (by != RBX_POLL_BY_ANY && by != (rbx_poll_by)(*poll)->alarm.by)
        return rbx_fail(-EBUSY, "this descriptor of ring '%s' was made already, in another way",
                        rbx_ring_name((*poll)->armed.end.ring));
    return (*poll)->set.fd;
}

void rbx_poll_end(struct rbx_poll *poll)
{
    if (!poll)
        return;
    if (rbx_fd_is_open(&poll->set) && poll->is_armed) {
        poll->armed.patience->polled = 0;
        rbx_arm_disarm(&poll->armed);
    }
    rbx_fd_give_away(&poll->set);
    rbx_peers_close(&poll->peers);
    rbx_alarm_close(&poll->alarm);
    free(poll);
}

/* --- Arming it --- */

/* There is something to do: who polls all the same is told, too. */
static int ready(struct rbx_poll *poll)
{
    int err = poll->is_readable ? 0 : rbx_eventfd_set(poll->alarm.flag.fd);
    if (err < 0)
        return rbx_fail(err, "cannot make the descriptor of ring '%s' readable: %m",
                        rbx_ring_name(poll->armed.end.ring));
    poll->is_readable = true;
    return 1;
}

/*
 * Somebody may have died, whom this end may be waiting for. Where that cannot be told by a
 * descriptor, or is not settled yet, it is looked for by and by; likewise where one that has
 * stopped in the middle of a call may be passed in a strict ring. What was in doubt, and is so no
 * more, somebody else may have settled since this end has asked: so it asks once more. Whether the
 * end is ready now.
 */
static bool mind_the_dead(struct rbx_poll *poll, uint64_t now, uint64_t *deadline)
{
    struct rbx_armed *armed = &poll->armed;
    if (rbx_peers_look(&poll->peers))
        armed->due = now;
    bool was_in_doubt = armed->due != 0;
    bool is_ready = was_in_doubt && armed->due <= now && rbx_arm_mind(armed);
    bool is_in_doubt =
        (armed->outlook.stuck && armed->outlook.strict) || rbx_peers_are_doubtful(&poll->peers);
    if (was_in_doubt && !is_in_doubt && !is_ready)
        is_ready = rbx_arm_mind(armed);
    if (is_ready)
        armed->due = now; /* perhaps for another reason: then it is still to be asked */
    else if (is_in_doubt)
        *deadline = rbx_arm_due(armed, now);
    return is_ready;
}

/*
 * The fence may leave out a publisher in another process (src/os/thread.h), and there is none where
 * publishers fence by themselves, of which one may have published before it could know. What that
 * one had in its store buffer when the bell began to say ASLEEP is visible a millisecond later, and
 * a look then is as good as the fence. So there is one such look: as long as the bell says the
 * same, there is no second one.
 */
static void look_once_more(struct rbx_poll *poll, bool was_armed, uint32_t before, uint64_t now,
                           uint64_t *deadline)
{
    if (!was_armed || poll->armed.value != before)
        poll->announced = now;
    const uint32_t publisher_fences = RBX_BELL_PUBLISHER_FENCES | RBX_BELL_SLEEPER_BARE;
    bool is_certain = poll->armed.in_process && !(poll->armed.value & publisher_fences);
    uint64_t until = poll->announced + RBX_FIRST_SLEEP_NS;
    if (!is_certain && now < until && until < *deadline)
        *deadline = until;
}

/* Nothing is there, and the bell will be rung when something is. */
static int wait_for_bell(struct rbx_poll *poll, uint64_t deadline)
{
    struct rbx_armed *armed = &poll->armed;
    int err = rbx_alarm_set(&poll->alarm, armed->word, armed->value, armed->in_process, deadline);
    if (err < 0) {
        rbx_arm_disarm(armed);
        return rbx_fail(err, "cannot wait for ring '%s': %m", rbx_ring_name(armed->end.ring));
    }
    poll->is_armed = true;
    armed->patience->polled = 1;
    return 0;
}

static int arm(struct rbx_poll *poll)
{
    enum { LOOKS = 4 };
    struct rbx_armed *armed = &poll->armed;
    bool was_armed = poll->is_armed;
    uint32_t before = armed->value;
    if (rbx_arm_is_ready(armed))
        return ready(poll);
    poll->is_armed = poll->is_readable = false;
    armed->patience->polled = 0;
    rbx_alarm_take(&poll->alarm);
    /* Even if it was the flag: for who waits for edges, both are one. */
    rbx_peers_hear(&poll->peers);
    for (int looks = 0; looks < LOOKS; looks++) {
        uint64_t deadline = UINT64_MAX;
        if (rbx_arm(armed)) {
            uint64_t now = rbx_clock_monotonic();
            if (!mind_the_dead(poll, now, &deadline)) {
                look_once_more(poll, was_armed, before, now, &deadline);
                return wait_for_bell(poll, deadline);
            }
            rbx_arm_disarm(armed);
        }
        was_armed = false;
        if (rbx_arm_is_ready(armed))
            break;
    }
    return ready(poll);
}

/* --- Both ends --- */

int rbx_rx_fd_by(rbx_rx *rx, rbx_poll_by by)
{
    struct rbx_armed armed;
    int err = rx->poll ? 0 : rbx_arm_rx(&armed, rx);
    return err < 0 ? err : descriptor(&rx->poll, &armed, by);
}

int rbx_tx_fd_by(rbx_tx *tx, rbx_poll_by by)
{
    struct rbx_armed armed;
    int err = tx->poll ? 0 : rbx_arm_tx(&armed, tx);
    return err < 0 ? err : descriptor(&tx->poll, &armed, by);
}

int rbx_rx_fd(rbx_rx *rx)
{
    return rbx_rx_fd_by(rx, RBX_POLL_BY_ANY);
}

int rbx_tx_fd(rbx_tx *tx)
{
    return rbx_tx_fd_by(tx, RBX_POLL_BY_ANY);
}

int rbx_rx_arm(rbx_rx *rx)
{
    int fd = rbx_rx_fd(rx);
    if (fd < 0)
        return fd;
    return rx->hold == RBX_HOLD_PLACE ? rbx_rx_refuse(rx) : arm(rx->poll);
}

int rbx_tx_arm(rbx_tx *tx)
{
    int fd = rbx_tx_fd(tx);
    if (fd < 0)
        return fd;
    return tx->hold == RBX_HOLD_PLACE ? rbx_tx_refuse(tx) : arm(tx->poll);
}
