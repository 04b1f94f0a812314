/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "rwlock.h"

TestSuite(rwlock_death, .timeout = 120);

static int opens(void *name, rbx_rwlock **lock)
{
    return rbx_rwlock_open(lock, name, NULL) < 0;
}

static int dies_reading(void *name)
{
    rbx_rwlock *lock;
    return opens(name, &lock) || rbx_rwlock_read(lock) < 0;
}

static int dies_writing(void *name)
{
    rbx_rwlock *lock;
    return opens(name, &lock) || rbx_rwlock_write(lock) < 0;
}

static int dies_idle(void *name)
{
    rbx_rwlock *lock;
    return opens(name, &lock) || rbx_rwlock_write(lock) < 0 || rbx_rwlock_unlock(lock) < 0;
}

static int waits_to_write(void *name)
{
    rbx_rwlock *lock;
    if (opens(name, &lock))
        return 1;
    int err = rbx_rwlock_write(lock);
    if (err == -EOWNERDEAD)
        err = rbx_rwlock_consistent(lock);
    return err < 0 || rbx_rwlock_unlock(lock) < 0 || rbx_rwlock_close(lock) < 0;
}

static int waits_to_read(void *name)
{
    rbx_rwlock *lock;
    if (opens(name, &lock))
        return 1;
    int err = rbx_rwlock_read(lock);
    return (err < 0 && err != -EOWNERDEAD) || rbx_rwlock_unlock(lock) < 0 ||
           rbx_rwlock_close(lock) < 0;
}

static struct child starts(int (*body)(void *), const char *name)
{
    return start(body, (void *)(uintptr_t)name);
}

static void dies(int (*body)(void *), const char *name)
{
    struct child child = starts(body, name);
    murder(&child);
}

Test(rwlock_death, of_a_reader_is_forgotten)
{
    const char *name = own_name("lock");
    rbx_rwlock *lock = opened_lock(name);
    struct child reader = starts(dies_reading, name);
    cr_assert_eq(rbx_rwlock_try_write(lock), -EBUSY);
    murder(&reader);
    cr_assert_eq(described(lock).dead, 1U);
    cr_assert_eq(described(lock).readers, 0U);
    succeeds(rbx_rwlock_try_write(lock));
    succeeds(rbx_rwlock_unlock(lock));
    dies(dies_reading, name);
    succeeds(rbx_rwlock_write(lock));
    succeeds(rbx_rwlock_unlock(lock));
    closes(lock);
}

Test(rwlock_death, of_a_reader_lets_the_writer_in_that_sleeps)
{
    const char *name = own_name("lock");
    rbx_rwlock *lock = opened_lock(name);
    struct child reader = starts(dies_reading, name);
    struct child writer = start_running(waits_to_write, (void *)(uintptr_t)name);
    until(lock, draining);
    murder(&reader);
    cr_assert_eq(said(&writer), 0);
    cr_assert_eq(finish(&writer), 0);
    closes(lock);
}

Test(rwlock_death, of_a_writer_is_told_until_a_writer_has_put_it_right)
{
    const char *name = own_name("lock");
    rbx_rwlock *one = opened_lock(name), *two = opened_lock(name);
    dies(dies_writing, name);
    refuses(-EOWNERDEAD, "has died", rbx_rwlock_read(one));
    refuses(-EOWNERDEAD, "has died", rbx_rwlock_try_read(two));
    refuses(-EPERM, "for reading", rbx_rwlock_consistent(one));
    succeeds(rbx_rwlock_unlock(one));
    refuses(-EBUSY, "by others", rbx_rwlock_try_write(one));
    succeeds(rbx_rwlock_unlock(two));
    cr_assert(described(one).broken);
    refuses(-EOWNERDEAD, "has died", rbx_rwlock_write(one));
    cr_assert_eq(rbx_rwlock_try_read(two), -EBUSY);
    succeeds(rbx_rwlock_consistent(one));
    refuses(-EINVAL, "no writer has died", rbx_rwlock_consistent(one));
    succeeds(rbx_rwlock_unlock(one));
    cr_assert_not(described(one).broken);
    succeeds(rbx_rwlock_read(two));
    succeeds(rbx_rwlock_unlock(two));
    succeeds(rbx_rwlock_write(two));
    succeeds(rbx_rwlock_unlock(two));
    closes(one);
    closes(two);
}

