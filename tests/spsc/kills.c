/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * kills [KILLS]
 *
 * A sender and a receiver of one ring are killed with SIGKILL at random moments, some while they
 * are stopped, some after single steps inside a call, and each is replaced at once by a successor
 * that goes on. What must hold for every one of these deaths, whatever it interrupted:
 *  - every message whose send or commit had returned 0 is received once, in order, and whole,
 *  - of the call that the sender died in, the first few messages are received, or none,
 *  - of the call that the receiver died in, the first few messages are lost, or none; nothing is
 *    lost between peek and release, and nothing comes twice that a call had returned,
 *  - the successor is never refused,
 *  - the survivor hears of each death once at most, of a stopped peer never; what it is told is
 *    full is full, and what it is told is empty is empty.
 * And at the end of each round the whole capacity is there, and then nothing of the ring is.
 *
 * The ledger. Each side has one word: its position, and how many messages the call that it is in
 * may move from there. It is written in one store, before the call and after. A sender counts
 * numbers, which are never used again: after a death the parent reads from the ring how many
 * messages were sent, which must lie within what the word allows, and notes the numbers that the
 * call had not sent as a gap. A receiver counts messages, and the gaps say which number each has.
 * All of a message follows from its number.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kills.h"

enum { WATCHDOG_S = 120, HEARS_WITHIN_S = 20 };

struct ledger *ledger;

const char *const noun[SIDES] = {"sender", "receiver"};
static const size_t sizes[] = {8, 24, 64, 248}, capacities[] = {1, 7, 100, 4096};
char name[64];
static char path[96];
rbx_ring_options geometry;
rbx_ring *ring;
static volatile pid_t pids[SIDES];
bool slow[SIDES];
uint64_t random_state;
static struct {
    uint64_t messages, lost, finished, forgotten, mourned, inside, stopped, early;
} total;

static void give_up(int signal)
{
    for (int side = 0; side < SIDES; side++)
        if (pids[side] > 0)
            kill(pids[side], SIGKILL);
    unlink(path);
    if (signal == SIGALRM) {
        static const char hangs[] = "kills: a round did not come to its end\n";
        if (write(STDERR_FILENO, hangs, sizeof hangs - 1) < 0)
            _exit(2);
    }
    _exit(1);
}

static void start(int side)
{
    struct side *self = &ledger->side[side];
    uint64_t seed = ((uint64_t)draw(UINT32_MAX) << 32) ^ draw(UINT32_MAX);
    pid_t parent = getpid();
    atomic_store(&self->gone, 0);
    atomic_fetch_add(&self->started, 1);
    pid_t pid = fork();
    if (pid < 0) {
        perror("kills: fork");
        give_up(0);
    }
    if (pid > 0) {
        pids[side] = pid;
        return;
    }
    run_victim(side, parent, seed);
}

static bool has_died(int side)
{
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)pids[side], &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
           info.si_pid != 0;
}

static bool is_well(void)
{
    return !atomic_load(&ledger->failures) && !has_died(TX) && !has_died(RX);
}

static uint32_t draw_delay(void)
{
    static const uint32_t scale[] = {1, 1000, 10000, 100000, 1000000, 1000000, 5000000};
    return draw(scale[draw(sizeof scale / sizeof *scale)]);
}

/* Steps the victim into a call and then some instructions on, if that is allowed here. */
static void step_inside(int side)
{
    enum { STEPS = 2000, INSIDE = 300, PATIENCE_NS = 1000000 };
    pid_t pid = pids[side];
    int status;
    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
        return;
    if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0 || waitpid(pid, &status, __WALL) != pid)
        return;
    uint32_t left = draw(INSIDE);
    for (int i = 0; i < STEPS && WIFSTOPPED(status); i++) {
        bool in_call = atomic_load(&ledger->side[side].word) & 0xffff;
        if (in_call && left-- == 0) {
            total.inside++;
            return;
        }
        if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0)
            return;
        pid_t stopped;
        for (uint64_t until = now() + PATIENCE_NS; /* it may sleep */
             (stopped = waitpid(pid, &status, __WALL | WNOHANG)) == 0 && now() < until;)
            ;
        if (stopped != pid)
            return;
    }
}

