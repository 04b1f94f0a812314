/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* aim.c: steps a participant into the call that it makes next, and some instructions on, to be
   killed there: else most deaths would come between calls. */
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "soak.h"

/* On a busy machine a step takes long; meanwhile nothing else is decided. */
enum { AIM_NS = 100000000, PATIENCE_NS = 5000000 };

static bool is_in_call(const struct slot *slot)
{
    const char *doing = atomic_load(&slot->doing);
    return doing && strcmp(doing, "nothing") != 0;
}

static bool is_at(const struct slot *slot, enum aim aim)
{
    const char *doing = atomic_load(&slot->doing);
    uint64_t first;
    memcpy(&first, slot->buffer, sizeof first);
    switch (aim) {
    case AT_MESSAGE:
        return atomic_load(&slot->word) >> 32 == CALLING && first != 0;
    case AT_HOLD:
        return doing && strncmp(doing, "has ", 4) == 0;
    default:
        return is_in_call(slot);
    }
}

/* Whether it has stopped once more; else it sleeps in the kernel, or is dead. */
static bool step(pid_t pid, int *status)
{
    pid_t stopped;
    if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0)
        return false;
    for (uint64_t until = now() + PATIENCE_NS;
         (stopped = waitpid(pid, status, __WALL | WNOHANG)) == 0 && now() < until;)
        ;
    return stopped == pid && WIFSTOPPED(*status);
}

bool step_inside(pid_t pid, const struct slot *slot, uint32_t inside, enum aim aim)
{
    int status;
    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
        return false;
    for (uint64_t until = now() + PATIENCE_NS; !is_at(slot, aim) && now() < until;)
        ;
    if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0 || waitpid(pid, &status, __WALL) != pid)
        return false;
    bool stands = WIFSTOPPED(status);
    for (uint64_t until = now() + AIM_NS; stands && now() < until;) {
        if (is_at(slot, aim) && inside-- == 0)
            return true;
        stands = step(pid, &status);
    }
    return is_in_call(slot);
}
