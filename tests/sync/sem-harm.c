/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Semaphores in memory of the caller's, in damaged memory, and among processes that are killed. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../support/support.h"
#include "os/clock.h"
#include "os/mutex.h"
#include "sem/set.h"

TestSuite(sem_harm, .timeout = 120);

static rbx_sem *opened_sem(const char *name, uint32_t count, uint32_t initial)
{
    rbx_sem *sem;
    const rbx_sem_options options = {.count = count, .initial = initial};
    succeeds(rbx_sem_open(&sem, name, &options));
    return sem;
}

static void closes(rbx_sem *sem)
{
    succeeds(rbx_sem_close(sem));
}

#define has(sem, index, units) cr_assert_eq(rbx_sem_value((sem), (index)), (units))

/* ---- memory ---------------------------------------------------------------------------------- */

Test(sem_harm, a_set_lives_in_a_box_that_it_keeps_open)
{
    const rbx_sem_options options = {.count = 100, .initial = 7, .seats = 2};
    rbx_box *box = made(own_name("box"), 64 + rbx_sem_bytes(&options));
    char *memory = (char *)rbx_box_data(box) + 64;
    size_t size = rbx_box_size(box) - 64;
    rbx_sem *sem, *other;
    succeeds(rbx_sem_init(memory, size, &options));
    succeeds(rbx_sem_attach(&sem, box, memory, size));
    succeeds(rbx_sem_attach(&other, box, memory, size));
    succeeds(rbx_sem_wait(sem, 99, RBX_SEM_UNDO));
    succeeds(rbx_sem_wait(other, 99, RBX_SEM_UNDO));
    refuses(-EBUSY, "attached", rbx_box_close(box));
    has(sem, 99, 5);
    closes(other);
    has(sem, 99, 6);
    closes(sem);
    succeeds(rbx_box_close(box));
}

static int takes_and_closes(void *memory)
{
    rbx_sem *sem;
    if (rbx_sem_attach(&sem, NULL, memory, 8192) < 0 || rbx_sem_wait(sem, 0, RBX_SEM_UNDO) < 0 ||
        rbx_sem_value(sem, 0) != 1)
        return 1;
    return rbx_sem_close(sem);
}

Test(sem_harm, a_set_lives_in_memory_that_is_in_no_box)
{
    void *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(memory, MAP_FAILED);
    const rbx_sem_options options = {.initial = 3};
    rbx_sem *sem;
    succeeds(rbx_sem_init(memory, 8192, &options));
    succeeds(rbx_sem_attach(&sem, NULL, memory, 8192));
    succeeds(rbx_sem_wait(sem, 0, RBX_SEM_UNDO));
    cr_assert_eq(in_child(takes_and_closes, memory), 0);
    has(sem, 0, 2);
    closes(sem);
    succeeds(rbx_sem_attach(&sem, NULL, memory, 8192));
    has(sem, 0, 3);
    closes(sem);
    munmap(memory, 8192);
}

Test(sem_harm, what_is_no_set_is_refused)
{
    const char *name = own_name("sem");
    rbx_sem *sem;
    rbx_box *box = made(name, 4096);
    char *data = rbx_box_data(box);
    refuses(-EPROTO, "no semaphore", rbx_sem_open(&sem, name, NULL));
    cr_assert_null(sem);
    refuses(-EPROTO, "no semaphore", rbx_sem_attach(&sem, box, data, 4096));
    refuses(-EINVAL, "aligned", rbx_sem_init(data + 8, 4000, NULL));
    refuses(-EINVAL, "bytes, not 64", rbx_sem_init(data, 64, NULL));
    succeeds(rbx_mutex_init(data, 4096, NULL));
    refuses(-EPROTO, "something else", rbx_sem_attach(&sem, box, data, 4096));
    succeeds(rbx_box_close(box));
}

Test(sem_harm, a_damaged_header_is_refused)
{
    _Alignas(64) char memory[8192] = {0};
    const rbx_sem_options options = {.count = 3, .seats = 3};
    succeeds(rbx_sem_init(memory, sizeof memory, &options));
    for (size_t at = 0; at < 48; at++) { /* the header, but for its reserved bytes */
        _Alignas(64) char bad[sizeof memory];
        rbx_sem *sem;
        memcpy(bad, memory, sizeof bad);
        bad[at] = (char)(bad[at] ^ 0x7e);
        refuses(-EPROTO, "", rbx_sem_attach(&sem, NULL, bad, sizeof bad));
    }
}

/* ---- nonsense -------------------------------------------------------------------------------- */

static struct rbx_sem_set *inside(rbx_sem *sem)
{
    return rbx_sem_set_of(sem);
}

