/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "hunt.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <ringbox/ringbox.h>

#include "chance.h"
#include "refuse.h"

#ifdef SYS_futex_waitv
#define WAITV SYS_futex_waitv
#else
#define WAITV 449
#endif

enum { COLD = 1 << 25, WATCHDOG_S = 120, SHORT_SLEEP_NS = 2000000 };

const char *const people_noun[PEOPLE] = {"threads", "threads by name", "processes"};
struct hunt *hunt;
char hunt_ring_name[HUNT_RINGS][64];

static const char *title;
static size_t shared; /* bytes */
static volatile pid_t pids[HUNT_SIDES];
static void (*act)(unsigned number);

/* One for each side. */
struct hunter {
    uint64_t random_state;
    char *cold;
    size_t cold_at;
};
static _Thread_local struct hunter *me;

uint32_t hunt_draw(uint32_t below)
{
    return draw_from(&me->random_state, below);
}

void hunt_fail(const char *format, ...)
{
    if (atomic_fetch_add(&hunt->failures, 1) > 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(hunt->first_failure, sizeof hunt->first_failure, format, arguments);
    va_end(arguments);
}

bool hunt_is_well(void)
{
    return atomic_load_explicit(&hunt->failures, memory_order_relaxed) == 0;
}

void hunt_fill_store_buffer(void)
{
    enum { STORES = 40, APART = 4096 + 64 };
    for (uint32_t i = hunt_draw(STORES); i > 0; i--) {
        me->cold_at = (me->cold_at + APART) % COLD;
        *(volatile char *)(me->cold + me->cold_at) = 1;
    }
}

long __real_syscall(long number, long a, long b, long c, long d, long e, long f);

bool hunt_has_waitv(void)
{
    errno = 0;
    __real_syscall(WAITV, 0, 0, 0, 0, 0, 0); /* of no words: refused by who knows it */
    return errno == EINVAL;
}

static void refuse(int call, int error)
{
    if (!refuse_syscall(call, error, -1, 0))
        atomic_store(&hunt->refused, 1);
}

void hunt_refuse_membarrier(void)
{
    refuse(SYS_membarrier, EPERM);
}

void hunt_refuse_waitv(void)
{
    refuse(WAITV, ENOSYS);
}

void hunt_arrive(unsigned sides)
{
    atomic_fetch_add(&hunt->arrived, 1);
    while (atomic_load(&hunt->arrived) < sides && hunt_is_well())
        sched_yield();
}

void hunt_disturb(enum people people, unsigned side)
{
    pid_t thread = atomic_load(&hunt->threads[side]);
    if (thread != 0)
        syscall(SYS_tgkill, people == PROCESSES ? thread : getpid(), thread, SIGUSR1);
}

/* --- Notes and sleeps --- */

void hunt_note(struct hunt_notes *notes, uint64_t number)
{
    _Atomic uint64_t *at = &notes->note[number % HUNT_NOTES].at;
    _Atomic uint64_t *whose = &notes->note[number % HUNT_NOTES].number;
    atomic_store(whose, 0);
    atomic_store(at, now());
    atomic_store(whose, number + 1);
}

void hunt_judge(const struct hunt_notes *notes, uint64_t wanted, const struct hunt_sleep *sleep,
                bool excused, const char *what)
{
    const _Atomic uint64_t *whose = &notes->note[wanted % HUNT_NOTES].number;
    if (atomic_load(whose) != wanted + 1)
        return;
    uint64_t time = atomic_load(&notes->note[wanted % HUNT_NOTES].at);
    if (time >= sleep->by || atomic_load(whose) != wanted + 1)
        return;
    if (excused)
        atomic_fetch_add(&hunt->left_out, 1);
    else
        hunt_fail("LOST WAKE-UP: %s %llu was there, and the bell rung, %llu us before the %s sleep "
                  "for it %s",
                  what, (unsigned long long)wanted, (unsigned long long)(sleep->by - time) / 1000,
                  sleep->is_short ? "first, short" : "long",
                  sleep->timed_out ? "timed out" : "began");
}

/* When a sleep that a system call asks for is to end; 0: it asks for none. */
static uint64_t deadline_of(long number, long operation, long time)
{
    const int64_t *long_time = (const void *)(uintptr_t)time;
    const struct timespec *until = (const void *)(uintptr_t)time;
    if (number == WAITV)
        return (uint64_t)long_time[0] * 1000000000U + (uint64_t)long_time[1];
    if (number == SYS_futex && ((int)operation & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET)
        return (uint64_t)until->tv_sec * 1000000000U + (uint64_t)until->tv_nsec;
    return 0;
}

/*
 * Whether a word of a sleep on many says something else by now: then it is no sleep. The kernel
 * does not say so by EAGAIN when another of them is rung while it looks at one after the other.
 */
static bool is_no_sleep(long number, long words, long count)
{
    const struct {
        uint64_t value, word;
        uint32_t flags, reserved;
    } *each = (const void *)(uintptr_t)words;
    for (long i = 0; number == WAITV && i < count; i++)
        if (atomic_load((const _Atomic uint32_t *)(uintptr_t)each[i].word) != each[i].value)
            return true;
    return false;
}

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    struct hunt_sleep sleep = {.word = NULL};
    bool had_changed = false;
    uint64_t deadline = me ? deadline_of(number, b, d) : 0;
    if (deadline != 0) {
        hunt_before_sleep();
        atomic_fetch_add(&hunt->sleeps, 1);
        if (hunt_draw(2))
            pass(hunt_draw(hunt_draw(8) ? 2000 : 20000));
        sleep = (struct hunt_sleep){.word = (const void *)(uintptr_t)a, .by = now()};
        sleep.is_short = deadline < sleep.by + SHORT_SLEEP_NS;
        had_changed = is_no_sleep(number, a, b);
    }
    long answer = __real_syscall(number, a, b, c, d, e, f);
    int error = errno;
    if (sleep.word && (answer >= 0 || (error != EAGAIN && error != ENOSYS))) {
        sleep.timed_out = answer < 0 && error == ETIMEDOUT;
        if (sleep.timed_out) {
            sleep.by = deadline;
            atomic_fetch_add(&hunt->late, 1);
        }
        if (sleep.timed_out || !had_changed)
            hunt_slept(&sleep);
    }
    if (me && number == SYS_membarrier && hunt_draw(8) == 0)
        pass(hunt_draw(5000));
    errno = error;
    return answer;
}

/* --- Sides --- */

static void run_side(unsigned number)
{
    struct hunter hunter = {.random_state = now() + number};
    hunter.cold =
        mmap(NULL, COLD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (hunter.cold == MAP_FAILED) {
        hunt_fail("no memory for a side");
        return;
    }
    me = &hunter;
    atomic_store(&hunt->threads[number], (int32_t)__real_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0));
    act(number);
    atomic_store(&hunt->threads[number], 0);
    me = NULL;
    munmap(hunter.cold, COLD);
}

static void *run_thread(void *number)
{
    run_side((unsigned)(uintptr_t)number);
    return NULL;
}

static void run_threads(unsigned sides)
{
    pthread_t threads[HUNT_SIDES];
    for (uintptr_t i = 0; i < sides; i++)
        if (pthread_create(&threads[i], NULL, run_thread, (void *)i) != 0)
            abort();
    for (unsigned i = 0; i < sides; i++)
        pthread_join(threads[i], NULL);
}

static void give_up(int signal)
{
    for (int i = 0; i < HUNT_SIDES; i++)
        if (pids[i] > 0)
            kill(pids[i], SIGKILL);
    for (int i = 0; i < HUNT_RINGS; i++) {
        char path[96] = "/dev/shm/ringbox.";
        strcat(path, hunt_ring_name[i]);
        unlink(path);
    }
    static const char hangs[] = ": a mode did not come to its end\n";
    if (signal == SIGALRM && (write(STDERR_FILENO, title, strlen(title)) < 0 ||
                              write(STDERR_FILENO, hangs, sizeof hangs - 1) < 0))
        _exit(2);
    _exit(1);
}

static void run_processes(unsigned sides)
{
    for (unsigned i = 0; i < sides; i++) {
        pid_t pid = fork();
        if (pid < 0) {
            perror("fork");
            give_up(0);
        }
        if (pid == 0) {
            signal(SIGALRM, SIG_DFL);
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            run_side(i);
            _exit(0);
        }
        pids[i] = pid;
    }
    /* None is reaped before all have ended: they send signals to each other. */
    for (unsigned i = 0; i < sides; i++) {
        siginfo_t ended;
        while (waitid(P_PID, (id_t)pids[i], &ended, WEXITED | WNOWAIT) < 0 && errno == EINTR)
            ;
    }
    for (unsigned i = 0; i < sides; i++) {
        int status;
        pid_t pid = pids[i];
        if (waitpid(pid, &status, 0) != pid || status != 0)
            hunt_fail("side %u ended with status %#x", i, (unsigned)status);
        pids[i] = 0;
    }
}

static void do_nothing(int number)
{
    (void)number;
}

void *hunt_begin(const char *name, size_t size, int argc, char **argv, uint32_t *rounds)
{
    const int signals[] = {SIGALRM, SIGINT, SIGTERM, SIGHUP};
    const size_t own = (sizeof *hunt + 63) / 64 * 64;
    const int wanted = argc > 1 ? atoi(argv[1]) : (int)*rounds;
    if (wanted < 1) {
        fprintf(stderr, "usage: %s [ROUNDS]\n", argv[0]);
        exit(2);
    }
    *rounds = (uint32_t)wanted;
    shared = own + size;
    hunt = mmap(NULL, shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (hunt == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    title = name;
    for (int i = 0; i < HUNT_RINGS; i++)
        snprintf(hunt_ring_name[i], sizeof hunt_ring_name[i], "t.%d.wakes%d", (int)getpid(), i);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], give_up);
    signal(SIGUSR1, do_nothing);
    if (THREADS_ONLY)
        printf("SKIP: no processes under the thread sanitizer\n");
    return (char *)hunt + own;
}

void hunt_mode(void)
{
    memset(hunt, 0, shared);
}

const char *hunt_skip(void)
{
    return atomic_load(&hunt->refused) ? "SKIP: seccomp is not allowed here: " : "";
}

bool hunt_verdict(void)
{
    printf("; %llu sleeps, %llu timed out, %llu left out\n", (unsigned long long)hunt->sleeps,
           (unsigned long long)hunt->late, (unsigned long long)hunt->left_out);
    fflush(stdout);
    if (!hunt_is_well())
        fprintf(stderr, "%s\n", hunt->first_failure);
    return hunt_is_well();
}

void hunt_run(enum people people, unsigned sides, void (*side)(unsigned number))
{
    act = side;
    alarm(WATCHDOG_S);
    if (people == PROCESSES)
        run_processes(sides);
    else
        run_threads(sides);
}
