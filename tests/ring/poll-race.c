/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* poll-race.c: what happens while an end asks who has died. The linker wraps the question. */
#include "ring/arm.h"

#include "polled.h"

TestSuite(poll_race, .timeout = 60);

static const uint64_t one = 1;
static rbx_tx other;
static bool is_awaited;

bool __real_rbx_arm_mind(struct rbx_armed *armed);
bool __wrap_rbx_arm_mind(struct rbx_armed *armed);
bool __wrap_rbx_arm_mind(struct rbx_armed *armed)
{
    if (is_awaited) {
        is_awaited = false;
        succeeds(rbx_try_send(&other, &one));
        rbx_tx_close(&other);
    }
    return __real_rbx_arm_mind(armed);
}

static int opens_sender(void *arg)
{
    const struct life *life = arg;
    static rbx_ring *ring;
    static rbx_tx tx;
    const rbx_ring_options options = options_of(life->kind);
    int err = rbx_ring_open(&ring, life->name, &options);
    return err == 0 ? rbx_tx_open(&tx, ring) : err;
}

/* Then the end is ready for that reason, and the death is still to be told. */
Test(poll_race, a_message_that_comes_as_a_death_is_asked_for_does_not_keep_it_from_being_told)
{
    for_each_kind_and_way(kind, by)
    {
        struct life life = {.name = own_name("ring"), .kind = kind};
        uint64_t message;
        rbx_rx rx;
        int err, messages = 0;
        if (kind->kind == RBX_SPSC) /* which has no other sender */
            continue;
        rbx_ring *ring = ring_of(&life);
        succeeds(rbx_rx_open(&rx, ring));
        succeeds(rbx_tx_open(&other, ring));
        int fd = rbx_rx_fd_by(&rx, by);
        struct child sender = start(opens_sender, &life);
        cr_assert_eq(drain_and_arm(&rx), -EAGAIN);
        murder(&sender);
        is_awaited = true;
        do {
            err = rbx_try_recv(&rx, &message);
            messages += err == 0;
            if (err == -EAGAIN && rbx_rx_arm(&rx) == 0)
                cr_assert(is_readable_within(fd, -1));
        } while (err == 0 || err == -EAGAIN);
        cr_assert_eq(err, -EOWNERDEAD, "%s", kind->noun);
        cr_assert_eq(messages, 1);
        cr_assert_not(is_awaited);
        rbx_rx_close(&rx);
        rbx_ring_close(ring);
    }
}
