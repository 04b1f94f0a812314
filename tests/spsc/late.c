/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A message that is committed as the ring is shut down, and a batch that takes it as the ring ends.
 * The linker wraps two functions of the library, which hold each thread where it hurts: the sender
 * between publishing and saying LATE, the receiver between setting ENDED and returning.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "pair.h"

TestSuite(late, .timeout = 20);

static atomic_bool armed, published, ended, answered;
static _Thread_local bool is_sender;
static struct pair pair;
static int answer = 1;

void __wrap_rbx_futex_wake(const void *word, bool in_process);
void __wrap_rbx_futex_wake(const void *word, bool in_process)
{
    (void)word, (void)in_process;
    if (armed && is_sender) { /* it has published, and not yet said LATE */
        published = true;
        while (!ended)
            ;
    }
}

int __wrap_rbx_fail(int err, const char *sentence, ...);
int __wrap_rbx_fail(int err, const char *sentence, ...)
{
    (void)sentence;
    if (armed && !is_sender && err == -EPIPE) { /* ENDED is set; recv_n has not returned */
        ended = true;
        while (!answered)
            ;
    }
    return err;
}

static void *commit(void *arg)
{
    is_sender = true;
    answer = rbx_commit(&pair.tx);
    answered = true;
    return arg;
}

Test(late, what_recv_n_received_as_the_ring_ended_was_sent)
{
    void *place;
    uint64_t number = 42, got[5];
    pthread_t sender;
    pair_open(&pair, 8, 14);
    cr_assert_eq(rbx_try_claim(&pair.tx, &place), 0);
    memcpy(place, &number, 8);
    succeeds(rbx_ring_shutdown(pair.ring));
    rbx_or_seq_cst(&pair.spsc->message.bits, RBX_BELL_ASLEEP); /* as if it had just gone to sleep */
    armed = true;
    pthread_create(&sender, NULL, commit, NULL);
    while (!published)
        ;
    ptrdiff_t n = rbx_try_recv_n(&pair.rx, got, 5);
    cr_assert_eq(n, 1);
    cr_assert_eq(rbx_try_recv_n(&pair.rx, got, 5), -EPIPE);
    pthread_join(sender, NULL);
    cr_assert_eq(answer, 0, "commit answered %d, and recv_n received %td", answer, n);
}