Test(rwlock_death, of_a_writer_tells_the_next_writer)
{
    const char *name = own_name("lock");
    rbx_rwlock *lock = opened_lock(name);
    dies(dies_writing, name);
    refuses(-EOWNERDEAD, "has died", rbx_rwlock_try_write(lock));
    succeeds(rbx_rwlock_consistent(lock));
    succeeds(rbx_rwlock_unlock(lock));
    dies(dies_writing, name);
    cr_assert_eq(rbx_rwlock_write_for(lock, A_WHILE_NS), -EOWNERDEAD);
    succeeds(rbx_rwlock_consistent(lock));
    succeeds(rbx_rwlock_unlock(lock));
    closes(lock);
}

Test(rwlock_death, that_nobody_put_right_loses_the_lock_to_everybody)
{
    const char *name = own_name("lock");
    rbx_rwlock *one = opened_lock(name), *two = opened_lock(name);
    dies(dies_writing, name);
    cr_assert_eq(rbx_rwlock_write(one), -EOWNERDEAD);
    struct caller reads;
    begin_call(&reads, two, rbx_rwlock_read);
    until(one, waiting_readers == 1);
    succeeds(rbx_rwlock_unlock(one));
    cr_assert_eq(end_call(&reads), -ENOTRECOVERABLE);
    refuses(-ENOTRECOVERABLE, "rbx_rwlock_consistent", rbx_rwlock_read(one));
    refuses(-ENOTRECOVERABLE, "rbx_rwlock_consistent", rbx_rwlock_try_write(one));
    refuses(-ENOTRECOVERABLE, "rbx_rwlock_consistent", rbx_rwlock_write_for(two, 1000));
    refuses(-EPERM, "does not hold", rbx_rwlock_unlock(two));
    cr_assert(described(two).lost);
    rbx_rwlock *three = opened_lock(name);
    cr_assert_eq(rbx_rwlock_try_read(three), -ENOTRECOVERABLE);
    closes(three);
    closes(one);
    closes(two);
}

Test(rwlock_death, of_a_writer_that_waited_for_readers_broke_nothing)
{
    const char *name = own_name("lock");
    rbx_rwlock *lock = opened_lock(name), *other = opened_lock(name);
    succeeds(rbx_rwlock_read(lock));
    struct child writer = start_running(waits_to_write, (void *)(uintptr_t)name);
    until(lock, draining);
    cr_assert_eq(rbx_rwlock_try_read(other), -EBUSY);
    murder(&writer);
    succeeds(rbx_rwlock_read(other));
    succeeds(rbx_rwlock_unlock(other));
    succeeds(rbx_rwlock_unlock(lock));
    succeeds(rbx_rwlock_write(other));
    succeeds(rbx_rwlock_unlock(other));
    closes(lock);
    closes(other);
}

Test(rwlock_death, of_one_that_waited_for_a_writer_broke_nothing)
{
    const char *name = own_name("lock");
    rbx_rwlock *lock = opened_lock(name), *other = opened_lock(name);
    succeeds(rbx_rwlock_write(lock));
    struct child writer = start_running(waits_to_write, (void *)(uintptr_t)name);
    until(lock, waiting_writers);
    struct child reader = start_running(waits_to_read, (void *)(uintptr_t)name);
    until(lock, waiting_readers == 1);
    murder(&writer);
    murder(&reader);
    succeeds(rbx_rwlock_unlock(lock));
    succeeds(rbx_rwlock_write(other));
    succeeds(rbx_rwlock_unlock(other));
    closes(lock);
    closes(other);
}

Test(rwlock_death, of_a_writer_wakes_those_that_sleep)
{
    const char *name = own_name("lock");
    rbx_rwlock *lock = opened_lock(name);
    struct child holder = starts(dies_writing, name);
    struct child writer = start_running(waits_to_write, (void *)(uintptr_t)name);
    struct child reader = start_running(waits_to_read, (void *)(uintptr_t)name);
    until(lock, waiting_readers == 1);
    until(lock, waiting_writers);
    murder(&holder);
    cr_assert_eq(said(&writer), 0);
    cr_assert_eq(said(&reader), 0);
    cr_assert_eq(finish(&writer), 0);
    cr_assert_eq(finish(&reader), 0);
    closes(lock);
}

