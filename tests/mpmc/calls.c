/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What each call answers, on a ring of many in memory. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "many.h"

SUITES(calls, 60);

/* ring.h: 'full' means that `capacity` messages are truly waiting, or are in somebody's hands. */
EACH(calls, places_that_were_given_up_do_not_make_a_ring_full)
{
    for (size_t capacity = 1; capacity <= 16; capacity *= 2)
        for (size_t aborts = 1; aborts <= 2 * capacity; aborts++) {
            struct pair pair;
            void *place;
            pair_of(&pair, v, 8, capacity);
            for (size_t i = 0; i < aborts; i++) {
                cr_assert_eq(rbx_try_claim(&pair.tx, &place), 0, "%zu of %zu", i, capacity);
                cr_assert_eq(rbx_abort(&pair.tx), 0);
            }
            cr_assert_eq(fill(&pair.tx), capacity, "%zu aborts", aborts);
            recv_numbers(&pair.rx, 0, capacity);
            check_empty(&pair.rx);
            pair_close(&pair);
        }
}
