/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "rwlock.h"

#include "rwlock/words.h"

TestSuite(rwlock, .timeout = 120);

/* ---- who may be in --------------------------------------------------------------------------- */

Test(rwlock, is_had_by_many_readers_or_by_one_writer)
{
    const char *name = own_name("lock");
    rbx_rwlock *one = opened_lock(name), *two = opened_lock(name), *three = opened_lock(name);
    succeeds(rbx_rwlock_read(one));
    succeeds(rbx_rwlock_read(two));
    succeeds(rbx_rwlock_try_read(three));
    succeeds(rbx_rwlock_unlock(three));
    refuses(-EBUSY, "by others", rbx_rwlock_try_write(three));
    succeeds(rbx_rwlock_unlock(two));
    refuses(-EBUSY, "by others", rbx_rwlock_try_write(three));
    succeeds(rbx_rwlock_unlock(one));
    succeeds(rbx_rwlock_try_write(three));
    refuses(-EBUSY, "by others", rbx_rwlock_try_write(one));
    refuses(-EBUSY, "by others", rbx_rwlock_try_read(two));
    succeeds(rbx_rwlock_unlock(three));
    succeeds(rbx_rwlock_write(two));
    succeeds(rbx_rwlock_unlock(two));
    closes(one);
    closes(two);
    closes(three);
}

Test(rwlock, is_not_waited_for_longer_than_was_asked)
{
    const char *name = own_name("lock");
    rbx_rwlock *one = opened_lock(name), *two = opened_lock(name);
    succeeds(rbx_rwlock_read(one));
    refuses(-ETIMEDOUT, "as long as", rbx_rwlock_write_for(two, A_WHILE_NS));
    refuses(-ETIMEDOUT, "as long as", rbx_rwlock_write_for(two, 0));
    succeeds(rbx_rwlock_read_for(two, 0)); /* the writer that gave up is in nobody's way */
    succeeds(rbx_rwlock_unlock(two));
    succeeds(rbx_rwlock_unlock(one));
    succeeds(rbx_rwlock_write_for(one, A_WHILE_NS));
    refuses(-ETIMEDOUT, "as long as", rbx_rwlock_write_for(two, A_WHILE_NS));
    refuses(-ETIMEDOUT, "as long as", rbx_rwlock_read_for(two, A_WHILE_NS));
    refuses(-ETIMEDOUT, "as long as", rbx_rwlock_read_for(two, 0));
    succeeds(rbx_rwlock_unlock(one));
    succeeds(rbx_rwlock_read_for(two, RBX_FOREVER));
    succeeds(rbx_rwlock_unlock(two));
    closes(one);
    closes(two);
}

Test(rwlock, tells_mistakes_instead_of_making_them)
{
    rbx_rwlock *lock = opened_lock(own_name("lock"));
    refuses(-EPERM, "does not hold", rbx_rwlock_unlock(lock));
    refuses(-EPERM, "does not hold", rbx_rwlock_consistent(lock));
    succeeds(rbx_rwlock_write(lock));
    refuses(-EDEADLK, "already", rbx_rwlock_write(lock));
    refuses(-EDEADLK, "already", rbx_rwlock_try_write(lock));
    refuses(-EDEADLK, "already", rbx_rwlock_write_for(lock, 1000));
    refuses(-EDEADLK, "already", rbx_rwlock_read(lock));
    refuses(-EDEADLK, "already", rbx_rwlock_try_read(lock));
    refuses(-EDEADLK, "already", rbx_rwlock_read_for(lock, 1000));
    refuses(-EINVAL, "no writer has died", rbx_rwlock_consistent(lock));
    succeeds(rbx_rwlock_unlock(lock));
    succeeds(rbx_rwlock_read(lock));
    refuses(-EDEADLK, "already", rbx_rwlock_read(lock));
    refuses(-EPERM, "for reading", rbx_rwlock_consistent(lock));
    succeeds(rbx_rwlock_unlock(lock));
    refuses(-EPERM, "does not hold", rbx_rwlock_unlock(lock));
    closes(lock);
}

Test(rwlock, of_a_reader_cannot_become_a_writers)
{
    rbx_rwlock *lock = opened_lock(own_name("lock"));
    succeeds(rbx_rwlock_read(lock));
    refuses(-EDEADLK, "unlock first", rbx_rwlock_write(lock));
    refuses(-EDEADLK, "unlock first", rbx_rwlock_try_write(lock));
    refuses(-EDEADLK, "unlock first", rbx_rwlock_write_for(lock, 1000));
    succeeds(rbx_rwlock_unlock(lock));
    succeeds(rbx_rwlock_write(lock));
    succeeds(rbx_rwlock_unlock(lock));
    closes(lock);
}

