/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sync-acts.c: all of them. */
#include "sync.h"

extern const struct act cell_acts[], event_acts[], mutex_acts[], rwlock_acts[], rwlock_death_acts[],
    sem_acts[];

const struct act *const plays[] = {mutex_acts, rwlock_acts, rwlock_death_acts, event_acts, sem_acts,
                                   cell_acts,  NULL};
