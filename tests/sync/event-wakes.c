/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * event-wakes [ROUNDS]
 *
 * A hunt for lost wake-ups of events. One sets an event for which one or some others wait, and
 * whoever gets through sets another event, for which the first waits: so there is one set at a
 * time. Nobody spins, and all pause for so long as it takes to set, to wake and to fall asleep.
 *
 * When a wake-up is lost is exact, and no matter of how busy the machine is. After a set its setter
 * notes the event's word, and how many the kernel has woken for it (the linker wraps the system
 * call). If a sleep on the event ends by time-out, and the note is older than that, and the word is
 * as it was noted, set: then nobody got through since, and the sleeper slept on. If nobody was
 * woken either, its wake-up was lost.
 */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "event/handle.h"

#if defined(__SANITIZE_THREAD__)
#define THREADS_ONLY 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREADS_ONLY 1
#endif
#endif
#ifndef THREADS_ONLY
#define THREADS_ONLY 0
#endif

enum { EVENTS = 2, PEOPLE_MAX = 4, WATCHDOG_S = 120 };
enum which { THERE, BACK };

/* The last set of an event. */
struct note {
    _Atomic uint32_t bits;
    _Atomic uint32_t woken;
    _Atomic uint64_t at; /* written last, 0 first */
};

/* Shared by all. */
static struct state {
    _Atomic uint32_t failures, through, over, away;
    _Atomic uint64_t sleeps, late; /* those that ended by time-out */
    struct note notes[EVENTS];
    char first_failure[256];
} * state;

enum who { THREADS, THREADS_BY_NAME, PROCESSES, WHO };
static const char *const who_noun[WHO] = {"threads", "threads by name", "processes"};
static struct mode {
    enum who who;
    unsigned waiters;
    uint32_t rounds;
} mode;
static rbx_event *made[EVENTS];
static char names[EVENTS][64];
static volatile pid_t pids[PEOPLE_MAX];

/* One for each thread. */
struct person {
    rbx_event *events[EVENTS];
    uint32_t woken; /* by the last set */
    uint64_t random_state;
};
static _Thread_local struct person *me;

static uint32_t draw(uint32_t below)
{
    me->random_state = me->random_state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)((me->random_state >> 33) % below);
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

__attribute__((format(printf, 1, 2))) static void fail(const char *format, ...)
{
    if (atomic_fetch_add(&state->failures, 1) > 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(state->first_failure, sizeof state->first_failure, format, arguments);
    va_end(arguments);
}

static bool is_well(void)
{
    return atomic_load(&state->failures) == 0;
}

/* --- Notes --- */

static void set_and_note(enum which which)
{
    struct note *note = &state->notes[which];
    me->woken = 0;
    atomic_store(&note->at, 0);
    if (rbx_event_set(me->events[which]) < 0)
        fail("a set failed: %s", rbx_last_error());
    atomic_store(&note->woken, me->woken);
    atomic_store(&note->bits, rbx_load_relaxed(me->events[which]->view.bits));
    atomic_store(&note->at, now());
}

static void judge_time_out(const void *word, uint64_t deadline)
{
    enum which which = word == me->events[BACK]->view.bits ? BACK : THERE;
    const struct note *note = &state->notes[which];
    uint64_t at = atomic_load(&note->at);
    uint32_t bits = atomic_load(&note->bits), woken = atomic_load(&note->woken);
    uint32_t is = rbx_load_relaxed(me->events[which]->view.bits);
    atomic_fetch_add(&state->late, 1);
    /* SLEEPERS may come and go meanwhile; it is still the same set when the note is. */
    bool same = (is | RBX_EVENT_SLEEPERS) == (bits | RBX_EVENT_SLEEPERS) && is & RBX_EVENT_SET;
    if (at != 0 && at < deadline && same && woken == 0 && atomic_load(&note->at) == at)
        fail("LOST WAKE-UP: event %d was set, and nobody woken, %llu us before a sleep for it "
             "timed out",
             (int)which, (unsigned long long)(deadline - at) / 1000);
}

long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    int operation = me && number == SYS_futex ? (int)b & FUTEX_CMD_MASK : -1;
    uint64_t deadline = 0;
    if (operation == FUTEX_WAIT_BITSET) {
        const struct timespec *until = (const void *)(uintptr_t)d;
        deadline = (uint64_t)until->tv_sec * 1000000000U + (uint64_t)until->tv_nsec;
        atomic_fetch_add(&state->sleeps, 1);
    }
    long answer = __real_syscall(number, a, b, c, d, e, f);
    if (operation == FUTEX_WAIT_BITSET && answer < 0 && errno == ETIMEDOUT) {
        judge_time_out((const void *)(uintptr_t)a, deadline);
        errno = ETIMEDOUT;
    }
    if (operation == FUTEX_WAKE && answer > 0)
        me->woken += (uint32_t)answer;
    return answer;
}

/* --- People --- */

static void pass(uint32_t ns)
{
    for (uint64_t until = now() + ns; now() < until;)
        rbx_pause();
}

static void waits(enum which which)
{
    int err = rbx_event_wait(me->events[which]);
    if (err < 0)
        fail("a wait failed: %s", rbx_last_error());
}

static void set_for_others(void)
{
    for (uint32_t round = 0; round < mode.rounds && is_well(); round++) {
        pass(draw(2) ? draw(200U << draw(8)) : 0);
        set_and_note(THERE);
        pass(draw(2) ? draw(200U << draw(8)) : 0);
        waits(BACK);
        if (atomic_load(&state->through) != round + 1)
            fail("after %u sets %u got through", round + 1, atomic_load(&state->through));
    }
    atomic_store(&state->over, 1);
    set_and_note(THERE);
}

