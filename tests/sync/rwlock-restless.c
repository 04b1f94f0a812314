/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A peer that writes another turn whenever somebody looks who has it. */
#include "rwlock.h"

#include "os/lock.h"
#include "rwlock/words.h"

TestSuite(rwlock_restless, .timeout = 20);

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

Test(rwlock_restless, a_turn_that_never_stands_still_holds_up_nobody_for_longer_than_it_would_wait)
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