Test(rwlock, that_is_held_cannot_be_closed)
{
    rbx_rwlock *lock = opened_lock(own_name("lock"));
    succeeds(rbx_rwlock_read(lock));
    refuses(-EBUSY, "holds", rbx_rwlock_close(lock));
    succeeds(rbx_rwlock_unlock(lock));
    succeeds(rbx_rwlock_write(lock));
    refuses(-EBUSY, "holds", rbx_rwlock_close(lock));
    succeeds(rbx_rwlock_unlock(lock));
    closes(lock);
    succeeds(rbx_rwlock_close(NULL));
}

/* ---- who is next ----------------------------------------------------------------------------- */

Test(rwlock, goes_to_readers_that_wait_before_the_next_writer)
{
    const char *name = own_name("lock");
    rbx_rwlock *holder = opened_lock(name), *reader = opened_lock(name),
               *writer = opened_lock(name);
    for (int round = 0; round < 50; round++) {
        struct caller reads, writes;
        succeeds(rbx_rwlock_write(holder));
        begin_call(&writes, writer, rbx_rwlock_write);
        until(holder, waiting_writers);
        begin_call(&reads, reader, rbx_rwlock_read);
        until(holder, waiting_readers == 1);
        succeeds(rbx_rwlock_unlock(holder));
        cr_assert_eq(end_call(&reads), 0);
        cr_assert_eq(end_call(&writes), 0);
        cr_assert_lt(reads.order, writes.order);
    }
    closes(holder);
    closes(reader);
    closes(writer);
}

Test(rwlock, goes_to_a_writer_that_waits_before_later_readers)
{
    const char *name = own_name("lock");
    rbx_rwlock *holder = opened_lock(name), *reader = opened_lock(name),
               *writer = opened_lock(name);
    for (int round = 0; round < 50; round++) {
        struct caller reads, writes;
        succeeds(rbx_rwlock_read(holder));
        begin_call(&writes, writer, rbx_rwlock_write);
        until(holder, draining);
        cr_assert_eq(rbx_rwlock_try_read(reader), -EBUSY);
        cr_assert_eq(rbx_rwlock_read_for(reader, 1000), -ETIMEDOUT);
        begin_call(&reads, reader, rbx_rwlock_read);
        until(holder, waiting_readers == 1);
        succeeds(rbx_rwlock_unlock(holder));
        cr_assert_eq(end_call(&writes), 0);
        cr_assert_eq(end_call(&reads), 0);
        cr_assert_lt(writes.order, reads.order);
    }
    closes(holder);
    closes(reader);
    closes(writer);
}

Test(rwlock, lets_readers_in_that_waited_for_a_writer_which_gave_up)
{
    const char *name = own_name("lock");
    rbx_rwlock *holder = opened_lock(name), *reader = opened_lock(name),
               *writer = opened_lock(name);
    succeeds(rbx_rwlock_read(holder));
    struct caller reads;
    begin_call(&reads, reader, rbx_rwlock_read);
    cr_assert_eq(rbx_rwlock_write_for(writer, A_WHILE_NS), -ETIMEDOUT);
    cr_assert_eq(end_call(&reads), 0);
    succeeds(rbx_rwlock_unlock(holder));
    closes(holder);
    closes(reader);
    closes(writer);
}

/* ---- under load ------------------------------------------------------------------------------ */

struct load {
    const char *name;
    unsigned rounds, writes_of_a_hundred;
    uint64_t value[2];
    _Atomic unsigned torn, writers;
    _Atomic bool over;
};

static void write_once(struct load *load)
{
    load->torn += ++load->writers != 1;
    load->value[0]++;
    for (volatile int i = 0; i < 20; i++)
        ;
    load->value[1]++;
    load->writers--;
}

static void *works(void *arg)
{
    struct load *load = arg;
    rbx_rwlock *lock = opened_lock(load->name);
    unsigned seed = (unsigned)(uintptr_t)lock;
    for (unsigned i = 0; i < load->rounds && !load->over; i++) {
        bool writes = (unsigned)rand_r(&seed) % 100 < load->writes_of_a_hundred;
        succeeds(writes ? rbx_rwlock_write(lock) : rbx_rwlock_read(lock));
        if (writes)
            write_once(load);
        else
            load->torn += load->value[0] != load->value[1] || load->writers != 0;
        succeeds(rbx_rwlock_unlock(lock));
    }
    closes(lock);
    return NULL;
}

