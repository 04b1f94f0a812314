/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/refuse.h"
#include "../support/support.h"

TestSuite(mutex, .timeout = 60);

static rbx_mutex *opened_mutex(const char *name)
{
    rbx_mutex *mutex;
    succeeds(rbx_mutex_open(&mutex, name, NULL));
    return mutex;
}

static void closes(rbx_mutex *mutex)
{
    succeeds(rbx_mutex_close(mutex));
}

struct attempt {
    rbx_mutex *mutex;
    int (*call)(rbx_mutex *mutex);
    int answer;
    _Atomic pid_t thread; /* of who waits */
    _Atomic bool may_begin;
    bool is_refused;
};

static void *attempt(void *arg)
{
    struct attempt *attempt = arg;
    attempt->answer = attempt->call(attempt->mutex);
    return NULL;
}

/* What `call` answers in another thread, which then ends. */
static int elsewhere(rbx_mutex *mutex, int (*call)(rbx_mutex *mutex))
{
    struct attempt other = {.mutex = mutex, .call = call};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, attempt, &other), 0);
    pthread_join(thread, NULL);
    return other.answer;
}

static int lock_briefly(rbx_mutex *mutex)
{
    return rbx_mutex_lock_for(mutex, 20000000);
}

static int lock_and_unlock(rbx_mutex *mutex)
{
    int err = rbx_mutex_lock(mutex);
    return err < 0 ? err : rbx_mutex_unlock(mutex);
}

Test(mutex, is_had_by_one_thread_at_a_time)
{
    rbx_mutex *mutex = opened_mutex(own_name("mutex"));
    succeeds(rbx_mutex_lock(mutex));
    cr_assert_eq(elsewhere(mutex, rbx_mutex_try_lock), -EBUSY);
    cr_assert_eq(elsewhere(mutex, lock_briefly), -ETIMEDOUT);
    succeeds(rbx_mutex_unlock(mutex));
    cr_assert_eq(elsewhere(mutex, lock_and_unlock), 0);
    closes(mutex);
}

Test(mutex, tells_mistakes_instead_of_making_them)
{
    rbx_mutex *mutex = opened_mutex(own_name("mutex"));
    refuses(-EPERM, "does not hold", rbx_mutex_unlock(mutex));
    refuses(-EPERM, "does not hold", rbx_mutex_consistent(mutex));
    succeeds(rbx_mutex_lock(mutex));
    refuses(-EDEADLK, "already", rbx_mutex_lock(mutex));
    refuses(-EDEADLK, "already", rbx_mutex_try_lock(mutex));
    refuses(-EDEADLK, "already", rbx_mutex_lock_for(mutex, 1000000));
    refuses(-EINVAL, "nobody has died", rbx_mutex_consistent(mutex));
    cr_assert_eq(elsewhere(mutex, rbx_mutex_unlock), -EPERM);
    succeeds(rbx_mutex_unlock(mutex));
    closes(mutex);
}

Test(mutex, that_is_held_cannot_be_closed)
{
    rbx_mutex *mutex = opened_mutex(own_name("mutex"));
    succeeds(rbx_mutex_lock(mutex));
    refuses(-EBUSY, "held", rbx_mutex_close(mutex));
    succeeds(rbx_mutex_unlock(mutex));
    closes(mutex);
    succeeds(rbx_mutex_close(NULL));
}

Test(mutex, keeps_a_box_open_that_it_is_attached_to)
{
    rbx_box *box = made(own_name("box"), RBX_MUTEX_BYTES);
    rbx_mutex *mutex;
    succeeds(rbx_mutex_init(rbx_box_data(box), rbx_box_size(box), NULL));
    succeeds(rbx_mutex_attach(&mutex, box, rbx_box_data(box), rbx_box_size(box)));
    succeeds(rbx_mutex_lock(mutex));
    refuses(-EBUSY, "attached", rbx_box_close(box));
    refuses(-EBUSY, "held", rbx_mutex_close(mutex));
    succeeds(rbx_mutex_unlock(mutex));
    closes(mutex);
    succeeds(rbx_box_close(box));
}

static int dies_with_it(void *name)
{
    rbx_mutex *mutex;
    return rbx_mutex_open(&mutex, name, NULL) < 0 || rbx_mutex_lock(mutex) < 0;
}