/* Until another has got through: so somebody who sleeps must have been woken. */
static void stay_away(uint32_t through)
{
    if (atomic_fetch_add(&state->away, 1) + 1 < mode.waiters)
        while (atomic_load(&state->through) == through && !atomic_load(&state->over) && is_well())
            sched_yield();
    atomic_fetch_sub(&state->away, 1);
}

static void wait_for_it(void)
{
    for (;;) {
        pass(draw(2) ? draw(200U << draw(8)) : 0);
        waits(THERE);
        if (atomic_load(&state->over) || !is_well())
            break;
        uint32_t through = atomic_fetch_add(&state->through, 1) + 1;
        set_and_note(BACK);
        if (draw(4) == 0)
            stay_away(through);
    }
    rbx_event_set(me->events[THERE]); /* the next one goes, too */
    rbx_event_set(me->events[BACK]);
}

static void run(unsigned number)
{
    struct person self = {.random_state = now() + number, .events = {made[0], made[1]}};
    const rbx_event_options joins = {.spin_ns = RBX_NO_SPIN, .box.how = RBX_OPEN_ONLY};
    for (int i = 0; i < EVENTS && mode.who != THREADS; i++)
        if (rbx_event_open(&self.events[i], names[i], &joins) < 0) {
            fail("an event could not be joined: %s", rbx_last_error());
            return;
        }
    me = &self;
    if (number == 0)
        set_for_others();
    else
        wait_for_it();
    me = NULL;
    for (int i = 0; i < EVENTS && mode.who != THREADS; i++)
        rbx_event_close(self.events[i]);
}

/* --- Modes --- */

static void *run_thread(void *number)
{
    run((unsigned)(uintptr_t)number);
    return NULL;
}

static void run_threads(void)
{
    pthread_t threads[PEOPLE_MAX];
    for (uintptr_t i = 0; i <= mode.waiters; i++)
        if (pthread_create(&threads[i], NULL, run_thread, (void *)i) != 0)
            abort();
    for (unsigned i = 0; i <= mode.waiters; i++)
        pthread_join(threads[i], NULL);
}

static void give_up(int signal)
{
    for (int i = 0; i < PEOPLE_MAX; i++)
        if (pids[i] > 0)
            kill(pids[i], SIGKILL);
    for (int i = 0; i < EVENTS; i++) {
        char path[96] = "/dev/shm/ringbox.";
        strcat(path, names[i]);
        unlink(path);
    }
    static const char hangs[] = "event-wakes: a mode did not come to its end\n";
    if (signal == SIGALRM && write(STDERR_FILENO, hangs, sizeof hangs - 1) < 0)
        _exit(2);
    _exit(1);
}

static void run_processes(void)
{
    for (unsigned i = 0; i <= mode.waiters; i++) {
        pid_t pid = fork();
        if (pid < 0) {
            perror("event-wakes: fork");
            give_up(0);
        }
        if (pid == 0) {
            signal(SIGALRM, SIG_DFL);
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            run(i);
            _exit(0);
        }
        pids[i] = pid;
    }
    for (unsigned i = 0; i <= mode.waiters; i++) {
        int status;
        if (waitpid(pids[i], &status, 0) != pids[i] || status != 0)
            fail("person %u ended with status %#x", i, (unsigned)status);
        pids[i] = 0;
    }
}

/* Whether no wake-up was lost. */
static bool run_mode(void)
{
    memset(state, 0, sizeof *state);
    const rbx_event_options options = {.spin_ns = RBX_NO_SPIN};
    for (int i = 0; i < EVENTS; i++)
        if (rbx_event_open(&made[i], mode.who == THREADS ? NULL : names[i], &options) < 0)
            fail("an event could not be made: %s", rbx_last_error());
    alarm(WATCHDOG_S);
    if (!is_well())
        ;
    else if (mode.who == PROCESSES)
        run_processes();
    else
        run_threads();
    for (int i = 0; i < EVENTS; i++)
        rbx_event_close(made[i]);
    printf("%s, %u of them waiting: %u rounds, %llu sleeps, %llu timed out\n", who_noun[mode.who],
           mode.waiters, mode.rounds, (unsigned long long)state->sleeps,
           (unsigned long long)state->late);
    fflush(stdout);
    if (!is_well())
        fprintf(stderr, "%s\n", state->first_failure);
    return is_well();
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 20000;
    if (rounds < 1) {
        fprintf(stderr, "usage: event-wakes [ROUNDS]\n");
        return 2;
    }
    state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (state == MAP_FAILED)
        return 1;
    for (int i = 0; i < EVENTS; i++)
        snprintf(names[i], sizeof names[i], "t.%d.event%d", (int)getpid(), i);
    const int signals[] = {SIGALRM, SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], give_up);
    if (THREADS_ONLY)
        printf("SKIP: no processes under the thread sanitizer\n");
    for (unsigned who = 0; who < (THREADS_ONLY ? PROCESSES : WHO); who++)
        for (unsigned waiters = 1; waiters < PEOPLE_MAX; waiters += 2) {
            mode = (struct mode){
                .who = (enum who)who,
                .waiters = waiters,
                .rounds = (uint32_t)rounds / (THREADS_ONLY ? 10 : 1) + 1,
            };
            if (!run_mode())
                return 1;
        }
    return 0;
}
