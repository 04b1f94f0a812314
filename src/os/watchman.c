/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "watchman.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "clock.h"
#include "eventfd.h"
#include "futex.h"

/* One futex is the watchman's own. */
enum { WATCHED_MAX = RBX_FUTEXES_MAX - 1 };

struct rbx_watchman {
    pthread_t thread;
    _Atomic uint32_t changes; /* a futex: what it watches is another than it thinks */
    _Atomic uint32_t known;   /* a futex: the changes that it knows of */
    unsigned leavers;         /* who wait for that */
    unsigned count;
    struct rbx_watch *first;
    bool is_dismissed;
    struct rbx_watchman *next;
};

/* Held for a moment only, and across fork(). It guards all of the above, and whoever holds it may
   look at any word that is watched: it is taken away under the lock before it goes. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rbx_watchman *watchmen;

static void fork_prepare(void)
{
    pthread_mutex_lock(&lock);
}

static void fork_parent(void)
{
    pthread_mutex_unlock(&lock);
}

/* In a child there are no such threads, and nobody to tell. */
static void fork_child(void)
{
    while (watchmen) {
        struct rbx_watchman *gone = watchmen;
        watchmen = gone->next;
        free(gone);
    }
    pthread_mutex_unlock(&lock);
}

static int fork_handlers;

__attribute__((constructor)) static void install_fork_handlers(void)
{
    fork_handlers = -pthread_atfork(fork_prepare, fork_parent, fork_child);
}

/* No cancellation while it is locked: it would stay so. */
static int enter(void)
{
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    pthread_mutex_lock(&lock);
    return cancel_state;
}

static void leave(int cancel_state)
{
    pthread_mutex_unlock(&lock);
    pthread_setcancelstate(cancel_state, NULL);
}

/* With the lock, which orders it: relaxed. The system call that wakes comes later. */
static void note_change(struct rbx_watchman *watchman)
{
    atomic_fetch_add_explicit(&watchman->changes, 1, memory_order_relaxed);
}

/* --- The watchman's round --- */

static bool is_over(const struct rbx_watch *watch, uint64_t now)
{
    /* Relaxed: who polls the flag looks himself, with the order that he needs. */
    const _Atomic uint32_t *word = watch->word;
    return atomic_load_explicit(word, memory_order_relaxed) != watch->seen ||
           now >= watch->deadline_ns;
}

struct round {
    uint32_t changes;
    struct rbx_futex futexes[RBX_FUTEXES_MAX];
    unsigned count;
    uint64_t deadline_ns;
};

/* Tells those whose time has come; the rest is what to wait for. */
static void go_round(struct rbx_watchman *watchman, struct round *round)
{
    uint64_t now = rbx_clock_monotonic();
    round->deadline_ns = UINT64_MAX;
    round->count = 1;
    /* Relaxed: the lock orders it. */
    round->changes = atomic_load_explicit(&watchman->changes, memory_order_relaxed);
    round->futexes[0] = rbx_futex_of(&watchman->changes, round->changes, true);
    /* Relaxed: it is not what it says that leavers need, but that we have left the kernel. */
    atomic_store_explicit(&watchman->known, round->changes, memory_order_relaxed);
    for (struct rbx_watch *watch = watchman->first; watch; watch = watch->next) {
        if (!watch->word)
            continue;
        if (is_over(watch, now)) {
            watch->word = NULL;
            rbx_eventfd_set(watch->flag);
            continue;
        }
        round->futexes[round->count++] = rbx_futex_of(watch->word, watch->seen, watch->in_process);
        if (watch->deadline_ns < round->deadline_ns)
            round->deadline_ns = watch->deadline_ns;
    }
}

/* Without futex_waitv: until what it watches is another, or for a moment. */
static void nap(const struct rbx_watchman *watchman, const struct round *round)
{
    const uint64_t nap_ns = 1000000;
    rbx_futex_wait(&watchman->changes, round->changes, rbx_clock_monotonic() + nap_ns, true);
}