/* Locked by a process that was then killed. */
static rbx_mutex *orphaned(const char *name)
{
    rbx_mutex *mutex = opened_mutex(name);
    struct child holder = start(dies_with_it, (void *)(uintptr_t)name);
    cr_assert_eq(rbx_mutex_try_lock(mutex), -EBUSY);
    murder(&holder);
    return mutex;
}

Test(mutex, of_a_killed_holder_goes_to_the_next_who_is_told)
{
    rbx_mutex *mutex = orphaned(own_name("mutex"));
    refuses(-EOWNERDEAD, "has died", rbx_mutex_lock(mutex));
    cr_assert_eq(elsewhere(mutex, rbx_mutex_try_lock), -EBUSY);
    succeeds(rbx_mutex_consistent(mutex));
    succeeds(rbx_mutex_unlock(mutex));
    succeeds(rbx_mutex_lock(mutex));
    succeeds(rbx_mutex_unlock(mutex));
    closes(mutex);
}

Test(mutex, that_was_not_put_right_is_lost_to_everybody)
{
    rbx_mutex *mutex = orphaned(own_name("mutex"));
    cr_assert_eq(rbx_mutex_try_lock(mutex), -EOWNERDEAD);
    succeeds(rbx_mutex_unlock(mutex));
    refuses(-ENOTRECOVERABLE, "rbx_mutex_consistent", rbx_mutex_lock(mutex));
    refuses(-ENOTRECOVERABLE, "rbx_mutex_consistent", rbx_mutex_lock_for(mutex, 1000));
    cr_assert_eq(elsewhere(mutex, rbx_mutex_try_lock), -ENOTRECOVERABLE);
    closes(mutex);
}

Test(mutex, of_a_thread_that_ended_with_it_goes_to_the_next)
{
    rbx_mutex *mutex = opened_mutex(own_name("mutex"));
    cr_assert_eq(elsewhere(mutex, rbx_mutex_lock), 0);
    cr_assert_eq(rbx_mutex_lock(mutex), -EOWNERDEAD);
    succeeds(rbx_mutex_consistent(mutex));
    succeeds(rbx_mutex_unlock(mutex));
    closes(mutex);
}

Test(mutex, that_is_lost_can_be_closed_where_a_thread_died_with_it)
{
    const char *name = own_name("mutex");
    rbx_mutex *mutex = opened_mutex(name), *other = opened_mutex(name);
    cr_assert_eq(elsewhere(mutex, rbx_mutex_lock), 0);
    cr_assert_eq(rbx_mutex_lock(other), -EOWNERDEAD);
    succeeds(rbx_mutex_unlock(other));
    cr_assert_eq(rbx_mutex_lock(mutex), -ENOTRECOVERABLE);
    closes(mutex);
    closes(other);
}

/* The new thread has the dead one's stack, as a rule, and so all that it found by an address. */
Test(mutex, is_not_that_of_a_thread_that_comes_after_one_that_died_with_it)
{
    const char *name = own_name("mutex");
    rbx_mutex *mutex = opened_mutex(name), *other = opened_mutex(name);
    cr_assert_eq(elsewhere(mutex, rbx_mutex_lock), 0);
    cr_assert_eq(rbx_mutex_lock(other), -EOWNERDEAD);
    cr_assert_eq(elsewhere(mutex, rbx_mutex_consistent), -EPERM);
    succeeds(rbx_mutex_consistent(other));
    succeeds(rbx_mutex_unlock(other));
    succeeds(rbx_mutex_lock(mutex));
    succeeds(rbx_mutex_unlock(mutex));
    closes(mutex);
    closes(other);
}

static int waits_for_it(void *name)
{
    rbx_mutex *mutex;
    if (rbx_mutex_open(&mutex, name, NULL) < 0)
        return 1;
    int err = rbx_mutex_lock(mutex);
    if (err == -EOWNERDEAD)
        err = rbx_mutex_consistent(mutex);
    return err < 0 || rbx_mutex_unlock(mutex) < 0 || rbx_mutex_close(mutex) < 0;
}

