/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/support.h"
#include "os/mutex.h"
#include "sem/set.h"

TestSuite(sem, .timeout = 60);

static const char *const no_name;
enum { A_MOMENT_NS = 20000000 };

static rbx_sem *opened_sem(const char *name, uint32_t count, uint32_t initial)
{
    rbx_sem *sem;
    const rbx_sem_options options = {.count = count, .initial = initial};
    succeeds(rbx_sem_open(&sem, name, &options));
    return sem;
}

static rbx_sem *joined_sem(const char *name)
{
    rbx_sem *sem;
    const rbx_sem_options options = {.box = {.how = RBX_OPEN_ONLY}};
    succeeds(rbx_sem_open(&sem, name, &options));
    return sem;
}

static void closes(rbx_sem *sem)
{
    succeeds(rbx_sem_close(sem));
}

#define has(sem, index, units) cr_assert_eq(rbx_sem_value((sem), (index)), (units))

static rbx_sem_info described(rbx_sem *sem)
{
    rbx_sem_info info;
    succeeds(rbx_sem_describe(sem, &info));
    return info;
}

/* ---- counting -------------------------------------------------------------------------------- */

Test(sem, has_as_many_units_as_were_put_in_and_not_taken)
{
    rbx_sem *sem = opened_sem(own_name("sem"), 0, 2);
    has(sem, 0, 2);
    succeeds(rbx_sem_wait(sem, 0, 0));
    succeeds(rbx_sem_try_wait(sem, 0, RBX_SEM_UNDO));
    has(sem, 0, 0);
    refuses(-EAGAIN, "fewer than 1", rbx_sem_try_wait(sem, 0, 0));
    refuses(-ETIMEDOUT, "as long as", rbx_sem_wait_for(sem, 0, 0, A_MOMENT_NS));
    succeeds(rbx_sem_add(sem, 0, 5));
    has(sem, 0, 5);
    succeeds(rbx_sem_done(sem, 0));
    succeeds(rbx_sem_done(sem, 0));
    has(sem, 0, 7);
    closes(sem);
    closes(NULL);
}

Test(sem, may_be_a_set_of_members_that_are_counted_one_by_one)
{
    rbx_sem *sem;
    const uint32_t values[] = {1, 0, 7};
    const rbx_sem_options options = {.count = 3, .values = values};
    succeeds(rbx_sem_open(&sem, own_name("sem"), &options));
    for (uint32_t i = 0; i < 3; i++)
        has(sem, i, (int)values[i]);
    succeeds(rbx_sem_add(sem, 1, 2));
    succeeds(rbx_sem_wait(sem, 2, 0));
    cr_assert_eq(rbx_sem_done(sem, 1), -EPERM);
    has(sem, 0, 1);
    has(sem, 1, 2);
    has(sem, 2, 6);
    cr_assert_eq(described(sem).members, 3);
    closes(sem);
}

Test(sem, gives_many_units_at_once_or_none)
{
    rbx_sem *sem = opened_sem(own_name("sem"), 1, 5);
    refuses(-ETIMEDOUT, "fewer than 6", rbx_sem_take(sem, 0, 6, RBX_SEM_UNDO, A_MOMENT_NS));
    has(sem, 0, 5);
    succeeds(rbx_sem_take(sem, 0, 4, RBX_SEM_UNDO, RBX_FOREVER));
    has(sem, 0, 1);
    refuses(-EPERM, "has not taken 5", rbx_sem_give(sem, 0, 5));
    succeeds(rbx_sem_give(sem, 0, 3));
    succeeds(rbx_sem_done(sem, 0));
    has(sem, 0, 5);
    closes(sem);
}