static void *keep_watch(void *arg)
{
    struct rbx_watchman *watchman = arg;
    struct round round;
    for (;;) {
        pthread_mutex_lock(&lock);
        bool is_dismissed = watchman->is_dismissed;
        bool is_awaited = watchman->leavers > 0;
        if (!is_dismissed)
            go_round(watchman, &round);
        pthread_mutex_unlock(&lock);
        if (is_awaited)
            rbx_futex_wake(&watchman->known, true);
        if (is_dismissed)
            return NULL;
        int err = rbx_futex_wait_any(round.futexes, round.count, round.deadline_ns);
        if (err < 0 && err != -EAGAIN && err != -ETIMEDOUT && err != -EINTR)
            nap(watchman, &round);
    }
}

/* --- Hiring and dismissing --- */

/* With the lock: the first that has room; or a new one, or NULL. */
static struct rbx_watchman *find_watchman(int *err)
{
    for (struct rbx_watchman *one = watchmen; one; one = one->next)
        if (one->count < WATCHED_MAX)
            return one;
    struct rbx_watchman *one = calloc(1, sizeof *one);
    sigset_t all, before;
    *err = -ENOMEM;
    if (!one)
        return NULL;
    sigfillset(&all); /* the program's handlers are for the program's threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    *err = -pthread_create(&one->thread, NULL, keep_watch, one);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (*err < 0) {
        free(one);
        return NULL;
    }
    one->next = watchmen;
    watchmen = one;
    return one;
}

int rbx_watch_open(struct rbx_watch *watch, int flag)
{
    *watch = (struct rbx_watch){.flag = flag};
    if (fork_handlers < 0)
        return fork_handlers;
    int err = 0, state = enter();
    watch->watchman = find_watchman(&err);
    if (watch->watchman) {
        watch->next = watch->watchman->first;
        watch->watchman->first = watch;
        watch->watchman->count++;
        err = 0;
    }
    leave(state);
    return err;
}

void rbx_watch_word(struct rbx_watch *watch, const void *word, uint32_t seen, bool in_process,
                    uint64_t deadline_ns)
{
    int state = enter();
    watch->word = word;
    watch->seen = seen;
    watch->in_process = in_process;
    watch->deadline_ns = deadline_ns;
    note_change(watch->watchman);
    leave(state);
    rbx_futex_wake(&watch->watchman->changes, true);
}

static void remove_from_list(struct rbx_watch *watch)
{
    struct rbx_watch **at = &watch->watchman->first;
    while (*at != watch)
        at = &(*at)->next;
    *at = watch->next;
}

/*
 * Until the watchman has come back from a sleep on words that are not watched any more: it would
 * take the wake-up of whoever waits next at such an address, where that is for one. With the lock,
 * which it lets go of meanwhile; the caller is counted still, so that the watchman stays.
 */
static void wait_for_next_round(struct rbx_watchman *watchman)
{
    watchman->leavers++;
    note_change(watchman);
    /* Relaxed, here and below: see go_round; and it is we who have changed it. */
    uint32_t change = atomic_load_explicit(&watchman->changes, memory_order_relaxed), known;
    pthread_mutex_unlock(&lock);
    rbx_futex_wake(&watchman->changes, true);
    while (known = atomic_load_explicit(&watchman->known, memory_order_relaxed),
           (int32_t)(known - change) < 0)
        (void)rbx_futex_wait(&watchman->known, known, UINT64_MAX, true);
    pthread_mutex_lock(&lock);
    watchman->leavers--;
}

/* With the lock: whoever has nobody left to watch for goes. */
static bool dismiss_idle(struct rbx_watchman *watchman)
{
    struct rbx_watchman **at = &watchmen;
    if (watchman->count > 0)
        return false;
    while (*at != watchman)
        at = &(*at)->next;
    *at = watchman->next;
    watchman->is_dismissed = true;
    note_change(watchman);
    return true;
}

void rbx_watch_close(struct rbx_watch *watch)
{
    struct rbx_watchman *watchman = watch->watchman;
    if (!watchman)
        return;
    int state = enter();
    remove_from_list(watch);
    if (watch->word && watchman->count > 1)
        wait_for_next_round(watchman);
    watchman->count--;
    bool was_last = dismiss_idle(watchman);
    leave(state);
    watch->watchman = NULL;
    if (!was_last)
        return;
    rbx_futex_wake(&watchman->changes, true);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    pthread_join(watchman->thread, NULL);
    pthread_setcancelstate(state, NULL);
    free(watchman);
}
