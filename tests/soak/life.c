/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* life.c: a participant, from its start to its end; what it does in between is the game's. */
#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../support/refuse.h"
#include "soak.h"

struct me me;

uint32_t draw(uint32_t below)
{
    return draw_from(&me.random_state, below);
}

bool is_doomed(uint32_t life)
{
    return life < LIVES && atomic_load(&ledger->doomed[life]);
}

/* --- What it may not do --- */

/* This system call, or only with this bit in its first argument. */
static void refuse(int number, unsigned command)
{
    bool works = refuse_syscall(number, EPERM, command == 0 ? -1 : 0, command);
    atomic_fetch_add(works ? &ledger->refused : &ledger->not_refused, 1);
}

static void refuse_something(void)
{
    switch (draw(16)) {
    case 0:
        refuse(SYS_membarrier, 0);
        break;
    case 1:
        refuse(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED);
        break;
    case 2:
        refuse(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED);
        break;
    case 3:
        refuse(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
        break;
    case 4:
        me.refuses_later = 1 + draw(2000);
        break;
    case 5:
        refuse(SYS_sched_getaffinity, 0);
        refuse(SYS_sched_yield, 0);
        break;
    default:
        break;
    }
}

/* --- Waiting --- */

/*
 * The library looks up from its sleep now and then, and so makes a lost wake-up good. Where nobody
 * dies nobody needs that: there who waits for ever sleeps for ever. But for its first sleep, which
 * is short since membarrier may have left out somebody (src/os/thread.h), and those that are for
 * one who is stopped in a call.
 */
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    enum { LONG_NS = 150000000, HOURS_S = 7200 };
    struct timespec until;
    if (me.is_forever && round_now.is_calm && number == SYS_futex &&
        ((int)b & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET) {
        memcpy(&until, (const void *)(uintptr_t)d, sizeof until);
        if ((uint64_t)until.tv_sec * 1000000000U + (uint64_t)until.tv_nsec > now() + LONG_NS) {
            until.tv_sec += HOURS_S;
            d = (long)(uintptr_t)&until;
        }
    }
    return __real_syscall(number, a, b, c, d, e, f);
}

uint64_t draw_timeout(void)
{
    static const uint32_t most[] = {1, 100000, 5000000};
    return draw(2) ? RBX_FOREVER : draw(most[draw(3)]);
}

void does(const char *call, bool is_forever)
{
    me.is_forever = is_forever;
    atomic_store_explicit(&me.slot->doing, call, memory_order_relaxed);
}

void did(void)
{
    me.is_forever = false;
    atomic_store_explicit(&me.slot->doing, "nothing", memory_order_relaxed);
}

void dawdle(void)
{
    bool is_slow = round_now.tempo & (me.is_first_out ? 1 : 2);
    uint32_t drawn = draw(is_slow ? 8 : 2048);
    if (drawn == 0)
        pass(draw(200000));
    else if (drawn == 1)
        sched_yield();
    else if (draw(64) == 0)
        pass(draw(2000));
    if (me.refuses_later > 0 && --me.refuses_later == 0)
        refuse(SYS_membarrier, 0);
}

void hold(const char *what)
{
    does(what, false);
    if (draw(8) == 0)
        pass(draw(20000));
    dawdle();
}

bool feels_like_leaving(void)
{
    if (phase() != RUN || draw(20000) != 0)
        return false;
    /* Either this sees that it is needed, or the controller that it leaves. */
    atomic_store(&me.slot->leaves, 1);
    if (phase() == RUN)
        return true;
    atomic_store(&me.slot->leaves, 0);
    return false;
}

/* --- Beginning and end --- */

static void do_nothing(int signal)
{
    (void)signal;
}

_Noreturn void live(unsigned slot, uint32_t life, uint32_t nth, pid_t parent)
{
    const int ignored[] = {SIGINT, SIGTERM, SIGHUP};
    sigset_t none;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = do_nothing}, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_TIMERSLACK, 1);
    me = (struct me){.slot = &ledger->slot[slot],
                     .number = slot,
                     .life = life,
                     .is_first_out = slot < round_now.first_out};
    me.random_state = mix(round_now.seed ^ mix((uint64_t)slot << 32 | nth));
    refuse_something();
    unsigned before = descriptors();
    round_now.game->play();
    unsigned after = descriptors() + me.closed;
    if (after != before && is_well())
        fail("a participant leaves %u descriptors open, of %u", after - before, after);
    _exit(0);
}
