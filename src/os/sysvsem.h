/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sysvsem.h: System V semaphore sets. A set that is gone is -EIDRM. */
#ifndef RBX_OS_SYSVSEM_H
#define RBX_OS_SYSVSEM_H

#include <stdbool.h>
#include <stdint.h>

#define RBX_SYSVSEM_VALUE_MAX 32767

/* A new set, whose values are 0: -EEXIST when there is one, -EINVAL for more members than may be.
 */
int rbx_sysvsem_create(int32_t key, uint32_t members, unsigned mode, int32_t *id);
int rbx_sysvsem_find(int32_t key, int32_t *id);
/* For its maker: gives all members a value, and then marks the set as used. */
int rbx_sysvsem_set_all(int32_t id, const uint16_t *values);

struct rbx_sysvsem_facts {
    uint32_t members;
    bool used; /* somebody has called semop since it was made */
};

int rbx_sysvsem_look(int32_t id, struct rbx_sysvsem_facts *facts);
int rbx_sysvsem_value(int32_t id, uint32_t member);

/*
 * Adds `by` to a member, or, when that is 0, waits until it is 0. With `undo` the kernel takes it
 * back when the process ends. Waits as long as the member has too few, until CLOCK_MONOTONIC is
 * `deadline_ns` (UINT64_MAX: for ever; 0: not at all): -EAGAIN. -EINTR: a signal handler ran;
 * -ERANGE: too large.
 */
int rbx_sysvsem_change(int32_t id, uint32_t member, int by, bool undo, uint64_t deadline_ns);
/* Adds both numbers in one step, and takes the first off what the kernel is to undo. */
int rbx_sysvsem_give(int32_t id, uint32_t member, int undo, int plain);
int rbx_sysvsem_remove(int32_t id);

#endif
