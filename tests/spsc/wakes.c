/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * wakes [ROUNDS]
 *
 * A hunt for lost wake-ups. Two sides, threads or processes, that never spin, meet and then publish
 * and fall asleep at nearly the same moment: a ping-pong over two rings, and streams through tiny
 * rings where the sender sleeps for room and the receiver for messages. With membarrier, and with
 * it refused to either side or both.
 *
 * When a wake-up is lost is exact, and no matter of how busy the machine is. A side notes when what
 * it has done so far was complete: after each call, and before it falls asleep itself (the linker
 * wraps the system call). By then it has rung the bell. If its peer's sleep for just that ends by
 * time-out all the same, and the note is older than the time-out, nobody had woken it.
 *
 * Before it publishes, a side stores to memory that is in no cache: the publication waits behind
 * these stores, while the look at the bell that comes next does not. So a missing fence shows.
 *
 * Between processes the kernel's membarrier may leave out a thread (src/os/thread.h); for that the
 * library's first sleep is short. There a short sleep that timed out is counted, not condemned.
 */
#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
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

#include <ringbox/ringbox.h>

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

enum { RINGS = 2, SIDES = 2, NOTES = 1024, COLD = 1 << 25, MAX_SIZE = 248, WATCHDOG_S = 120 };
enum { NONE = -1, SHORT_SLEEP_NS = 2000000 };

/* Who has done how much, and when that was complete. */
struct notes {
    _Atomic uint64_t count;
    _Atomic uint64_t at[NOTES];
};

/* Shared by all. */
static struct state {
    _Atomic uint32_t arrived, failures, refused;
    _Atomic uint64_t sleeps, late; /* sleeps that ended by time-out, and rightly so */
    _Atomic uint64_t left_out;     /* likewise, but membarrier's fault */
    struct {
        struct notes sent, freed;
    } ring[RINGS];
    char first_failure[512];
} * state;

enum people { THREADS, THREADS_BY_NAME, PROCESSES, PEOPLE };
static const char *const people_noun[PEOPLE] = {"threads", "threads by name", "processes"};
static const char *const refusal_noun[] = {"membarrier", "refused to side 0", "refused to side 1",
                                           "refused to both"};
static struct mode {
    enum people people;
    unsigned refusal; /* a bit for each side */
    bool streams;
    size_t size, capacity;
    uint32_t rounds;
} mode;
static rbx_ring *made[RINGS];
static char names[RINGS][64];
static volatile pid_t pids[SIDES];

/* One for each thread. */
struct end {
    rbx_tx tx;
    rbx_rx rx;
    int tx_ring, rx_ring; /* or NONE */
    uint64_t random_state;
    char *cold;
    size_t cold_at;
};
static _Thread_local struct end *me;

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

/* --- Notes --- */

static void note_up_to(struct notes *notes, uint64_t count)
{
    uint64_t before = atomic_load_explicit(&notes->count, memory_order_relaxed), time = now();
    if (before == count)
        return;
    for (uint64_t i = before; i < count; i++)
        atomic_store_explicit(&notes->at[i % NOTES], time, memory_order_relaxed);
    atomic_store_explicit(&notes->count, count, memory_order_release);
}

static uint64_t sent_by(const rbx_tx *tx)
{
    return (tx->spsc.at >> 8) * tx->frame.per_frame + (tx->spsc.at & 255);
}

/* All that this side has published and rung for. */
static void note(void)
{
    if (me->tx_ring != NONE)
        note_up_to(&state->ring[me->tx_ring].sent, sent_by(&me->tx));
    if (me->rx_ring != NONE)
        note_up_to(&state->ring[me->rx_ring].freed, rbx_load_acquire(&me->rx.spsc.shared->freed));
}

/* When the peer had done the thing number `wanted`, counted from 0, that this side slept for. */
static void judge_sleep(struct notes *notes, uint64_t wanted, uint64_t deadline, bool is_short,
                        const char *what, int ring)
{
    if (atomic_load_explicit(&notes->count, memory_order_acquire) <= wanted)
        return;
    uint64_t time = atomic_load_explicit(&notes->at[wanted % NOTES], memory_order_relaxed);
    if (time >= deadline)
        return;
    if (is_short && mode.people == PROCESSES && mode.refusal == 0)
        atomic_fetch_add(&state->left_out, 1);
    else
        fail(
            "LOST WAKE-UP: ring %d, %s %llu was there, and the bell rung, %llu us before the sleep "
            "for it timed out",
            ring, what, (unsigned long long)wanted, (unsigned long long)(deadline - time) / 1000);
}