Test(sem, takes_back_only_what_was_taken_through_this_handle)
{
    const char *name = own_name("sem");
    rbx_sem *one = opened_sem(name, 1, 3), *other = joined_sem(name);
    refuses(-EPERM, "rbx_sem_add", rbx_sem_done(one, 0));
    succeeds(rbx_sem_wait(one, 0, 0));
    succeeds(rbx_sem_wait(one, 0, RBX_SEM_UNDO));
    refuses(-EPERM, "has not taken", rbx_sem_done(other, 0));
    succeeds(rbx_sem_done(one, 0)); /* what is on undo goes first */
    cr_assert_eq(described(one).undo_units, 0);
    succeeds(rbx_sem_done(one, 0));
    refuses(-EPERM, "has not taken", rbx_sem_done(one, 0));
    has(one, 0, 3);
    closes(one);
    closes(other);
}

Test(sem, tells_mistakes_instead_of_making_them)
{
    rbx_sem *sem = opened_sem(own_name("sem"), 3, 1);
    refuses(-EINVAL, "no member 3: it has 3", rbx_sem_wait(sem, 3, 0));
    refuses(-EINVAL, "no member 4294967295", rbx_sem_value(sem, (uint32_t)-1));
    refuses(-EINVAL, "no member 3", rbx_sem_add(sem, 3, 1));
    refuses(-EINVAL, "no member 3", rbx_sem_done(sem, 3));
    refuses(-EINVAL, "no member 3", rbx_sem_wait_zero(sem, 3, 0));
    refuses(-EINVAL, "0 is no number", rbx_sem_add(sem, 0, 0));
    refuses(-EINVAL, "0 is no number", rbx_sem_take(sem, 0, 0, 0, 0));
    refuses(-EINVAL, "4294967295 is no number", rbx_sem_add(sem, 0, (uint32_t)-1));
    refuses(-EINVAL, "2147483648 is no number", rbx_sem_take(sem, 0, 2147483648U, 0, 0));
    refuses(-EINVAL, "flags", rbx_sem_wait(sem, 0, 2));
    refuses(-EOVERFLOW, "more than 2147483647", rbx_sem_add(sem, 0, RBX_SEM_MAX));
    has(sem, 0, 1);
    succeeds(rbx_sem_add(sem, 0, RBX_SEM_MAX - 1));
    has(sem, 0, INT32_MAX);
    refuses(-EOVERFLOW, "more than", rbx_sem_add(sem, 0, 1));
    succeeds(rbx_sem_wait(sem, 0, RBX_SEM_UNDO));
    succeeds(rbx_sem_add(sem, 0, 1));
    refuses(-EOVERFLOW, "more than", rbx_sem_done(sem, 0));
    cr_assert_eq(described(sem).undo_units, 1, "it is still held");
    refuses(-EOVERFLOW, "more than", rbx_sem_take(sem, 0, RBX_SEM_MAX, RBX_SEM_UNDO, 0));
    closes(sem);
}

Test(sem, refuses_options_that_make_no_sense)
{
    rbx_sem *sem;
    const char *name = own_name("sem");
    const rbx_sem_options members = {.count = RBX_SEM_MEMBERS_MAX + 1},
                          seats = {.seats = RBX_SEM_SEATS_MAX + 1},
                          initial = {.initial = RBX_SEM_MAX + 1}, remove = {.remove = true},
                          sized = {.box = {.size = 1}}, read_only = {.box = {.read_only = true}};
    refuses(-EINVAL, "32001 members", rbx_sem_open(&sem, name, &members));
    refuses(-EINVAL, "4097 seats", rbx_sem_open(&sem, name, &seats));
    refuses(-EINVAL, "2147483648 units", rbx_sem_open(&sem, name, &initial));
    refuses(-EINVAL, ".remove", rbx_sem_open(&sem, name, &remove));
    refuses(-EINVAL, "not yours", rbx_sem_open(&sem, name, &sized));
    refuses(-EINVAL, "read-only", rbx_sem_open(&sem, name, &read_only));
    cr_assert_null(sem);
    cr_assert_eq(rbx_sem_bytes(&members), 0);
}