Test(mutex, wakes_who_waits_when_the_holder_is_killed)
{
    const char *name = own_name("mutex");
    rbx_mutex *mutex = opened_mutex(name);
    struct child holder = start(dies_with_it, (void *)(uintptr_t)name);
    struct child waiter = start_running(waits_for_it, (void *)(uintptr_t)name);
    murder(&holder);
    cr_assert_eq(said(&waiter), 0);
    cr_assert_eq(finish(&waiter), 0);
    closes(mutex);
}

static int uses_what_it_inherited(void *mutex)
{
    return rbx_mutex_lock(mutex) != -EBADF || rbx_mutex_lock_for(mutex, 1) != -EBADF ||
           rbx_mutex_try_lock(mutex) != -EBADF || rbx_mutex_unlock(mutex) != -EBADF ||
           rbx_mutex_consistent(mutex) != -EBADF || rbx_mutex_close(mutex) != 0;
}

/* As if it were killed between making it free and waking somebody, when another had locked it
   meanwhile. */
static void *unlock_and_wake_nobody(void *arg)
{
    struct attempt *waiter = arg;
    succeeds(rbx_mutex_lock(waiter->mutex));
    atomic_store(&waiter->may_begin, true);
    while (atomic_load(&waiter->thread) == 0)
        sched_yield();
    await_sleep_of(atomic_load(&waiter->thread));
    /* (An answer by which the C library is not alarmed.) */
    waiter->is_refused = refuse_syscall(SYS_futex, EINVAL, -1, 0);
    succeeds(rbx_mutex_unlock(waiter->mutex));
    return NULL;
}

Test(mutex, is_had_by_who_waits_though_nobody_is_woken)
{
    rbx_mutex *mutex = opened_mutex(NULL);
    struct attempt waiter = {.mutex = mutex};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, unlock_and_wake_nobody, &waiter), 0);
    while (!atomic_load(&waiter.may_begin))
        sched_yield();
    atomic_store(&waiter.thread, (pid_t)syscall(SYS_gettid));
    succeeds(rbx_mutex_lock(mutex));
    pthread_join(thread, NULL);
    succeeds(rbx_mutex_unlock(mutex));
    closes(mutex);
    if (!waiter.is_refused)
        cr_skip_test("SKIP: seccomp is not allowed here");
}

Test(mutex, is_not_the_childs_after_fork)
{
    rbx_mutex *mutex = opened_mutex(own_name("mutex"));
    succeeds(rbx_mutex_lock(mutex));
    cr_assert_eq(in_child(uses_what_it_inherited, mutex), 0);
    succeeds(rbx_mutex_unlock(mutex));
    closes(mutex);
}

Test(mutex, of_two_handles_is_unlocked_through_the_one_it_was_locked_by)
{
    const char *name = own_name("mutex");
    rbx_mutex *one = opened_mutex(name), *other = opened_mutex(name);
    succeeds(rbx_mutex_lock(one));
    refuses(-EPERM, "not through this handle", rbx_mutex_unlock(other));
    refuses(-EDEADLK, "already", rbx_mutex_lock(other));
    succeeds(rbx_mutex_unlock(one));
    closes(one);
    closes(other);
}

Test(mutex, without_a_name_is_for_this_process)
{
    rbx_mutex *mutex = opened_mutex(NULL);
    succeeds(rbx_mutex_lock(mutex));
    cr_assert_eq(elsewhere(mutex, rbx_mutex_try_lock), -EBUSY);
    succeeds(rbx_mutex_unlock(mutex));
    closes(mutex);
}

Test(mutex, can_hand_on_priority)
{
    const char *name = own_name("mutex");
    const rbx_mutex_options options = {.inherit_priority = true};
    rbx_mutex *mutex, *second;
    succeeds(rbx_mutex_open(&mutex, name, &options));
    succeeds(rbx_mutex_lock(mutex));
    cr_assert_eq(elsewhere(mutex, rbx_mutex_try_lock), -EBUSY);
    cr_assert_eq(elsewhere(mutex, lock_briefly), -ETIMEDOUT);
    succeeds(rbx_mutex_unlock(mutex));
    succeeds(rbx_mutex_open(&second, name, NULL));
    closes(second);
    closes(mutex);

    mutex = opened_mutex(name);
    refuses(-EPROTO, "does not inherit", rbx_mutex_open(&second, name, &options));
    closes(mutex);
}

