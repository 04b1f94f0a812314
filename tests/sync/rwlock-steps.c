/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * rwlock-steps: kills, and stops and continues, a process after each instruction of each call on a
 * read-write lock, and looks what the others then have.
 *
 * A system call is one instruction. Prints TAP.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ringbox/ringbox.h>

static char name[64];
static rbx_rwlock *lock, *other;   /* the observer's */
static volatile uint64_t *value;   /* what is protected: two words */
static unsigned tests, complaints; /* of the present test */

static void complain(const char *what, unsigned step, int answer)
{
    if (complaints++ < 5)
        printf("# after %u steps: %s: %d (%s)\n", step, what, answer, rbx_last_error());
}

/* ---- what the victim does -------------------------------------------------------------------- */

enum part { PREPARES, CALLS };

static rbx_rwlock *own;

static int open_own(void)
{
    return rbx_rwlock_open(&own, name, NULL);
}

static int reads(enum part part)
{
    return part == PREPARES ? open_own() : rbx_rwlock_read(own);
}

static int writes(enum part part)
{
    return part == PREPARES ? open_own() : rbx_rwlock_write(own);
}

static int tries_to_write(enum part part)
{
    return part == PREPARES ? open_own() : rbx_rwlock_try_write(own);
}

static int ends_reading(enum part part)
{
    if (part == CALLS)
        return rbx_rwlock_unlock(own);
    int err = open_own();
    return err < 0 ? err : rbx_rwlock_read(own);
}

static int ends_writing(enum part part)
{
    if (part == PREPARES) {
        int err = open_own();
        return err < 0 ? err : rbx_rwlock_write(own);
    }
    value[0]++;
    value[1]++;
    return rbx_rwlock_unlock(own);
}

static int opens(enum part part)
{
    return part == PREPARES ? 0 : open_own();
}

static int closes(enum part part)
{
    return part == PREPARES ? open_own() : rbx_rwlock_close(own);
}

/* Some may be told of its death: those whose call changes what is protected. */
static const struct {
    const char *name;
    int (*body)(enum part part);
    bool may_break;
    unsigned at_a_time; /* steps from one experiment to the next: those with files take many */
    bool waits;         /* a reader waits for what the victim holds */
} calls[] = {
    {"read", reads, false, 1, false},
    {"write", writes, true, 1, false},
    {"try_write", tries_to_write, true, 1, false},
    {"unlock by a reader", ends_reading, false, 1, false},
    {"unlock by a writer", ends_writing, true, 1, false},
    {"unlock by a writer for whom a reader waits", ends_writing, true, 3, true},
    {"open", opens, false, 101, false},
    {"close", closes, false, 31, false},
};

static void trap(void)
{
    raise(SIGTRAP);
}

static pid_t begets(int (*body)(enum part part))
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 || body(PREPARES) < 0)
            _exit(2);
        trap();
        int err = body(CALLS);
        trap();
        _exit(err < 0);
    }
    return pid;
}

/* ---- what the observer sees ------------------------------------------------------------------ */

static bool stopped_by(pid_t pid, int signal)
{
    int status;
    return waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == signal;
}

/* Another signal than a step's own: raise() is but a system call, and stops it after its return. */
static bool is_at_end(pid_t pid)
{
    siginfo_t info;
    return ptrace(PTRACE_GETSIGINFO, pid, NULL, &info) == 0 && info.si_code == SI_TKILL;
}

/* The lock is to be had, by writers and by readers; and it says rightly whether it is broken. */
static void look_after_death(bool may_break, unsigned step)
{
    int err = rbx_rwlock_write_for(lock, 40 * RBX_SLICE_NS);
    if (err == -EOWNERDEAD && may_break) {
        value[1] = value[0];
        err = rbx_rwlock_consistent(lock);
    } else if (err < 0) {
        complain("it is not to be had", step, err);
        return;
    }
    if (value[0] != value[1])
        complain("nobody was told of what is half done", step, 0);
    if (err < 0 || rbx_rwlock_unlock(lock) < 0)
        complain("it cannot be unlocked", step, err);
    err = rbx_rwlock_read_for(lock, 40 * RBX_SLICE_NS);
    int second = rbx_rwlock_read_for(other, 40 * RBX_SLICE_NS);
    if (err < 0 || second < 0)
        complain("readers are kept out", step, err ? err : second);
    else if (rbx_rwlock_unlock(lock) < 0 || rbx_rwlock_unlock(other) < 0)
        complain("readers cannot unlock", step, 0);
}

/* One that is stopped lives: nobody takes anything from it. */
static void look_while_stopped(pid_t pid, unsigned step)
{
    int (*const tries[])(rbx_rwlock *) = {rbx_rwlock_try_write, rbx_rwlock_try_read};
    for (int i = 0; i < 2; i++) {
        int err = tries[i](lock);
        if (err == 0 ? rbx_rwlock_unlock(lock) < 0 : err != -EBUSY)
            complain("one that is stopped was taken for dead", step, err);
    }
    int status;
    ptrace(PTRACE_CONT, pid, NULL, NULL);
    if (!stopped_by(pid, SIGTRAP))
        complain("it did not go on", step, 0);
    ptrace(PTRACE_CONT, pid, NULL, NULL);
    if (waitpid(pid, &status, 0) != pid || status != 0)
        complain("its call failed", step, status);
}

static pid_t begets_waiter(void)
{
    rbx_rwlock_info info = {0};
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (open_own() < 0)
            _exit(2);
        int err = rbx_rwlock_read(own);
        bool is_half_done = value[0] != value[1] && err == 0;
        _exit(is_half_done || (err < 0 && err != -EOWNERDEAD) || rbx_rwlock_unlock(own) < 0);
    }
    while (rbx_rwlock_describe(lock, &info) == 0 && info.waiting_readers == 0)
        usleep(100);
    return pid;
}

/* Does it after so many steps. False: the call has no more. */
static bool experiment(size_t which, bool kills, unsigned step)
{
    pid_t pid = begets(calls[which].body);
    bool goes_on = stopped_by(pid, SIGTRAP);
    pid_t waiter = calls[which].waits ? begets_waiter() : 0;
    for (unsigned i = 0; i < step && goes_on; i++) {
        ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL);
        goes_on = stopped_by(pid, SIGTRAP) && !is_at_end(pid);
    }
    if (goes_on && !kills) {
        look_while_stopped(pid, step);
    } else {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    look_after_death(calls[which].may_break, step);
    int status = 0;
    if (waiter && (waitpid(waiter, &status, 0) != waiter || status != 0))
        complain("the reader that waited did not get it", step, status);
    return goes_on;
}

int main(void)
{
    snprintf(name, sizeof name, "t.%d.steps", (int)getpid());
    value = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (value == MAP_FAILED || rbx_rwlock_open(&lock, name, NULL) < 0 ||
        rbx_rwlock_open(&other, name, NULL) < 0) {
        printf("Bail out! %s\n", rbx_last_error());
        return 1;
    }
    unsigned failures = 0;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        for (int kills = 0; kills < 2; kills++) {
            unsigned step = 1;
            complaints = 0;
            while (experiment(i, kills, step) && complaints < 5)
                step += calls[i].at_a_time;
            printf("%s %u - %s after each %u of %u steps of %s\n", complaints ? "not ok" : "ok",
                   ++tests, kills ? "killed" : "stopped", calls[i].at_a_time, step, calls[i].name);
            fflush(stdout);
            failures += complaints > 0;
        }
    printf("1..%u\n", tests);
    if (rbx_rwlock_close(lock) < 0 || rbx_rwlock_close(other) < 0)
        failures++;
    return failures > 0;
}