static void under_load(struct load *load, unsigned threads)
{
    pthread_t all[8];
    for (unsigned i = 0; i < threads; i++)
        cr_assert_eq(pthread_create(&all[i], NULL, works, load), 0);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(all[i], NULL);
    cr_assert_eq(load->torn, 0U);
    cr_assert_eq(load->value[0], load->value[1]);
}

Test(rwlock, keeps_threads_apart)
{
    for (unsigned writes = 5; writes <= 95; writes += 45) {
        struct load load = {
            .name = own_name("lock"), .rounds = 20000, .writes_of_a_hundred = writes};
        under_load(&load, 6);
    }
}

/* Streams without end, which must let another in so many times. */
static void gets_in_among(unsigned writes_of_a_hundred, int (*call)(rbx_rwlock *))
{
    struct load load = {
        .name = own_name("lock"), .rounds = UINT32_MAX, .writes_of_a_hundred = writes_of_a_hundred};
    rbx_rwlock *lock = opened_lock(load.name);
    pthread_t all[3];
    for (unsigned i = 0; i < 3; i++)
        cr_assert_eq(pthread_create(&all[i], NULL, works, &load), 0);
    for (int i = 0; i < 1000; i++) {
        succeeds(call(lock));
        succeeds(rbx_rwlock_unlock(lock));
    }
    load.over = true;
    for (unsigned i = 0; i < 3; i++)
        pthread_join(all[i], NULL);
    closes(lock);
}

Test(rwlock, starves_no_reader_among_writers)
{
    gets_in_among(100, rbx_rwlock_read);
}

Test(rwlock, starves_no_writer_among_readers)
{
    gets_in_among(0, rbx_rwlock_write);
}

/* ---- where it may be ------------------------------------------------------------------------- */

Test(rwlock, keeps_a_box_open_that_it_is_attached_to)
{
    rbx_box *box = made(own_name("box"), RBX_RWLOCK_BYTES(3) + 64);
    char *at = (char *)rbx_box_data(box) + 64;
    rbx_rwlock *one, *two;
    const rbx_rwlock_options three_seats = {.seats = 3};
    succeeds(rbx_rwlock_init(at, RBX_RWLOCK_BYTES(3), &three_seats));
    succeeds(rbx_rwlock_attach(&one, box, at, RBX_RWLOCK_BYTES(3)));
    succeeds(rbx_rwlock_attach(&two, box, at, RBX_RWLOCK_BYTES(3)));
    succeeds(rbx_rwlock_write(one));
    cr_assert_eq(rbx_rwlock_try_read(two), -EBUSY);
    refuses(-EBUSY, "attached", rbx_box_close(box));
    succeeds(rbx_rwlock_unlock(one));
    closes(one);
    closes(two);
    succeeds(rbx_box_close(box));
}

Test(rwlock, is_there_without_any_box_too)
{
    _Alignas(64) static char memory[RBX_RWLOCK_BYTES(2)];
    const rbx_rwlock_options two_seats = {.seats = 2};
    rbx_rwlock *one, *two, *three;
    succeeds(rbx_rwlock_init(memory, sizeof memory, &two_seats));
    succeeds(rbx_rwlock_attach(&one, NULL, memory, sizeof memory));
    succeeds(rbx_rwlock_attach(&two, NULL, memory, sizeof memory));
    refuses(-EBUSY, "all 2 seats", rbx_rwlock_attach(&three, NULL, memory, sizeof memory));
    succeeds(rbx_rwlock_write(one));
    struct caller reads;
    begin_call(&reads, two, rbx_rwlock_read);
    until(one, waiting_readers == 1);
    succeeds(rbx_rwlock_unlock(one));
    cr_assert_eq(end_call(&reads), 0);
    closes(two);
    succeeds(rbx_rwlock_attach(&three, NULL, memory, sizeof memory));
    closes(one);
    closes(three);

    rbx_rwlock *own = opened_lock(NULL);
    succeeds(rbx_rwlock_write(own));
    succeeds(rbx_rwlock_unlock(own));
    closes(own);
}

Test(rwlock, has_no_more_handles_than_seats)
{
    const char *name = own_name("lock");
    const rbx_rwlock_options two_seats = {.seats = 2}, three_seats = {.seats = 3};
    const rbx_rwlock_options many = {.seats = RBX_RWLOCK_SEATS_MAX + 1};
    rbx_rwlock *one, *two, *three;
    succeeds(rbx_rwlock_open(&one, name, &two_seats));
    two = opened_lock(name);
    refuses(-EBUSY, "all 2 seats", rbx_rwlock_open(&three, name, NULL));
    cr_assert_null(three);
    closes(one);
    three = opened_lock(name);
    refuses(-EPROTO, "has 2 seats", rbx_rwlock_open(&one, name, &three_seats));
    refuses(-EINVAL, "1022 seats at most", rbx_rwlock_open(&one, name, &many));
    closes(two);
    closes(three);
    const rbx_rwlock_options most = {.seats = RBX_RWLOCK_SEATS_MAX};
    succeeds(rbx_rwlock_open(&one, name, &most));
    cr_assert_eq(described(one).seats, RBX_RWLOCK_SEATS_MAX);
    closes(one);
}