Test(mutex, goes_with_its_last_user_and_leaves_nothing)
{
    const char *name = own_name("mutex");
    rbx_mutex *one = opened_mutex(name), *other = opened_mutex(name);
    closes(one);
    cr_assert(exists(shm_path(name)));
    closes(other);
    cr_assert_not(exists(shm_path(name)));
}

static int lock_without_end(rbx_mutex *mutex)
{
    int err = rbx_mutex_lock_for(mutex, RBX_FOREVER);
    return err < 0 ? err : rbx_mutex_unlock(mutex);
}

Test(mutex, is_waited_for_without_end_where_that_is_the_time)
{
    struct attempt other = {.mutex = opened_mutex(NULL), .call = lock_without_end};
    pthread_t thread;
    succeeds(rbx_mutex_lock(other.mutex));
    cr_assert_eq(pthread_create(&thread, NULL, attempt, &other), 0);
    succeeds(rbx_mutex_unlock(other.mutex));
    pthread_join(thread, NULL);
    cr_assert_eq(other.answer, 0);
    closes(other.mutex);
}

Test(mutex, in_a_box_that_is_open_read_only_is_refused)
{
    const char *name = own_name("box");
    rbx_box *box = made(name, RBX_MUTEX_BYTES);
    rbx_box *seen = opened(name, &(rbx_box_options){.read_only = true});
    rbx_mutex *mutex;
    succeeds(rbx_mutex_init(rbx_box_data(box), RBX_MUTEX_BYTES, NULL));
    refuses(-EACCES, "read-only",
            rbx_mutex_attach(&mutex, seen, rbx_box_data(seen), RBX_MUTEX_BYTES));
    succeeds(rbx_box_close(seen));
    succeeds(rbx_box_close(box));
}

Test(mutex, refuses_what_is_none)
{
    const char *name = own_name("mutex");
    rbx_mutex *mutex;
    rbx_box *box = made(name, 64);
    refuses(-EPROTO, "no mutex", rbx_mutex_open(&mutex, name, NULL));
    cr_assert_null(mutex);
    refuses(-EPROTO, "no mutex", rbx_mutex_attach(&mutex, box, rbx_box_data(box), 64));
    refuses(-EINVAL, "aligned", rbx_mutex_init((char *)rbx_box_data(box) + 8, 56, NULL));
    refuses(-EINVAL, "128 bytes", rbx_mutex_init(rbx_box_data(box), 64, NULL));
    _Alignas(64) char elsewhere_yet[RBX_MUTEX_BYTES] = {0};
    refuses(-EINVAL, "not in box", rbx_mutex_attach(&mutex, box, elsewhere_yet, 128));
    refuses(-EINVAL, "not in box", rbx_mutex_attach(&mutex, box, rbx_box_data(box), 128));
    succeeds(rbx_box_close(box));
    const rbx_mutex_options sized = {.box = {.size = 4096}};
    refuses(-EINVAL, "not yours to say", rbx_mutex_open(&mutex, name, &sized));
    const rbx_mutex_options joins = {.box = {.how = RBX_OPEN_ONLY}};
    refuses(-ENOENT, "there is no box", rbx_mutex_open(&mutex, name, &joins));
}

Test(mutex, refuses_a_damaged_header)
{
    _Alignas(64) char memory[RBX_MUTEX_BYTES] = {0}, bad[RBX_MUTEX_BYTES];
    rbx_mutex *mutex;
    succeeds(rbx_mutex_init(memory, sizeof memory, NULL));
    static const struct {
        size_t at;
        const char *says;
    } faults[] = {{0, "is no mutex"},     {8, "byte order"}, {12, "version"},
                  {16, "something else"}, {20, "damaged"},   {40, "damaged"}};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        memcpy(bad, memory, sizeof bad);
        bad[faults[i].at] ^= 0x7e;
        _Alignas(64) char aligned[RBX_MUTEX_BYTES];
        memcpy(aligned, bad, sizeof aligned);
        refuses(-EPROTO, faults[i].says, rbx_mutex_attach(&mutex, NULL, aligned, sizeof aligned));
    }
    refuses(-EPROTO, "takes 128 bytes and has only 64", rbx_mutex_attach(&mutex, NULL, memory, 64));
    refuses(-EPROTO, "only 32 bytes", rbx_mutex_attach(&mutex, NULL, memory, 32));
}