Test(sem_harm, nonsense_in_a_member_is_told)
{
    rbx_sem *sem = opened_sem(own_name("sem"), 2, 1);
    rbx_store_relaxed(&inside(sem)->members[1].value, 0x80000000U);
    refuses(-EPROTO, "damaged: member 1", rbx_sem_value(sem, 1));
    refuses(-EPROTO, "damaged: member 1", rbx_sem_wait(sem, 1, 0));
    refuses(-EPROTO, "damaged: member 1", rbx_sem_add(sem, 1, 1));
    refuses(-EPROTO, "damaged: member 1", rbx_sem_wait_zero(sem, 1, 0));
    has(sem, 0, 1);
    closes(sem);
}

Test(sem_harm, nonsense_in_an_account_is_told)
{
    const char *name = own_name("sem");
    rbx_sem *sem = opened_sem(name, 2, 1), *holder = opened_sem(name, 2, 1);
    rbx_sem_info info;
    succeeds(rbx_sem_wait(holder, 0, RBX_SEM_UNDO));
    rbx_store_relaxed(&rbx_sem_set_account(sem, 0)[1], 0xffffffffU);
    refuses(-EPROTO, "account of seat 0", rbx_sem_describe(sem, &info));
    closes(holder);
    refuses(-EPROTO, "account of seat 0", rbx_sem_wait(sem, 0, RBX_SEM_UNDO));
    closes(sem);
}

struct end {
    const char *name;
    struct rbx_sem_change change;
};

/* Dies with the lock in its hands, when it has said in the journal what it would do. */
static int dies_in_a_change(void *arg)
{
    const struct end *end = arg;
    rbx_sem *sem;
    if (rbx_sem_open(&sem, end->name, NULL) < 0 || rbx_sem_wait(sem, 0, RBX_SEM_UNDO) < 0 ||
        rbx_sem_set_lock(sem, RBX_FOREVER) < 0)
        return 1;
    struct rbx_sem_journal *journal = &inside(sem)->journal;
    rbx_store_relaxed(&journal->member, end->change.member);
    rbx_store_relaxed(&journal->value, end->change.value);
    rbx_store_relaxed(&journal->seat, end->change.seat);
    rbx_store_relaxed(&journal->account, end->change.account);
    rbx_store_release(&journal->valid, 1);
    raise(SIGKILL);
    return 1;
}

static rbx_sem *orphaned(struct rbx_sem_change change)
{
    struct end end = {.name = own_name("sem"), .change = change};
    rbx_sem *sem = opened_sem(end.name, 3, 10);
    struct child holder = start_running(dies_in_a_change, &end);
    cr_assert_eq(reap(&holder), 128 + SIGKILL);
    return sem;
}

Test(sem_harm, a_change_that_a_death_interrupted_is_done_whole)
{
    /* It had one unit of member 0; it is about to have three of member 1. */
    rbx_sem *sem = orphaned((struct rbx_sem_change){.member = 1, .value = 7, .account = 3});
    has(sem, 1, 7);
    has(sem, 0, 9);
    rbx_sem_info info;
    succeeds(rbx_sem_describe(sem, &info));
    cr_assert_eq(info.undo_units, 0);
    has(sem, 0, 10);
    has(sem, 1, 10);
    closes(sem);
}

Test(sem_harm, a_journal_of_nonsense_leads_nowhere)
{
    static const struct rbx_sem_change nonsense[] = {
        {.member = 3, .seat = RBX_SEM_NOBODY},
        {.member = UINT32_MAX, .seat = RBX_SEM_NOBODY},
        {.value = RBX_SEM_MAX + 1, .seat = RBX_SEM_NOBODY},
        {.seat = 32},
        {.seat = UINT32_MAX - 1},
        {.seat = 0, .account = RBX_SEM_MAX + 1},
    };
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
        rbx_sem *sem = orphaned(nonsense[i]);
        refuses(-EPROTO, "journal", rbx_sem_add(sem, 0, 1));
        refuses(-EPROTO, "lock cannot be had", rbx_sem_add(sem, 0, 1));
        refuses(-EPROTO, "damaged", rbx_sem_wait(sem, 0, RBX_SEM_UNDO));
        closes(sem);
    }
}

Test(sem_harm, a_change_between_a_look_and_a_sleep_is_not_slept_through)
{
    const char *name = own_name("sem");
    rbx_sem *sem = opened_sem(name, 1, 0), *other = opened_sem(name, 1, 0);
    succeeds(rbx_sem_set_lock(sem, RBX_FOREVER));
    uint32_t bell = rbx_sem_set_announce(sem, 0);
    rbx_sem_set_unlock(sem);
    succeeds(rbx_sem_add(other, 0, 1));
    succeeds(rbx_sem_wait(other, 0, 0));
    succeeds(rbx_sem_set_lock(other, RBX_FOREVER)); /* which is about to sleep, too */
    rbx_sem_set_announce(other, 0);
    rbx_sem_set_unlock(other);
    cr_assert_eq(rbx_sem_set_sleep(sem, 0, bell, rbx_clock_monotonic() + RBX_SLICE_NS), 0);
    closes(other);
    closes(sem);
}