Test(rwlock_death, is_not_what_a_stopped_holder_has_met)
{
    const char *name = own_name("lock");
    rbx_rwlock *lock = opened_lock(name);
    struct child writer = starts(dies_writing, name);
    kill(writer.pid, SIGSTOP);
    cr_assert_eq(rbx_rwlock_try_read(lock), -EBUSY);
    cr_assert_eq(rbx_rwlock_try_write(lock), -EBUSY);
    cr_assert_eq(rbx_rwlock_write_for(lock, RBX_SLICE_NS * 2), -ETIMEDOUT);
    cr_assert_eq(rbx_rwlock_read_for(lock, RBX_SLICE_NS * 2), -ETIMEDOUT);
    murder(&writer);
    cr_assert_eq(rbx_rwlock_write(lock), -EOWNERDEAD);
    succeeds(rbx_rwlock_consistent(lock));
    succeeds(rbx_rwlock_unlock(lock));
    struct child reader = starts(dies_reading, name);
    kill(reader.pid, SIGSTOP);
    cr_assert_eq(rbx_rwlock_write_for(lock, RBX_SLICE_NS * 2), -ETIMEDOUT);
    kill(reader.pid, SIGCONT);
    cr_assert_eq(finish(&reader), 0); /* without unlocking: so it has died, too */
    succeeds(rbx_rwlock_write(lock));
    succeeds(rbx_rwlock_unlock(lock));
    closes(lock);
}

Test(rwlock_death, frees_a_seat)
{
    const char *name = own_name("lock");
    const rbx_rwlock_options two_seats = {.seats = 2};
    rbx_rwlock *lock, *other;
    succeeds(rbx_rwlock_open(&lock, name, &two_seats));
    int (*const bodies[])(void *) = {dies_idle, dies_reading, dies_idle, dies_reading};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        dies(bodies[i], name);
    cr_assert_eq(described(lock).used, 2U);
    other = opened_lock(name);
    cr_assert_eq(described(lock).dead, 0U);
    succeeds(rbx_rwlock_try_write(lock));
    succeeds(rbx_rwlock_unlock(lock));
    closes(other);
    closes(lock);
}

/* Whoever opens the seat of a dead writer sees to what it left; for others it is as if a waiter had
   found it dead. */
Test(rwlock_death, of_a_writer_is_told_also_when_its_seat_is_taken)
{
    const char *name = own_name("lock");
    const rbx_rwlock_options two_seats = {.seats = 2};
    rbx_rwlock *lock, *other;
    succeeds(rbx_rwlock_open(&lock, name, &two_seats));
    dies(dies_writing, name);
    other = opened_lock(name);
    cr_assert(described(lock).broken);
    cr_assert_not(described(lock).writing);
    refuses(-EOWNERDEAD, "has died", rbx_rwlock_try_read(other));
    refuses(-EOWNERDEAD, "has died", rbx_rwlock_try_read(lock));
    succeeds(rbx_rwlock_unlock(lock));
    succeeds(rbx_rwlock_unlock(other));
    cr_assert_eq(rbx_rwlock_write(other), -EOWNERDEAD);
    succeeds(rbx_rwlock_consistent(other));
    succeeds(rbx_rwlock_unlock(other));
    closes(other);
    closes(lock);
}

static int opens_and_says_so(void *name)
{
    rbx_rwlock *lock;
    return opens(name, &lock);
}

Test(rwlock_death, lets_those_sleep_no_longer_whose_writers_seat_is_taken)
{
    const char *name = own_name("lock");
    const rbx_rwlock_options three_seats = {.seats = 3};
    rbx_rwlock *lock, *other;
    succeeds(rbx_rwlock_open(&lock, name, &three_seats));
    other = opened_lock(name);
    struct child holder = starts(dies_writing, name);
    struct caller reads;
    begin_call(&reads, other, rbx_rwlock_read);
    until(lock, waiting_readers == 1);
    murder(&holder);
    struct child next = starts(opens_and_says_so, name);
    cr_assert_eq(end_call(&reads), -EOWNERDEAD);
    cr_assert_eq(finish(&next), 0);
    closes(other);
    closes(lock);
}

Test(rwlock_death, is_never_seen_in_plain_memory)
{
    char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(memory, MAP_FAILED);
    rbx_rwlock *lock;
    const rbx_rwlock_options two_seats = {.seats = 2};
    succeeds(rbx_rwlock_init(memory, 4096, &two_seats));
    succeeds(rbx_rwlock_attach(&lock, NULL, memory, 4096));
    pid_t pid = fork();
    if (pid == 0) {
        rbx_rwlock *own;
        _exit(rbx_rwlock_attach(&own, NULL, memory, 4096) < 0 || rbx_rwlock_read(own) < 0);
    }
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0);
    cr_assert_eq(rbx_rwlock_write_for(lock, RBX_SLICE_NS * 2), -ETIMEDOUT);
    succeeds(rbx_rwlock_read(lock));
    succeeds(rbx_rwlock_unlock(lock));
    closes(lock);
    munmap(memory, 4096);
}

