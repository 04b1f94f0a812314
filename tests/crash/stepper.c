/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * stepper.c: how a process comes to stand before instruction k of its call.
 *
 * The first time it is stepped all the way, and what it passes is noted. Later ones run to a
 * breakpoint at the last instruction up to k that it reaches there for the first time, and are
 * stepped from there: inside of loops only.
 */
#include "stepper.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

struct trace trace;

#define IP_AT offsetof(struct user_regs_struct, rip)

__attribute__((format(printf, 2, 3))) static bool fails(struct stepped *of, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(of->failure, sizeof of->failure, format, args);
    va_end(args);
    return false;
}

static uint64_t get_ip(pid_t pid)
{
    return (uint64_t)ptrace(PTRACE_PEEKUSER, pid, (void *)IP_AT, NULL);
}

static bool is_done(const struct stepped *of)
{
    return atomic_load(of->done);
}

bool stepper_accept(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
}

static bool wait_for_trap(struct stepped *of)
{
    int status = 0;
    while (waitpid(of->pid, &status, __WALL) < 0)
        if (errno != EINTR)
            return fails(of, "waitpid: %s", strerror(errno));
    if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP)
        return true;
    if (WIFEXITED(status) || WIFSIGNALED(status))
        of->pid = 0;
    return fails(of, "the victim should run on, and has wait status %#x", (unsigned)status);
}

bool stepper_take(struct stepped *of)
{
    if (!wait_for_trap(of))
        return false;
    ptrace(PTRACE_SETOPTIONS, of->pid, NULL, (void *)(uintptr_t)PTRACE_O_EXITKILL);
    return true;
}

static bool step(struct stepped *of)
{
    if (ptrace(PTRACE_SINGLESTEP, of->pid, NULL, NULL) < 0)
        return fails(of, "PTRACE_SINGLESTEP: %s", strerror(errno));
    return wait_for_trap(of);
}

/* Addresses that were passed before, as a hash table with open addressing. */
static bool is_new(uint64_t ip, bool forget)
{
    enum { SIZE = 1 << 17 };
    static uint64_t seen[SIZE];
    if (forget) {
        memset(seen, 0, sizeof seen);
        return false;
    }
    size_t i = (ip * 0x9e3779b97f4a7c15U) >> 47;
    for (; seen[i] != 0; i = (i + 1) % SIZE)
        if (seen[i] == ip)
            return false;
    seen[i] = ip;
    return true;
}

static bool is_system_call(pid_t pid, uint64_t ip)
{
    long code = ptrace(PTRACE_PEEKTEXT, pid, (void *)ip, NULL);
    return (code & 0xffff) == 0x050f;
}

bool stepper_record(struct stepped *of, const void *watched, size_t size)
{
    static char before[65536];
    if (size > sizeof before)
        return fails(of, "%zu bytes are too many for this harness", size);
    memcpy(before, watched, size);
    is_new(0, true);
    trace.count = 0;
    for (uint32_t i = 0; i < STEPS_MAX; i++) {
        uint64_t ip = get_ip(of->pid);
        bool calls = is_system_call(of->pid, ip);
        if (!step(of))
            return false;
        bool writes = memcmp(before, watched, size) != 0;
        if (writes)
            memcpy(before, watched, size);
        trace.ip[i] = ip;
        trace.first[i] = is_new(ip, false);
        trace.effect[i] = calls || writes;
        trace.count = i + 1;
        if (is_done(of))
            return true;
    }
    return fails(of, "the call takes more than %d instructions", (int)STEPS_MAX);
}

/* Not in the kernel's own page, which cannot be written. */
static bool may_break_at(uint32_t i)
{
    const uint64_t most = 65536;
    return trace.first[i] && trace.ip[i] - getauxval(AT_SYSINFO_EHDR) >= most;
}

/* False: it was not reached. */
static bool run_to_breakpoint(struct stepped *of, uint32_t i)
{
    void *at = (void *)trace.ip[i];
    long code = ptrace(PTRACE_PEEKTEXT, of->pid, at, NULL);
    ptrace(PTRACE_POKETEXT, of->pid, at, (void *)((code & ~0xffL) | 0xcc));
    ptrace(PTRACE_CONT, of->pid, NULL, NULL);
    if (!wait_for_trap(of))
        return false;
    ptrace(PTRACE_POKETEXT, of->pid, at, (void *)code);
    if (get_ip(of->pid) != trace.ip[i] + 1)
        return false;
    ptrace(PTRACE_POKEUSER, of->pid, (void *)IP_AT, at);
    return true;
}

bool stepper_run_to(struct stepped *of, long at)
{
    of->failure[0] = '\0';
    uint32_t i = at < (long)trace.count ? (uint32_t)at : trace.count;
    while (i > 0 && (i == trace.count || !may_break_at(i)))
        i--;
    if (i > 0 && !run_to_breakpoint(of, i))
        return !of->failure[0]; /* it went another way this time, and has returned */
    for (; i < at && !is_done(of); i++)
        if (!step(of))
            return false;
    return true;
}

bool stepper_finish(struct stepped *of)
{
    if (!is_done(of)) {
        ptrace(PTRACE_CONT, of->pid, NULL, NULL);
        if (!wait_for_trap(of))
            return false;
    }
    return is_done(of) || fails(of, "the victim trapped inside its call");
}

bool stepper_kill(struct stepped *of)
{
    int status = 0;
    pid_t pid = of->pid;
    if (pid == 0)
        return true;
    of->pid = 0;
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status))
        ;
    return (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
           fails(of, "the victim was killed, and has wait status %#x", (unsigned)status);
}

bool stepper_let_exit(struct stepped *of)
{
    int status = 0;
    pid_t pid = of->pid;
    of->pid = 0;
    /* It stands before its second mark, or behind it. */
    ptrace(PTRACE_CONT, pid, NULL, NULL);
    while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status))
        ptrace(PTRACE_CONT, pid, NULL, NULL);
    return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
           fails(of, "the victim should come to its end, and has wait status %#x",
                 (unsigned)status);
}

bool ptrace_works(void)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        if (stepper_accept())
            STEPPER_MARK();
        _exit(1);
    }
    if (pid < 0 || waitpid(pid, &status, __WALL) != pid)
        return false;
    bool works = WIFSTOPPED(status) && ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0 &&
                 waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status);
    if (WIFSTOPPED(status)) {
        kill(pid, SIGKILL);
        waitpid(pid, &status, __WALL);
    }
    return works;
}
