/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "thread.h"

#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

int rbx_thread_only_core(void)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) < 0 || CPU_COUNT(&allowed) != 1)
        return -1; /* it fails where there are more processors than a cpu_set_t holds */
    int core = 0;
    while (!CPU_ISSET((size_t)core, &allowed))
        core++;
    return core;
}

void rbx_thread_yield(void)
{
    sched_yield();
}

int32_t rbx_thread_process(void)
{
    return (int32_t)getpid();
}

static bool membarrier(int command)
{
    return syscall(SYS_membarrier, command, 0, 0) == 0;
}

bool rbx_thread_accept_fences(void)
{
    return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) &&
           membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
}

/* Two calls: the private one leaves out no thread of this process, as the global one may. */
bool rbx_thread_fence_others(void)
{
    return membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) &&
           membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED);
}
