/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* process.h: who a process is, for people and for one doubt (see rbx_process_is_gone). */
#ifndef RBX_OS_PROCESS_H
#define RBX_OS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fd.h"

struct rbx_process {
    int32_t pid;
    uint64_t start;         /* in clock ticks since boot; 0: unknown */
    uint64_t pid_namespace; /* 0: unknown */
};

struct rbx_process rbx_process_self(void);

/*
 * True only when it is certain: the pid is free, or belongs to a zombie or to a process that
 * started at another time. A process of another PID namespace, or one that /proc hides, is not
 * gone for all we know.
 */
bool rbx_process_is_gone(const struct rbx_process *process);

/*
 * A descriptor that turns readable (to poll) when the process ends, and not before the kernel has
 * dropped its locks: 0, -ESRCH (it is gone), or -ENOTSUP: it cannot be told here.
 */
int rbx_process_watch(struct rbx_fd *f, const struct rbx_process *process);

/* Which System V keys and ids this process sees; 0: unknown. */
uint64_t rbx_process_ipc_namespace(void);

unsigned rbx_process_user(void);
int rbx_random(void *bytes, size_t size);

#endif