Test(rwlock, says_who_has_it)
{
    const char *name = own_name("lock");
    rbx_rwlock *one = opened_lock(name), *two = opened_lock(name);
    succeeds(rbx_rwlock_read(one));
    rbx_rwlock_info info = described(two);
    cr_assert(info.seats == RBX_RWLOCK_SEATS && info.used == 2 && info.open == 2);
    cr_assert(info.readers == 1 && !info.writing && info.writer == 0 && info.dead == 0);
    succeeds(rbx_rwlock_unlock(one));
    succeeds(rbx_rwlock_write(two));
    info = described(one);
    cr_assert(info.readers == 0 && info.writing && !info.draining && info.writer == getpid());
    cr_assert(!info.broken && !info.lost && info.suspects == 0);
    succeeds(rbx_rwlock_unlock(two));
    closes(one);
    closes(two);
}

static int meets_by_name(void *name)
{
    rbx_rwlock *lock;
    if (rbx_rwlock_open(&lock, name, NULL) < 0)
        return 1;
    return rbx_rwlock_try_write(lock) != -EBUSY || rbx_rwlock_read(lock) < 0 ||
           rbx_rwlock_unlock(lock) < 0 || rbx_rwlock_close(lock) < 0;
}

Test(rwlock, is_met_by_name)
{
    const char *name = own_name("lock");
    rbx_rwlock *lock = opened_lock(name);
    succeeds(rbx_rwlock_read(lock));
    cr_assert_eq(in_child(meets_by_name, (void *)(uintptr_t)name), 0);
    succeeds(rbx_rwlock_unlock(lock));
    closes(lock);
    cr_assert_not(exists(shm_path(name)));
}

static int uses_what_it_inherited(void *lock)
{
    rbx_rwlock_info info;
    return rbx_rwlock_read(lock) != -EBADF || rbx_rwlock_try_write(lock) != -EBADF ||
           rbx_rwlock_unlock(lock) != -EBADF || rbx_rwlock_consistent(lock) != -EBADF ||
           rbx_rwlock_describe(lock, &info) != -EBADF || rbx_rwlock_close(lock) != 0;
}

Test(rwlock, is_not_the_childs_after_fork)
{
    const char *name = own_name("lock");
    rbx_rwlock *lock = opened_lock(name), *other = opened_lock(name);
    succeeds(rbx_rwlock_write(lock));
    cr_assert_eq(in_child(uses_what_it_inherited, lock), 0);
    cr_assert_eq(rbx_rwlock_try_read(other), -EBUSY);
    succeeds(rbx_rwlock_unlock(lock));
    closes(lock);
    closes(other);
}

/* Its seat is the parent's, which a read or a close in the child would give away. */
Test(rwlock, is_not_the_childs_after_fork_without_any_box_either)
{
    const size_t size = RBX_RWLOCK_BYTES(RBX_RWLOCK_SEATS);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(memory, MAP_FAILED);
    rbx_rwlock *lock, *other, *third;
    succeeds(rbx_rwlock_init(memory, size, NULL));
    succeeds(rbx_rwlock_attach(&lock, NULL, memory, size));
    succeeds(rbx_rwlock_attach(&other, NULL, memory, size));
    succeeds(rbx_rwlock_read(lock));
    cr_assert_eq(in_child(uses_what_it_inherited, lock), 0);
    cr_assert_eq(rbx_rwlock_try_write(other), -EBUSY);
    succeeds(rbx_rwlock_attach(&third, NULL, memory, size));
    cr_assert_eq(described(lock).open, 3);
    succeeds(rbx_rwlock_unlock(lock));
    closes(lock);
    closes(other);
    closes(third);
    munmap(memory, size);
}

/* ---- what is none, or damaged ---------------------------------------------------------------- */

