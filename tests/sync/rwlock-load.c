/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * rwlock-load: threads that read and write under one lock, by all its calls, with plain accesses to
 * what it protects: for the thread sanitizer, which knows no other order than the lock's.
 *
 *     rwlock-load CALLS     of each thread
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <ringbox/ringbox.h>

enum { THREADS = 4 };

static rbx_box *box; /* one mapping for all, as the sanitizer goes by addresses */
static long calls;
static uint64_t value[2];
static _Atomic unsigned wrong;

static void *works(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    rbx_rwlock *lock;
    if (rbx_rwlock_attach(&lock, box, rbx_box_data(box), rbx_box_size(box)) < 0) {
        wrong++;
        return NULL;
    }
    for (long i = 0; i < calls; i++) {
        static int (*const reads[])(rbx_rwlock *) = {rbx_rwlock_read, rbx_rwlock_try_read};
        static int (*const writes[])(rbx_rwlock *) = {rbx_rwlock_write, rbx_rwlock_try_write};
        unsigned lot = (unsigned)rand_r(&seed) % 100;
        int err = lot < 50   ? reads[lot % 2](lock)
                  : lot < 60 ? rbx_rwlock_read_for(lock, lot * 1000)
                  : lot < 70 ? rbx_rwlock_write_for(lock, lot * 1000)
                             : writes[lot % 2](lock);
        if (err == -EBUSY || err == -ETIMEDOUT)
            continue;
        if (lot >= 60) {
            value[0]++;
            value[1]++;
        }
        wrong += err < 0 || value[0] != value[1] || rbx_rwlock_unlock(lock) < 0;
    }
    wrong += rbx_rwlock_close(lock) < 0;
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    calls = argc > 1 ? atol(argv[1]) : 10000;
    char name[64];
    snprintf(name, sizeof name, "t.%d.lock", (int)getpid());
    const rbx_box_options options = {.size = RBX_RWLOCK_BYTES(RBX_RWLOCK_SEATS)};
    if (rbx_box_open(&box, name, &options) < 0 ||
        rbx_rwlock_init(rbx_box_data(box), rbx_box_size(box), NULL) < 0) {
        printf("%s\n", rbx_last_error());
        return 1;
    }
    for (uintptr_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, works, (void *)(i + 1)) != 0)
            return 1;
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    wrong += rbx_box_close(box) < 0;
    printf("%llu writes, %u things that went wrong\n", (unsigned long long)value[0], wrong);
    return wrong != 0;
}
