/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A peer that writes something else whenever somebody has looked. */
#include "rwlock.h"

#include "os/lock.h"
#include "rwlock/words.h"
#include "sem/set.h"

TestSuite(restless, .timeout = 20);

static struct rbx_rwlock_shared *disturbed;

int __real_rbx_lock_held(int fd, uint64_t byte);
int __wrap_rbx_lock_held(int fd, uint64_t byte);
int __wrap_rbx_lock_held(int fd, uint64_t byte)
{
    if (!disturbed)
        return __real_rbx_lock_held(fd, byte);
    atomic_fetch_add(&disturbed->turn, UINT64_C(2) << RBX_TURN_TAG_SHIFT);
    return 0;
}

Test(restless, a_turn_that_never_stands_still_holds_up_nobody_for_longer_than_it_would_wait)
{
    rbx_box *box = made(own_name("box"), RBX_RWLOCK_BYTES(2));
    char *at = rbx_box_data(box);
    rbx_rwlock *lock;
    succeeds(rbx_rwlock_init(at, RBX_RWLOCK_BYTES(2), &(rbx_rwlock_options){.seats = 2}));
    succeeds(rbx_rwlock_attach(&lock, box, at, RBX_RWLOCK_BYTES(2)));
    struct rbx_rwlock_seat *other = (void *)(at + 192);
    atomic_store(&other->who.openings, 5);
    disturbed = (void *)(at + 64);
    atomic_store(&disturbed->turn, rbx_turn_of(1, 7));
    cr_assert_eq(rbx_rwlock_try_read(lock), -EBUSY);
    cr_assert_eq(rbx_rwlock_try_write(lock), -EBUSY);
    cr_assert_eq(rbx_rwlock_read_for(lock, A_WHILE_NS), -ETIMEDOUT);
    cr_assert_eq(rbx_rwlock_write_for(lock, A_WHILE_NS), -ETIMEDOUT);
    atomic_store(&disturbed->turn, 0);
    disturbed = NULL;
    succeeds(rbx_rwlock_write(lock));
    succeeds(rbx_rwlock_unlock(lock));
    closes(lock);
    succeeds(rbx_box_close(box));
}

static rbx_atomic32 *left;

int __real_rbx_lock_drop(int fd, uint64_t byte);
int __wrap_rbx_lock_drop(int fd, uint64_t byte);
int __wrap_rbx_lock_drop(int fd, uint64_t byte)
{
    int err = __real_rbx_lock_drop(fd, byte);
    if (left)
        atomic_fetch_or(left, 1);
    return err;
}

Test(restless, a_seat_that_looks_dead_again_and_again_holds_up_nobody)
{
    rbx_sem *sem;
    succeeds(rbx_sem_open(&sem, own_name("sem"), NULL));
    left = &rbx_sem_set_seat(sem, 1)->seat.openings;
    atomic_store(left, 1);
    succeeds(rbx_sem_wait_zero(sem, 0, RBX_FOREVER));
    rbx_atomic32 *openings = left;
    left = NULL;
    succeeds(rbx_sem_wait_zero(sem, 0, 0)); /* of the last that looked dead */
    cr_assert_eq(atomic_load(openings) & 1, 0);
    succeeds(rbx_sem_close(sem));
}
