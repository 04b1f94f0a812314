/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * trace.c: a victim, and how it comes to stand before instruction k of its call.
 *
 * The first time it is stepped all the way, and what it passes is noted. Later ones run to a
 * breakpoint at the last instruction up to k that it reaches there for the first time, and are
 * stepped from there: inside of loops only.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash.h"

struct trace trace;

#if defined(__x86_64__)
#define MARK() __asm__ volatile("int3")
#define IP_AT offsetof(struct user_regs_struct, rip)
#else
#error "this harness knows the breakpoints of x86-64 only"
#endif

static uint64_t get_ip(pid_t pid)
{
    return (uint64_t)ptrace(PTRACE_PEEKUSER, pid, (void *)IP_AT, NULL);
}

/* --- The victim's own part --- */

static int open_end(struct victim *v, unsigned end)
{
    if (end == TX_END) {
        int err = rbx_tx_open(&v->tx, v->ring);
        atomic_store(&v->page->seat[0], err == 0 ? (int32_t)v->tx.seat : -1);
        return err;
    }
    int err = rbx_rx_open(&v->rx, v->ring);
    atomic_store(&v->page->seat[1], err == 0 ? (int32_t)v->rx.seat : -1);
    return err;
}

static _Noreturn void live(const struct world *w)
{
    static struct victim v; /* zeroed: closed endpoints */
    const struct scenario *s = w->scenario;
    v.page = w->page;
    v.size = message_size(w);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(2);
    if (rbx_ring_open(&v.ring, rbx_box_name(rbx_ring_box(w->ring)), NULL) < 0)
        _exit(3);
    if (s->end && !(s->flags & OPENS) && open_end(&v, s->end) < 0)
        _exit(4);
    if (s->begin)
        s->begin(&v);
    MARK();
    s->call(&v);
    atomic_store(&v.page->done, 1);
    MARK();
    rbx_tx_close(&v.tx);
    rbx_rx_close(&v.rx);
    _exit(rbx_ring_close(v.ring) == 0 ? 0 : 5);
}

/* --- Its tracer --- */

static bool wait_for_trap(struct world *w)
{
    int status = 0;
    while (waitpid(w->pid, &status, __WALL) < 0)
        if (errno != EINTR) {
            blame(w, "waitpid: %s", strerror(errno));
            return false;
        }
    if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP)
        return true;
    blame(w, "the victim should run on, and has wait status %#x", (unsigned)status);
    if (WIFEXITED(status) || WIFSIGNALED(status))
        w->pid = 0;
    return false;
}

bool victim_start(struct world *w)
{
    pid_t pid = fork();
    if (pid < 0) {
        blame(w, "fork: %s", strerror(errno));
        return false;
    }
    if (pid == 0)
        live(w);
    w->pid = pid;
    if (!wait_for_trap(w))
        return false;
    ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(uintptr_t)PTRACE_O_EXITKILL);
    if (atomic_load(&w->page->problem) != 0)
        blame(w, "the victim could not begin: calls.c:%d, %d", (int)w->page->problem,
              (int)w->page->answer);
    return !w->failed;
}

static bool step(struct world *w)
{
    if (ptrace(PTRACE_SINGLESTEP, w->pid, NULL, NULL) < 0) {
        blame(w, "PTRACE_SINGLESTEP: %s", strerror(errno));
        return false;
    }
    return wait_for_trap(w);
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

bool victim_record(struct world *w)
{
    static char before[65536];
    size_t size;
    const void *memory = world_memory(w, &size);
    if (size > sizeof before) {
        blame(w, "a ring of %zu bytes is too large for this harness", size);
        return false;
    }
    memcpy(before, memory, size);
    is_new(0, true);
    trace.count = 0;
    for (uint32_t i = 0; i < STEPS_MAX; i++) {
        uint64_t ip = get_ip(w->pid);
        bool calls = is_system_call(w->pid, ip);
        if (!step(w))
            return false;
        bool writes = memcmp(before, memory, size) != 0;
        if (writes)
            memcpy(before, memory, size);
        trace.ip[i] = ip;
        trace.first[i] = is_new(ip, false);
        trace.effect[i] = calls || writes;
        trace.count = i + 1;
        if (atomic_load(&w->page->done))
            return true;
    }
    blame(w, "the call takes more than %d instructions", (int)STEPS_MAX);
    return false;
}

/* Not in the kernel's own page, which cannot be written. */
static bool may_break_at(uint32_t i)
{
    const uint64_t most = 65536;
    return trace.first[i] && trace.ip[i] - getauxval(AT_SYSINFO_EHDR) >= most;
}

/* False: it was not reached. */
static bool run_to_breakpoint(struct world *w, uint32_t i)
{
    void *at = (void *)trace.ip[i];
    long code = ptrace(PTRACE_PEEKTEXT, w->pid, at, NULL);
    ptrace(PTRACE_POKETEXT, w->pid, at, (void *)((code & ~0xffL) | 0xcc));
    ptrace(PTRACE_CONT, w->pid, NULL, NULL);
    if (!wait_for_trap(w))
        return false;
    ptrace(PTRACE_POKETEXT, w->pid, at, (void *)code);
    if (get_ip(w->pid) != trace.ip[i] + 1)
        return false;
    ptrace(PTRACE_POKEUSER, w->pid, (void *)IP_AT, at);
    return true;
}

bool victim_run_to(struct world *w, long at)
{
    uint32_t i = at < (long)trace.count ? (uint32_t)at : trace.count;
    while (i > 0 && (i == trace.count || !may_break_at(i)))
        i--;
    if (i > 0 && !run_to_breakpoint(w, i))
        return !w->failed; /* it went another way this time, and has returned */
    for (; i < at && !atomic_load(&w->page->done); i++)
        if (!step(w))
            return false;
    return true;
}

void victim_kill(struct world *w)
{
    int status = 0;
    pid_t pid = w->pid;
    if (pid == 0)
        return;
    w->pid = 0;
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status))
        ;
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        blame(w, "the victim was killed, and has wait status %#x", (unsigned)status);
}

bool victim_finish(struct world *w)
{
    if (!atomic_load(&w->page->done)) {
        ptrace(PTRACE_CONT, w->pid, NULL, NULL);
        if (!wait_for_trap(w))
            return false;
    }
    if (!atomic_load(&w->page->done)) {
        blame(w, "the victim trapped inside its call");
        return false;
    }
    return true;
}

void victim_leave(struct world *w)
{
    int status = 0;
    pid_t pid = w->pid;
    w->pid = 0;
    atomic_store(&w->page->seat[0], -1);
    atomic_store(&w->page->seat[1], -1);
    /* It stands before its second mark, or behind it. */
    ptrace(PTRACE_CONT, pid, NULL, NULL);
    while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status))
        ptrace(PTRACE_CONT, pid, NULL, NULL);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        blame(w, "the victim should close its endpoints and exit, and has wait status %#x",
              (unsigned)status);
}

bool ptrace_works(void)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0)
            MARK();
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

/* As addr2line wants it. */
void print_place(char *text, size_t size, long at)
{
    extern const char __executable_start[];
    if (at >= 0 && at < (long)trace.count)
        snprintf(text, size, "0x%llx",
                 (unsigned long long)(trace.ip[at] - (uint64_t)(uintptr_t)__executable_start));
    else
        snprintf(text, size, "the end");
}