/* ---- at random ------------------------------------------------------------------------------- */

#define PROCESSES 5
#define KILLS 600

/* What the lock protects, and what those who use it have to say; outside of the box. */
struct ledger {
    const char *name;
    volatile uint64_t value[2];
    _Atomic int writer;
    _Atomic uint64_t reads, writes, told, wrong;
    _Atomic bool over;
};

static void reads_once(struct ledger *ledger, rbx_rwlock *lock)
{
    int err = rbx_rwlock_read(lock);
    if (err == 0) {
        uint64_t one = ledger->value[0], two = ledger->value[1];
        usleep(one % 64 == 0 ? 50 : 0);
        ledger->wrong += one != two || ledger->value[0] != one || ledger->value[1] != two;
        ledger->reads++;
    }
    ledger->told += err == -EOWNERDEAD;
    ledger->wrong += err != 0 && err != -EOWNERDEAD;
    ledger->wrong += rbx_rwlock_unlock(lock) < 0;
}

static void writes_once(struct ledger *ledger, rbx_rwlock *lock)
{
    int err = rbx_rwlock_write(lock);
    if (err == -EOWNERDEAD) {
        ledger->told++;
        ledger->value[1] = ledger->value[0];
        ledger->writer = 0;
        err = rbx_rwlock_consistent(lock);
    }
    int none = 0;
    ledger->wrong += err < 0 || !atomic_compare_exchange_strong(&ledger->writer, &none, getpid());
    uint64_t next = ledger->value[0] + 1;
    ledger->value[0] = next;
    usleep(next % 32 == 0 ? 50 : 0);
    ledger->value[1] = next;
    ledger->wrong += ledger->writer != getpid();
    ledger->writer = 0;
    ledger->writes++;
    ledger->wrong += rbx_rwlock_unlock(lock) < 0;
}

static void lives(struct ledger *ledger, unsigned seed)
{
    while (!ledger->over) {
        rbx_rwlock *lock;
        if (rbx_rwlock_open(&lock, ledger->name, NULL) < 0) {
            ledger->wrong++;
            break;
        }
        for (int i = 0; i < 2000 && !ledger->over; i++)
            if (rand_r(&seed) % 3)
                reads_once(ledger, lock);
            else
                writes_once(ledger, lock);
        ledger->wrong += rbx_rwlock_close(lock) < 0;
    }
    _exit(0);
}

static pid_t begets(struct ledger *ledger, unsigned seed)
{
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0)
        lives(ledger, seed);
    return pid;
}

Test(rwlock_death, at_random_times_breaks_nothing)
{
    struct ledger *ledger =
        mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(ledger, MAP_FAILED);
    const rbx_rwlock_options seats = {.seats = PROCESSES + 1};
    ledger->name = own_name("lock");
    rbx_rwlock *lock;
    succeeds(rbx_rwlock_open(&lock, ledger->name, &seats));
    unsigned seed = (unsigned)getpid();
    pid_t pids[PROCESSES];
    for (unsigned i = 0; i < PROCESSES; i++)
        pids[i] = begets(ledger, seed + i);
    for (unsigned i = 0; i < KILLS; i++) {
        usleep((unsigned)rand_r(&seed) % 5000);
        unsigned victim = (unsigned)rand_r(&seed) % PROCESSES;
        kill(pids[victim], SIGKILL);
        waitpid(pids[victim], NULL, 0);
        pids[victim] = begets(ledger, seed + i);
    }
    ledger->over = true;
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status;
        waitpid(pids[i], &status, 0);
        cr_assert_eq(status, 0);
    }
    cr_assert_eq(ledger->wrong, 0U, "%u things went wrong (in %u reads, %u writes, %u told)",
                 (unsigned)ledger->wrong, (unsigned)ledger->reads, (unsigned)ledger->writes,
                 (unsigned)ledger->told);
    cr_assert_gt(ledger->told, 0U);
    int err = rbx_rwlock_write_for(lock, 10 * RBX_SLICE_NS);
    cr_assert(err == 0 || err == -EOWNERDEAD, "%d", err);
    if (err == -EOWNERDEAD)
        succeeds(rbx_rwlock_consistent(lock));
    succeeds(rbx_rwlock_unlock(lock));
    closes(lock);
    munmap(ledger, sizeof *ledger);
}