/* A stopped process is not a dead one, however long it takes. */
static void stop(int side)
{
    bool was_going = atomic_load(&ledger->side[side].going);
    kill(pids[side], SIGSTOP);
    siginfo_t info;
    waitid(P_PID, (id_t)pids[side], &info, WSTOPPED | WEXITED | WNOWAIT);
    pass(draw_delay());
    rbx_ring_info state;
    rbx_ring_describe(ring, &state);
    rbx_end_state end = side == TX ? state.tx.state : state.rx.state;
    if (was_going && end != RBX_END_ALIVE && atomic_load(&ledger->side[side].going))
        fail("a stopped %s is in state %d", noun[side], (int)end);
    total.stopped++;
}

/* What the ring says that the dead side did must lie within what its word allows. */
static void settle(int side)
{
    struct side *dead = &ledger->side[side];
    rbx_ring_info info;
    rbx_ring_describe(ring, &info);
    rbx_end_state state = side == TX ? info.tx.state : info.rx.state;
    if (state != RBX_END_DEAD && state != RBX_END_NONE)
        fail("a %s that has been waited for is in state %d", noun[side], (int)state);
    uint64_t word = atomic_load(&dead->word), at = word >> 16, may = word & 0xffff;
    uint64_t count = side == TX ? info.sent : info.received;
    uint64_t base = at - (side == TX ? skipped_before(UINT64_MAX) : 0), moved = count - base;
    if (moved > may)
        fail("a %s died with %llu messages behind it and %llu in its call, and the ring says %llu",
             noun[side], (unsigned long long)base, (unsigned long long)may,
             (unsigned long long)count);
    if (side == RX) {
        total.lost += moved;
        at = count;
    } else {
        total.finished += moved;
        total.forgotten += may - moved;
        at += may;
        uint32_t gap = atomic_load(&ledger->gap_count);
        if (moved < may) {
            ledger->gap[gap].index = count;
            ledger->gap[gap].size = may - moved;
            atomic_store(&ledger->gap_count, gap + 1);
        }
    }
    atomic_store(&dead->word, at << 16);
    atomic_store(&dead->count, count);
    atomic_store(&dead->gone, 1);
}

/* Whether its end was open. */
static bool kill_side(int side)
{
    struct side *victim = &ledger->side[side];
    atomic_fetch_add(&victim->deaths, 1);
    kill(pids[side], SIGKILL);
    int status;
    while (waitpid(pids[side], &status, __WALL) == pids[side] && WIFSTOPPED(status))
        ;
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail("the %s ended by itself: status %#x", noun[side], (unsigned)status);
    pids[side] = 0;
    bool was_open = atomic_exchange(&victim->going, 0);
    total.early += !was_open;
    settle(side);
    return was_open;
}

/* Leaves the seat empty now and then, until the survivor has noticed. */
static void linger(int side, bool was_open, uint32_t mourned)
{
    struct side *survivor = &ledger->side[!side];
    uint32_t seen = atomic_load(&survivor->saw_full_or_empty);
    if (was_open && draw(128) == 0) {
        uint64_t until = now() + HEARS_WITHIN_S * UINT64_C(1000000000);
        while (atomic_load(&survivor->mourned) == mourned && !has_died(!side) && now() < until)
            pass(100000);
        if (now() >= until)
            fail("the %s waits and waits, and does not hear that its peer has died", noun[!side]);
    }
    if (draw(4) == 0)
        for (int looks = 0; looks < 20 && atomic_load(&survivor->saw_full_or_empty) == seen;
             looks++)
            pass(100000);
}

static void kill_one(void)
{
    int side = (int)draw(SIDES);
    uint32_t mourned = atomic_load(&ledger->side[!side].mourned), how = draw(8);
    if (draw(4))
        while (!atomic_load(&ledger->side[side].going) && is_well())
            sched_yield();
    pass(draw_delay());
    if (how == 0)
        stop((int)draw(SIDES));
    if (how == 1)
        stop(!side);
    kill(pids[!side], SIGCONT);
    if (how == 0 && draw(2)) {
        kill(pids[side], SIGCONT);
        pass(draw_delay());
    }
    if (how == 2 || how == 3)
        step_inside(side);
    linger(side, kill_side(side), mourned);
}