/* ---- a process that is stopped with the lock in its hands ------------------------------------ */

static int keeps_the_lock(void *name)
{
    rbx_sem *sem;
    return rbx_sem_open(&sem, name, NULL) < 0 || rbx_sem_wait(sem, 0, RBX_SEM_UNDO) < 0 ||
           rbx_sem_set_lock(sem, RBX_FOREVER) < 0;
}

Test(sem_harm, one_that_is_stopped_in_a_call_keeps_nobody_longer_than_they_would_wait)
{
    const char *name = own_name("sem");
    rbx_sem *sem = opened_sem(name, 1, 3), *other = opened_sem(name, 1, 3);
    succeeds(rbx_sem_wait(other, 0, RBX_SEM_UNDO));
    struct child holder = start(keeps_the_lock, (void *)(uintptr_t)name);
    refuses(-EAGAIN, "in other hands", rbx_sem_try_wait(sem, 0, 0));
    refuses(-ETIMEDOUT, "in other hands", rbx_sem_wait_for(sem, 0, 0, 1000000));
    closes(other); /* leaves its unit to the others */
    murder(&holder);
    rbx_sem_info info;
    succeeds(rbx_sem_describe(sem, &info));
    cr_assert_eq(info.undo_units, 0);
    has(sem, 0, 3);
    closes(sem);
}

/* ---- many processes, killed at random -------------------------------------------------------- */

enum { MEMBERS = 3, WORKERS = 4, KILLS = 300 };

static const uint32_t at_first[MEMBERS] = {2, 3, 5};

static int takes_and_gives_for_ever(void *name)
{
    rbx_sem *sem;
    if (rbx_sem_open(&sem, name, NULL) < 0)
        return 1;
    unsigned seed = (unsigned)getpid();
    for (unsigned round = 0;; round++) {
        uint32_t one = (uint32_t)rand_r(&seed) % MEMBERS, other = (uint32_t)rand_r(&seed) % MEMBERS;
        uint32_t n = 1 + (uint32_t)rand_r(&seed) % 2;
        int err = rbx_sem_take(sem, one, n, RBX_SEM_UNDO, 1000000);
        if (err < 0 && err != -ETIMEDOUT)
            return 2;
        if (rbx_sem_try_wait(sem, other, RBX_SEM_UNDO) == 0 && rbx_sem_done(sem, other) < 0)
            return 3;
        if (err == 0 && rbx_sem_give(sem, one, n) < 0)
            return 4;
        if (round % 64 == 63 && (rbx_sem_close(sem) < 0 || rbx_sem_open(&sem, name, NULL) < 0))
            return 5;
    }
}

Test(sem_harm, all_units_come_back_from_processes_that_are_killed_at_any_moment)
{
    const char *name = own_name("sem");
    const rbx_sem_options options = {.count = MEMBERS, .values = at_first, .seats = WORKERS};
    rbx_sem *sem;
    succeeds(rbx_sem_open(&sem, name, &options));
    struct child workers[WORKERS];
    for (int i = 0; i < WORKERS; i++)
        workers[i] = start_running(takes_and_gives_for_ever, (void *)(uintptr_t)name);
    unsigned seed = 1;
    for (int i = 0; i < KILLS; i++) {
        int victim = rand_r(&seed) % WORKERS;
        usleep((useconds_t)(rand_r(&seed) % 4000));
        if (i % 3 == 0) /* all at once: nobody is left to see to it but we */
            for (int k = 0; k < WORKERS; k++)
                kill(workers[k].pid, SIGSTOP);
        kill(workers[victim].pid, SIGKILL);
        cr_assert_eq(reap(&workers[victim]), 128 + SIGKILL, "a call failed");
        workers[victim] = start_running(takes_and_gives_for_ever, (void *)(uintptr_t)name);
        for (int k = 0; k < WORKERS; k++)
            kill(workers[k].pid, SIGCONT);
        if (i % 10 != 0)
            continue;
        for (int k = 0; k < WORKERS; k++)
            murder(&workers[k]);
        rbx_sem_info info;
        succeeds(rbx_sem_describe(sem, &info));
        cr_assert_eq(info.holders, 0);
        cr_assert_eq(info.undo_units, 0);
        for (uint32_t k = 0; k < MEMBERS; k++)
            has(sem, k, (int)at_first[k]);
        for (int k = 0; k < WORKERS; k++)
            workers[k] = start_running(takes_and_gives_for_ever, (void *)(uintptr_t)name);
    }
    for (int k = 0; k < WORKERS; k++)
        murder(&workers[k]);
    succeeds(rbx_sem_take(sem, 2, at_first[2], 0, RBX_FOREVER));
    closes(sem);
}