static void judge_time_out(const void *word, uint64_t deadline, bool is_short)
{
    atomic_fetch_add(&state->late, 1);
    if (me->rx_ring != NONE && word == (const void *)&me->rx.spsc.shared->message.bits) {
        uint64_t taken =
            rbx_load_relaxed(me->rx.spsc.position); /* frame and index, as in sent_by() */
        taken = (taken >> 8) * me->rx.frame.per_frame + (taken & 255);
        judge_sleep(&state->ring[me->rx_ring].sent, taken, deadline, is_short, "message",
                    me->rx_ring);
    }
    if (me->tx_ring != NONE && word == (const void *)&me->tx.spsc.shared->room.bits) {
        /* The next frame has the slot of the one that is `frames` before it: given back? */
        uint64_t slot = (me->tx.spsc.at >> 8) + 1 - me->tx.spsc.frames;
        judge_sleep(&state->ring[me->tx_ring].freed, slot, deadline, is_short, "room for frame",
                    me->tx_ring);
    }
}

long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    bool sleeps = me && number == SYS_futex && ((int)b & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
    uint64_t deadline = 0;
    bool is_short = false;
    if (sleeps) {
        const struct timespec *until = (const void *)(uintptr_t)d;
        deadline = (uint64_t)until->tv_sec * 1000000000U + (uint64_t)until->tv_nsec;
        is_short = deadline < now() + SHORT_SLEEP_NS;
        note();
        atomic_fetch_add(&state->sleeps, 1);
    }
    long answer = __real_syscall(number, a, b, c, d, e, f);
    if (sleeps && answer < 0 && errno == ETIMEDOUT) {
        judge_time_out((const void *)(uintptr_t)a, deadline, is_short);
        errno = ETIMEDOUT;
    }
    return answer;
}

/* --- The sides --- */