Test(rwlock, refuses_what_is_none)
{
    const char *name = own_name("lock");
    rbx_rwlock *lock;
    rbx_mutex *mutex;
    rbx_box *box = made(name, 64);
    refuses(-EPROTO, "no rwlock", rbx_rwlock_open(&lock, name, NULL));
    refuses(-EINVAL, "192 bytes",
            rbx_rwlock_init(rbx_box_data(box), 64, &(rbx_rwlock_options){.seats = 1}));
    succeeds(rbx_box_close(box));
    succeeds(rbx_mutex_open(&mutex, name, NULL));
    refuses(-EPROTO, "something else", rbx_rwlock_open(&lock, name, NULL));
    succeeds(rbx_mutex_close(mutex));
    const rbx_rwlock_options joins = {.box = {.how = RBX_OPEN_ONLY}};
    refuses(-ENOENT, "there is no box", rbx_rwlock_open(&lock, name, &joins));
}

struct hostile {
    _Alignas(64) char memory[RBX_RWLOCK_BYTES(2)];
    rbx_rwlock *lock;
    struct rbx_rwlock_shared *shared;
    struct rbx_rwlock_seat *other;
};

static void prepare(struct hostile *hostile)
{
    *hostile = (struct hostile){.lock = NULL};
    const rbx_rwlock_options two_seats = {.seats = 2};
    succeeds(rbx_rwlock_init(hostile->memory, sizeof hostile->memory, &two_seats));
    hostile->shared = (void *)(hostile->memory + 64);
    hostile->other = (void *)(hostile->memory + 192);
    succeeds(rbx_rwlock_attach(&hostile->lock, NULL, hostile->memory, sizeof hostile->memory));
}

Test(rwlock, with_a_turn_that_nobody_could_have_is_refused)
{
    static const uint64_t turns[] = {
        UINT64_MAX,   0xffff0000,  0x30000,  0x10000, 0x20000, /* seats 65534, 2, 0, 1 */
        0x1000020000, 0x100010000, 0x1f0000, 0x20007, 0xfffff, 0x7fffffff00020000};
    for (size_t i = 0; i < sizeof turns / sizeof *turns; i++) {
        struct hostile hostile;
        prepare(&hostile);
        atomic_store(&hostile.other->who.openings, 3);
        atomic_store(&hostile.shared->turn, turns[i]);
        for (int call = 0; call < 3; call++) {
            int err = call == 0   ? rbx_rwlock_try_read(hostile.lock)
                      : call == 1 ? rbx_rwlock_write_for(hostile.lock, 1000)
                                  : rbx_rwlock_read(hostile.lock);
            cr_assert(err == -EPROTO || err == -ENOTRECOVERABLE, "%zu: %d", i, err);
            rbx_rwlock_info info;
            succeeds(rbx_rwlock_describe(hostile.lock, &info));
        }
        closes(hostile.lock);
    }
}

Test(rwlock, overlooks_a_reader_in_a_seat_that_nobody_has)
{
    struct hostile hostile;
    prepare(&hostile);
    atomic_store(&hostile.shared->used, UINT32_MAX);
    atomic_store(&hostile.other->state, 5 << RBX_RW_TAG_SHIFT | RBX_RW_READING);
    succeeds(rbx_rwlock_try_write(hostile.lock));
    succeeds(rbx_rwlock_unlock(hostile.lock));
    atomic_store(&hostile.other->state, UINT32_MAX);
    succeeds(rbx_rwlock_write(hostile.lock));
    succeeds(rbx_rwlock_unlock(hostile.lock));
    closes(hostile.lock);
}

Test(rwlock, whose_turn_was_taken_away_says_so)
{
    struct hostile hostile;
    prepare(&hostile);
    succeeds(rbx_rwlock_write(hostile.lock));
    atomic_store(&hostile.shared->turn, 0);
    refuses(-EPROTO, "damaged", rbx_rwlock_unlock(hostile.lock));
    succeeds(rbx_rwlock_read(hostile.lock));
    atomic_store(&hostile.shared->turn, UINT64_MAX);
    succeeds(rbx_rwlock_unlock(hostile.lock));
    closes(hostile.lock);
}

Test(rwlock, refuses_a_damaged_header)
{
    _Alignas(64) char memory[RBX_RWLOCK_BYTES(1)] = {0};
    rbx_rwlock *lock;
    const rbx_rwlock_options one_seat = {.seats = 1};
    static const struct {
        size_t at;
        const char *says;
    } faults[] = {{0, "is no rwlock"}, {8, "byte order"}, {12, "version"}, {16, "something else"},
                  {24, "damaged"},     {28, "damaged"},   {40, "damaged"}};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        memset(memory, 0, sizeof memory);
        succeeds(rbx_rwlock_init(memory, sizeof memory, &one_seat));
        memory[faults[i].at] ^= 0x7e;
        refuses(-EPROTO, faults[i].says, rbx_rwlock_attach(&lock, NULL, memory, sizeof memory));
    }
}