/* Nobody is left: receives the rest, and fills the ring once. */
static void take_stock(void)
{
    uint64_t message[MAX_WORDS], index = atomic_load(&ledger->side[RX].count);
    uint64_t sent = atomic_load(&ledger->side[TX].count);
    uint64_t number = sent + skipped_before(UINT64_MAX);
    rbx_tx tx;
    rbx_rx rx;
    if (rbx_rx_open(&rx, ring) < 0 || rbx_tx_open(&tx, ring) < 0) {
        fail("the parent was refused");
        return;
    }
    while (index < sent && rbx_try_recv(&rx, message) == 0 && check(message, index))
        index++;
    if (index != sent || (draw(2) && rbx_try_recv(&rx, message) != -EAGAIN))
        fail("the ring is empty after %llu of %llu messages", (unsigned long long)index,
             (unsigned long long)sent);
    if (draw(2))
        rbx_rx_close(&rx);
    for (uint64_t i = 0; i < geometry.capacity; i++) {
        make(message, number + i);
        if (rbx_try_send(&tx, message) < 0) {
            fail("a drained ring takes %llu messages only", (unsigned long long)i);
            break;
        }
    }
    if (rx.hold == RBX_HOLD_CLOSED)
        rbx_rx_open(&rx, ring);
    for (uint64_t i = 0; i < geometry.capacity && !atomic_load(&ledger->failures); i++)
        if (rbx_try_recv(&rx, message) < 0 || !check(message, index + i))
            fail("message %llu of a full ring did not come", (unsigned long long)i);
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    total.messages += sent;
}

static void one_round(int number, int kills)
{
    memset(ledger->side, 0, sizeof ledger->side);
    atomic_store(&ledger->gap_count, 0);
    geometry = (rbx_ring_options){.message_size = sizes[number % 4],
                                  .capacity = capacities[number / 4 % 4],
                                  .box.policy = RBX_LAST_ONE_OUT};
    uint32_t tempo = draw(4);
    slow[TX] = tempo == 0;
    slow[RX] = tempo == 1;
    if (rbx_ring_open(&ring, name, &geometry) < 0) {
        fail("a ring could not be made");
        return;
    }
    start(TX);
    start(RX);
    for (int i = 0; i < kills - SIDES && is_well(); i++) {
        kill_one();
        start(pids[TX] == 0 ? TX : RX);
    }
    int first = (int)draw(SIDES);
    kill_side(first);
    kill_side(!first);
    total.mourned += ledger->side[TX].mourned + ledger->side[RX].mourned;
    if (!atomic_load(&ledger->failures))
        take_stock();
    if (rbx_ring_close(ring) < 0)
        fail("the ring could not be closed");
    if (access(path, F_OK) == 0)
        fail("the ring left its name behind");
}

int main(int argc, char **argv)
{
    int kills = argc > 1 ? atoi(argv[1]) : 1000;
    if (kills < 1) {
        fprintf(stderr, "usage: kills [KILLS]\n");
        return 2;
    }
    ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ledger == MAP_FAILED)
        return 1;
    random_state = (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();
    snprintf(name, sizeof name, "t.%d.kills", (int)getpid());
    snprintf(path, sizeof path, "/dev/shm/ringbox.%s", name);
    const int signals[] = {SIGALRM, SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], give_up);
    prctl(PR_SET_TIMERSLACK, 1);
    uint64_t begun = now();
    int done = 0;
    for (int round = 0; done < kills && !atomic_load(&ledger->failures); round++) {
        alarm(WATCHDOG_S);
        one_round(round, KILLS_A_ROUND);
        done += KILLS_A_ROUND;
    }
    printf(
        "%d kills in %.1f s (%llu after steps inside a call, %llu before its end was open), %llu "
        "stops; %llu messages received once; calls in flight sent %llu and dropped %llu, and "
        "lost %llu received; %llu deaths heard of: %u failures\n",
        done, (double)(now() - begun) / 1e9, (unsigned long long)total.inside,
        (unsigned long long)total.early, (unsigned long long)total.stopped,
        (unsigned long long)total.messages, (unsigned long long)total.finished,
        (unsigned long long)total.forgotten, (unsigned long long)total.lost,
        (unsigned long long)total.mourned, ledger->failures);
    if (total.inside == 0)
        printf("SKIP: no process could be stepped with ptrace here\n");
    if (ledger->failures)
        fprintf(stderr, "first failure: %s\n", ledger->first_failure);
    return ledger->failures ? 1 : 0;
}