static bool refuse_membarrier(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void pass(uint32_t ns)
{
    for (uint64_t until = now() + ns; now() < until;)
        rbx_pause();
}

static void fill_store_buffer(void)
{
    enum { STORES = 40, APART = 4096 + 64 };
    for (uint32_t i = draw(STORES); i > 0; i--) {
        me->cold_at = (me->cold_at + APART) % COLD;
        *(volatile char *)(me->cold + me->cold_at) = 1;
    }
}

static bool is_well(void)
{
    return atomic_load_explicit(&state->failures, memory_order_relaxed) == 0;
}

/* Both sides go on from here at nearly the same moment. */
static void meet(uint32_t round)
{
    atomic_fetch_add(&state->arrived, 1);
    for (int looks = 0; atomic_load(&state->arrived) < SIDES * (round + 2) && is_well(); looks++)
        if (looks < 2000)
            rbx_pause();
        else
            sched_yield();
}

static void send_one(uint64_t number)
{
    uint64_t message[MAX_SIZE / 8] = {number};
    if (draw(4))
        fill_store_buffer();
    int err = rbx_send(&me->tx, message);
    if (err < 0)
        fail("a send answered %d", err);
    note();
}

static void receive_one(uint64_t number)
{
    uint64_t message[MAX_SIZE / 8] = {0};
    int err = rbx_recv(&me->rx, message);
    if (err < 0 || message[0] != number)
        fail("the receiver got %d, and message %llu for %llu", err, (unsigned long long)message[0],
             (unsigned long long)number);
    note();
}

static void play(int side)
{
    uint32_t pause = 200U << draw(5);
    for (uint32_t round = 0; round < mode.rounds && is_well(); round++) {
        if (mode.streams) {
            pass(draw(8) ? draw(pause) : 0);
            if (side == 0)
                send_one(round);
            else
                receive_one(round);
            continue;
        }
        meet(round);
        pass(draw(pause));
        if (side == (int)(round & 1)) {
            send_one(round);
            if (draw(2))
                pass(draw(20000)); /* about as long as its peer takes to wake up and answer */
            receive_one(round);
        } else {
            receive_one(round);
            send_one(round);
        }
    }
}

static int open_ends(rbx_ring **rings)
{
    static const rbx_wait_options sleeps = {.how = RBX_WAIT_SLEEP, .spin_ns = RBX_NO_SPIN};
    int err = 0;
    if (me->tx_ring != NONE && (err = rbx_tx_open(&me->tx, rings[me->tx_ring])) == 0)
        err = rbx_tx_wait_by(&me->tx, &sleeps);
    if (err == 0 && me->rx_ring != NONE && (err = rbx_rx_open(&me->rx, rings[me->rx_ring])) == 0)
        err = rbx_rx_wait_by(&me->rx, &sleeps);
    return err;
}

static void run_side(int side)
{
    struct end end = {.tx_ring = mode.streams ? (side == 0 ? 0 : NONE) : side,
                      .rx_ring = mode.streams ? (side == 0 ? NONE : 0) : !side,
                      .random_state = now() + (uint64_t)side};
    rbx_ring *own[RINGS] = {made[0], made[1]};
    end.cold =
        mmap(NULL, COLD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (end.cold == MAP_FAILED) {
        fail("no memory for a side");
        return;
    }
    if (mode.refusal & (1U << side) && !refuse_membarrier())
        atomic_store(&state->refused, 1);
    const rbx_ring_options joins = {.box.how = RBX_OPEN_ONLY};
    for (int i = 0; i < RINGS && mode.people != THREADS; i++)
        if (rbx_ring_open(&own[i], names[i], &joins) < 0)
            fail("a ring could not be joined: %s", rbx_last_error());
    me = &end;
    if (is_well() && open_ends(own) < 0)
        fail("an end could not be opened: %s", rbx_last_error());
    /* Nobody leaves the other waiting for a side that could not begin. */
    atomic_fetch_add(&state->arrived, 1);
    while (atomic_load(&state->arrived) < SIDES && is_well())
        sched_yield();
    if (is_well() && !atomic_load(&state->refused))
        play(side);
    for (int i = 0; i < RINGS && !is_well(); i++)
        rbx_ring_shutdown(own[i]); /* the other side may wait */
    me = NULL;
    rbx_tx_close(&end.tx);
    rbx_rx_close(&end.rx);
    for (int i = 0; i < RINGS && mode.people != THREADS; i++)
        rbx_ring_close(own[i]);
    munmap(end.cold, COLD);
}

/* --- Modes --- */

static void *run_thread(void *side)
{
    run_side((int)(intptr_t)side);
    return NULL;
}

static void run_threads(void)
{
    pthread_t threads[SIDES];
    for (intptr_t i = 0; i < SIDES; i++)
        if (pthread_create(&threads[i], NULL, run_thread, (void *)i) != 0)
            abort();
    for (int i = 0; i < SIDES; i++)
        pthread_join(threads[i], NULL);
}

static void give_up(int signal)
{
    for (int i = 0; i < SIDES; i++)
        if (pids[i] > 0)
            kill(pids[i], SIGKILL);
    for (int i = 0; i < RINGS; i++) {
        char path[96] = "/dev/shm/ringbox.";
        strcat(path, names[i]);
        unlink(path);
    }
    static const char hangs[] = "wakes: a mode did not come to its end\n";
    if (signal == SIGALRM && write(STDERR_FILENO, hangs, sizeof hangs - 1) < 0)
        _exit(2);
    _exit(1);
}

static void run_processes(void)
{
    for (int i = 0; i < SIDES; i++) {
        pid_t pid = fork();
        if (pid < 0) {
            perror("wakes: fork");
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
    for (int i = 0; i < SIDES; i++) {
        int status;
        pid_t pid = pids[i];
        if (waitpid(pid, &status, 0) != pid || status != 0)
            fail("side %d ended with status %#x", i, (unsigned)status);
        pids[i] = 0;
    }
}

/* Whether no wake-up was lost. */
static bool run_mode(void)
{
    memset(state, 0, sizeof *state);
    const rbx_ring_options options = {
        .message_size = mode.size, .capacity = mode.capacity, .box.policy = RBX_LAST_ONE_OUT};
    for (int i = 0; i < RINGS; i++)
        if (rbx_ring_open(&made[i], mode.people == THREADS ? NULL : names[i], &options) < 0)
            fail("a ring could not be made: %s", rbx_last_error());
    alarm(WATCHDOG_S);
    if (!is_well())
        ;
    else if (mode.people == PROCESSES)
        run_processes();
    else
        run_threads();
    for (int i = 0; i < RINGS; i++)
        if (rbx_ring_close(made[i]) < 0)
            fail("a ring could not be closed: %s", rbx_last_error());
    const char *skips = atomic_load(&state->refused) ? "SKIP: seccomp is not allowed here: " : "";
    printf("%s%s, %s, %s of %zu bytes, capacity %zu: %u rounds, %llu sleeps, %llu timed out, %llu "
           "left out\n",
           skips, people_noun[mode.people], refusal_noun[mode.refusal],
           mode.streams ? "stream" : "ping-pong", mode.size, mode.capacity, mode.rounds,
           (unsigned long long)state->sleeps, (unsigned long long)state->late,
           (unsigned long long)state->left_out);
    fflush(stdout);
    if (!is_well())
        fprintf(stderr, "%s\n", state->first_failure);
    return is_well();
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {120, 8, 248};
    int rounds = argc > 1 ? atoi(argv[1]) : 20000;
    if (rounds < 1) {
        fprintf(stderr, "usage: wakes [ROUNDS]\n");
        return 2;
    }
    state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (state == MAP_FAILED)
        return 1;
    for (int i = 0; i < RINGS; i++)
        snprintf(names[i], sizeof names[i], "t.%d.wakes%d", (int)getpid(), i);
    const int signals[] = {SIGALRM, SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], give_up);
    enum people people_end = THREADS_ONLY ? PROCESSES : PEOPLE;
    if (THREADS_ONLY)
        printf("SKIP: no processes under the thread sanitizer\n");
    unsigned count = 0;
    for (unsigned people = 0; people < people_end; people++)
        for (unsigned refusal = 0; refusal < 4; refusal++)
            for (unsigned streams = 0; streams < 2; streams++, count++) {
                mode = (struct mode){.people = (enum people)people,
                                     .refusal = refusal,
                                     .streams = streams,
                                     .size = sizes[count / 2 % 3],
                                     .capacity = 1 + count / 2 % 3,
                                     .rounds = (uint32_t)rounds / (THREADS_ONLY ? 10 : 1) + 1};
                if (!run_mode())
                    return 1;
            }
    return 0;
}