Test(sem, refuses_other_numbers_than_those_of_the_set_naming_both)
{
    const char *name = own_name("sem");
    rbx_sem *sem = opened_sem(name, 3, 1), *other;
    const rbx_sem_options four = {.count = 4}, seats = {.seats = 5}, any = {.initial = 9};
    refuses(-EPROTO, "has 3 members; this program asked for 4", rbx_sem_open(&other, name, &four));
    refuses(-EPROTO, "has 32 seats; this program asked for 5", rbx_sem_open(&other, name, &seats));
    succeeds(rbx_sem_open(&other, name, &any));
    has(other, 2, 1);
    closes(other);
    closes(sem);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static int waits_for_one(void *name)
{
    rbx_sem *sem;
    if (rbx_sem_open(&sem, name, NULL) < 0 || rbx_sem_wait(sem, 0, 0) < 0)
        return 1;
    return rbx_sem_close(sem) < 0;
}

Test(sem, wakes_as_many_waiters_as_it_gets_units)
{
    const char *name = own_name("sem");
    enum { WAITERS = 4 };
    rbx_sem *sem = opened_sem(name, 1, 0);
    struct child waiters[WAITERS];
    for (int i = 0; i < WAITERS; i++)
        waiters[i] = start_running(waits_for_one, (void *)(uintptr_t)name);
    succeeds(rbx_sem_add(sem, 0, WAITERS));
    for (int i = 0; i < WAITERS; i++) {
        cr_assert_eq(said(&waiters[i]), 0);
        cr_assert_eq(finish(&waiters[i]), 0);
    }
    has(sem, 0, 0);
    closes(sem);
}

enum { ROUNDS = 500 };

static int answers_every_round(void *name)
{
    rbx_sem *sem;
    if (rbx_sem_open(&sem, name, NULL) < 0)
        return 1;
    for (int i = 0; i < ROUNDS; i++)
        if (rbx_sem_wait(sem, 0, RBX_SEM_UNDO) < 0 || rbx_sem_add(sem, 1, 1) < 0 ||
            rbx_sem_done(sem, 0) < 0 || rbx_sem_wait(sem, 0, 0) < 0)
            return 1;
    return rbx_sem_close(sem);
}

Test(sem, wakes_a_waiter_at_once_and_not_only_after_a_slice)
{
    const char *name = own_name("sem");
    rbx_sem *sem = opened_sem(name, 2, 0);
    struct child other = start_running(answers_every_round, (void *)(uintptr_t)name);
    for (int i = 0; i < ROUNDS; i++) { /* each a slice long, they would outlast this test */
        succeeds(rbx_sem_add(sem, 0, 1));
        succeeds(rbx_sem_wait(sem, 1, 0));
        succeeds(rbx_sem_wait_zero(sem, 0, RBX_FOREVER));
    }
    cr_assert_eq(said(&other), 0);
    cr_assert_eq(finish(&other), 0);
    closes(sem);
}

static pid_t first_thread;

static void *puts_one_in_later(void *sem)
{
    await_sleep_of(first_thread);
    return (void *)(intptr_t)rbx_sem_add(sem, 0, 1);
}

Test(sem, without_a_name_is_for_the_threads_of_this_process)
{
    rbx_sem *sem = opened_sem(no_name, 1, 0);
    pthread_t thread;
    first_thread = gettid();
    cr_assert_eq(pthread_create(&thread, NULL, puts_one_in_later, sem), 0);
    succeeds(rbx_sem_wait(sem, 0, RBX_SEM_UNDO));
    pthread_join(thread, NULL);
    succeeds(rbx_sem_done(sem, 0));
    closes(sem);
}

static void ignore(int number)
{
    (void)number;
}

Test(sem, ends_a_wait_when_a_signal_handler_has_run)
{
    rbx_sem *sem = opened_sem(own_name("sem"), 1, 0);
    struct sigaction action = {.sa_handler = ignore};
    sigaction(SIGALRM, &action, NULL);
    ualarm(20000, 20000); /* again and again, lest one comes before the sleep */
    int err = rbx_sem_wait(sem, 0, RBX_SEM_UNDO);
    ualarm(0, 0);
    cr_assert_eq(err, -EINTR);
    closes(sem);
}

static int does_three_jobs(void *name)
{
    rbx_sem *sem;
    if (rbx_sem_open(&sem, name, NULL) < 0)
        return 1;
    for (int i = 0; i < 3; i++)
        if (rbx_sem_wait(sem, 0, 0) < 0)
            return 1;
    return 0;
}

Test(sem, can_be_waited_for_until_it_has_no_units)
{
    const char *name = own_name("sem");
    rbx_sem *sem = opened_sem(name, 1, 3);
    refuses(-ETIMEDOUT, "had units", rbx_sem_wait_zero(sem, 0, 0));
    struct child worker = start_running(does_three_jobs, (void *)(uintptr_t)name);
    succeeds(rbx_sem_wait_zero(sem, 0, RBX_FOREVER));
    has(sem, 0, 0);
    cr_assert_eq(said(&worker), 0);
    cr_assert_eq(finish(&worker), 0);
    closes(sem);
}

/* ---- undo ------------------------------------------------------------------------------------ */

static int takes_two_on_undo_and_one_for_good(void *name)
{
    rbx_sem *sem;
    if (rbx_sem_open(&sem, name, NULL) < 0)
        return 1;
    return rbx_sem_take(sem, 0, 2, RBX_SEM_UNDO, RBX_FOREVER) < 0 || rbx_sem_wait(sem, 0, 0) < 0;
}

Test(sem, gets_back_what_a_killed_process_had_on_undo_and_nothing_else)
{
    const char *name = own_name("sem");
    rbx_sem *sem = opened_sem(name, 2, 3);
    struct child holder = start(takes_two_on_undo_and_one_for_good, (void *)(uintptr_t)name);
    has(sem, 0, 0);
    rbx_sem_info info = described(sem);
    cr_assert_eq(info.holders, 1);
    cr_assert_eq(info.undo_units, 2);
    cr_assert_eq(info.suspects, 0);
    cr_assert_eq(info.seats, 32);
    refuses(-EAGAIN, "fewer", rbx_sem_try_wait(sem, 0, 0));
    murder(&holder);
    succeeds(rbx_sem_take(sem, 0, 2, 0, 0));
    refuses(-EAGAIN, "fewer", rbx_sem_try_wait(sem, 0, 0));
    has(sem, 1, 3);
    info = described(sem);
    cr_assert_eq(info.holders, 0);
    cr_assert_eq(info.undo_units, 0);
    closes(sem);
}

Test(sem, wakes_who_waits_when_a_holder_is_killed)
{
    const char *name = own_name("sem");
    rbx_sem *sem = opened_sem(name, 1, 3);
    struct child holder = start(takes_two_on_undo_and_one_for_good, (void *)(uintptr_t)name);
    struct child waiter = start_running(waits_for_one, (void *)(uintptr_t)name);
    await_sleep_of(waiter.pid);
    murder(&holder);
    cr_assert_eq(said(&waiter), 0);
    cr_assert_eq(finish(&waiter), 0);
    has(sem, 0, 1);
    closes(sem);
}

Test(sem, leaves_a_stopped_process_what_it_holds)
{
    const char *name = own_name("sem");
    rbx_sem *sem = opened_sem(name, 1, 3);
    struct child holder = start(takes_two_on_undo_and_one_for_good, (void *)(uintptr_t)name);
    kill(holder.pid, SIGSTOP);
    cr_assert_eq(rbx_sem_wait_for(sem, 0, 0, 2 * RBX_SLICE_NS), -ETIMEDOUT);
    cr_assert_eq(described(sem).undo_units, 2);
    kill(holder.pid, SIGCONT);
    cr_assert_eq(finish(&holder), 0);
    succeeds(rbx_sem_wait(sem, 0, 0)); /* it ended without closing */
    closes(sem);
}

Test(sem, gets_back_what_a_closed_handle_had_on_undo_and_nothing_else)
{
    const char *name = own_name("sem");
    rbx_sem *sem = opened_sem(name, 3, 5), *two = joined_sem(name), *three = joined_sem(name);
    succeeds(rbx_sem_take(two, 0, 2, RBX_SEM_UNDO, 0));
    succeeds(rbx_sem_take(two, 2, 5, RBX_SEM_UNDO, 0));
    succeeds(rbx_sem_take(two, 1, 2, 0, 0));
    succeeds(rbx_sem_wait(three, 0, RBX_SEM_UNDO));
    cr_assert_eq(described(sem).holders, 2, "two handles of one process");
    closes(two);
    has(sem, 0, 4);
    has(sem, 1, 3);
    has(sem, 2, 5);
    cr_assert_eq(described(sem).undo_units, 1);
    closes(three);
    has(sem, 0, 5);
    closes(sem);
}

Test(sem, has_no_more_holders_than_seats_and_the_dead_keep_none)
{
    const char *name = own_name("sem");
    rbx_sem *sem, *other, *viewer;
    const rbx_sem_options options = {.count = 2, .initial = 9, .seats = 1};
    succeeds(rbx_sem_open(&sem, name, &options));
    other = joined_sem(name);
    viewer = joined_sem(name);
    struct child holder = start(takes_two_on_undo_and_one_for_good, (void *)(uintptr_t)name);
    refuses(-EBUSY, "has 1 living handles", rbx_sem_wait(sem, 0, RBX_SEM_UNDO));
    succeeds(rbx_sem_wait(sem, 0, 0));
    murder(&holder);
    succeeds(rbx_sem_wait(sem, 0, RBX_SEM_UNDO));
    has(sem, 0, 6);
    refuses(-EBUSY, "seats", rbx_sem_try_wait(other, 0, RBX_SEM_UNDO));
    closes(sem);
    succeeds(rbx_sem_try_wait(other, 1, RBX_SEM_UNDO));
    closes(other);
    has(viewer, 0, 7); /* all but the two that were taken for good */
    has(viewer, 1, 9);
    closes(viewer);
}

Test(sem, is_not_zero_for_good_while_a_dead_process_has_units)
{
    const char *name = own_name("sem");
    rbx_sem *sem = opened_sem(name, 1, 3);
    struct child holder = start(takes_two_on_undo_and_one_for_good, (void *)(uintptr_t)name);
    succeeds(rbx_sem_wait_zero(sem, 0, RBX_FOREVER));
    murder(&holder);
    cr_assert_eq(rbx_sem_wait_zero(sem, 0, A_MOMENT_NS), -ETIMEDOUT);
    has(sem, 0, 2);
    closes(sem);
}

Test(sem, that_was_filled_meanwhile_is_not_made_fuller_by_a_death)
{
    const char *name = own_name("sem");
    rbx_sem *sem = opened_sem(name, 1, RBX_SEM_MAX);
    struct child holder = start(takes_two_on_undo_and_one_for_good, (void *)(uintptr_t)name);
    succeeds(rbx_sem_add(sem, 0, 2));
    murder(&holder);
    cr_assert_eq(described(sem).undo_units, 0);
    has(sem, 0, INT32_MAX);
    closes(sem);
}

static int uses_what_it_inherited(void *arg)
{
    rbx_sem *sem = arg;
    rbx_sem_info info;
    return rbx_sem_wait(sem, 0, 0) != -EBADF || rbx_sem_done(sem, 0) != -EBADF ||
           rbx_sem_add(sem, 0, 1) != -EBADF || rbx_sem_value(sem, 0) != -EBADF ||
           rbx_sem_describe(sem, &info) != -EBADF || rbx_sem_wait_zero(sem, 0, 0) != -EBADF ||
           !strstr(rbx_last_error(), "fork()") || rbx_sem_close(sem) != 0;
}

Test(sem, is_not_the_childs_after_fork)
{
    rbx_sem *sem = opened_sem(own_name("sem"), 1, 3);
    succeeds(rbx_sem_take(sem, 0, 2, RBX_SEM_UNDO, 0));
    cr_assert_eq(in_child(uses_what_it_inherited, sem), 0);
    has(sem, 0, 1);
    cr_assert_eq(described(sem).undo_units, 2, "the child's close gave nothing back");
    closes(sem);
}
