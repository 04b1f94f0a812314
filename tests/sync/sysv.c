/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* System V semaphores and segments, beside programs that make their system calls themselves. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../support/support.h"

static char key_text[32];
static key_t key;
static pid_t maker;

static int foreign_set(void)
{
    return semget(key, 0, 0);
}

static void remove_all(void)
{
    if (!key || getpid() != maker)
        return;
    semctl(foreign_set(), 0, IPC_RMID);
    shmctl(shmget(key, 0, 0), IPC_RMID, NULL);
}

static void choose_key(void)
{
    maker = getpid();
    key = (key_t)(0x53420000 + (maker & 0xffff) + (maker >> 16 << 20));
    snprintf(key_text, sizeof key_text, "0x%08x", (unsigned)key);
    atexit(remove_all); /* also when a test fails */
}

TestSuite(sysv_sem, .timeout = 60, .init = choose_key);
TestSuite(sysv_segment, .timeout = 60, .init = choose_key);

enum { A_MOMENT_NS = 20000000 };

static const rbx_sem_options three = {
    .count = 3, .initial = 2, .remove = true, .box = {.backing = RBX_SYSV}};
static const rbx_sem_options any = {.box = {.backing = RBX_SYSV, .how = RBX_OPEN_ONLY}};

static rbx_sem *opened_sem(const rbx_sem_options *options)
{
    rbx_sem *sem;
    succeeds(rbx_sem_open(&sem, key_text, options));
    return sem;
}

static void closes(rbx_sem *sem)
{
    succeeds(rbx_sem_close(sem));
}

#define has(sem, index, units) cr_assert_eq(rbx_sem_value((sem), (index)), (units))

static int foreign_op(unsigned short member, short by, short flags)
{
    struct sembuf op = {.sem_num = member, .sem_op = by, .sem_flg = flags};
    return semop(foreign_set(), &op, 1) < 0 ? -errno : 0;
}

/* As another program makes it. */
static void foreign_makes(int members)
{
    cr_assert_geq(semget(key, members, IPC_CREAT | IPC_EXCL | 0600), 0);
}

/* ---- sets ------------------------------------------------------------------------------------ */

Test(sysv_sem, counts_what_others_see_by_its_key)
{
    rbx_sem *sem = opened_sem(&three);
    has(sem, 2, 2);
    cr_assert_eq(semctl(foreign_set(), 2, GETVAL), 2);
    succeeds(rbx_sem_add(sem, 2, 3));
    cr_assert_eq(semctl(foreign_set(), 2, GETVAL), 5);
    cr_assert_eq(foreign_op(2, -4, 0), 0);
    has(sem, 2, 1);
    succeeds(rbx_sem_wait(sem, 2, 0));
    refuses(-EAGAIN, "fewer than 1", rbx_sem_try_wait(sem, 2, 0));
    refuses(-ETIMEDOUT, "as long as", rbx_sem_wait_for(sem, 2, 0, A_MOMENT_NS));
    refuses(-ETIMEDOUT, "fewer than 3", rbx_sem_take(sem, 1, 3, 0, 0));
    closes(sem);
    cr_assert_lt(foreign_set(), 0, "removed");
}

Test(sysv_sem, joins_a_set_that_another_program_has_made)
{
    foreign_makes(4);
    cr_assert_eq(foreign_op(3, 1, 0), 0);
    const rbx_sem_options joins = {.count = 4, .initial = 9, .box = {.backing = RBX_SYSV}};
    rbx_sem *sem = opened_sem(&joins), *other;
    has(sem, 3, 1);
    has(sem, 0, 0);
    refuses(-EINVAL, "no member 4", rbx_sem_wait(sem, 4, 0));
    succeeds(rbx_sem_wait(sem, 3, 0));
    succeeds(rbx_sem_done(sem, 3));
    refuses(-EPERM, "has not taken", rbx_sem_done(sem, 3));
    refuses(-EPROTO, "has 4 members; this program asked for 3",
            rbx_sem_open(&other, key_text, &three));
    rbx_sem_info info;
    succeeds(rbx_sem_describe(sem, &info));
    cr_assert_eq(info.members, 4);
    cr_assert_eq(info.seats, 0);
    closes(sem);
    cr_assert_geq(foreign_set(), 0, "it is not ours to remove");
}

Test(sysv_sem, without_first_values_is_waited_for_but_by_who_only_joins)
{
    foreign_makes(3);
    rbx_sem *sem;
    refuses(-EBUSY, "first values", rbx_sem_open(&sem, key_text, &three));
    sem = opened_sem(&any);
    succeeds(rbx_sem_add(sem, 0, 1)); /* from here on it counts as used */
    rbx_sem *other = opened_sem(&three);
    has(other, 0, 1);
    closes(other);
    closes(sem);
}

Test(sysv_sem, is_made_once_by_many)
{
    const rbx_sem_options one = {.initial = 1, .box = {.backing = RBX_SYSV}};
    const rbx_sem_options only = {.box = {.backing = RBX_SYSV, .how = RBX_CREATE_ONLY}};
    rbx_sem *sem, *first = opened_sem(&one), *second = opened_sem(&one);
    has(second, 0, 1);
    refuses(-EEXIST, "exists already", rbx_sem_open(&sem, key_text, &only));
    closes(first);
    closes(second);
    cr_assert_geq(foreign_set(), 0, "kept");
    semctl(foreign_set(), 0, IPC_RMID);
    refuses(-ENOENT, "there is no", rbx_sem_open(&sem, key_text, &any));
    const rbx_sem_options values = {.count = 2,
                                    .values = (const uint32_t[]){0, 32767},
                                    .remove = true,
                                    .box = {.backing = RBX_SYSV, .how = RBX_CREATE_ONLY}};
    sem = opened_sem(&values);
    has(sem, 0, 0);
    has(sem, 1, 32767);
    const rbx_sem_options joins = {.box = {.backing = RBX_SYSV}};
    closes(opened_sem(&joins));
    closes(sem);
}

static int takes_on_undo(void *arg)
{
    (void)arg;
    rbx_sem *sem;
    return rbx_sem_open(&sem, key_text, &any) < 0 ||
           rbx_sem_take(sem, 0, 2, RBX_SEM_UNDO, RBX_FOREVER) < 0 || rbx_sem_wait(sem, 1, 0) < 0;
}

static int foreign_takes_on_undo(void *arg)
{
    (void)arg;
    return foreign_op(0, -2, SEM_UNDO);
}

Test(sysv_sem, gets_back_what_a_killed_process_had_on_undo)
{
    rbx_sem *sem = opened_sem(&three);
    struct child ours = start(takes_on_undo, NULL);
    has(sem, 0, 0);
    has(sem, 1, 1);
    cr_assert_eq(foreign_op(0, -1, IPC_NOWAIT), -EAGAIN);
    murder(&ours);
    cr_assert_eq(semctl(foreign_set(), 0, GETVAL), 2);
    has(sem, 1, 1);
    struct child theirs = start(foreign_takes_on_undo, NULL);
    refuses(-EAGAIN, "fewer", rbx_sem_try_wait(sem, 0, RBX_SEM_UNDO));
    murder(&theirs);
    succeeds(rbx_sem_wait(sem, 0, RBX_SEM_UNDO));
    closes(sem);
}

Test(sysv_sem, gets_back_what_a_closed_handle_had_on_undo)
{
    rbx_sem *sem = opened_sem(&three), *other = opened_sem(&any);
    succeeds(rbx_sem_take(other, 0, 2, RBX_SEM_UNDO, 0));
    succeeds(rbx_sem_wait(other, 1, RBX_SEM_UNDO));
    succeeds(rbx_sem_wait(other, 1, 0));
    succeeds(rbx_sem_done(other, 1)); /* what is on undo goes first */
    closes(other);
    has(sem, 0, 2);
    has(sem, 1, 1);
    closes(sem);
}

static int takes_and_gives_and_ends(void *arg)
{
    (void)arg;
    rbx_sem *sem;
    return rbx_sem_open(&sem, key_text, &any) < 0 || rbx_sem_wait(sem, 0, RBX_SEM_UNDO) < 0 ||
           rbx_sem_wait(sem, 0, 0) < 0 || rbx_sem_give(sem, 0, 2) < 0;
}

Test(sysv_sem, does_not_get_back_twice_what_was_given_back)
{
    rbx_sem *sem = opened_sem(&three);
    cr_assert_eq(in_child(takes_and_gives_and_ends, NULL), 0);
    has(sem, 0, 2);
    closes(sem);
}

static int waits_for_two(void *arg)
{
    (void)arg;
    rbx_sem *sem;
    if (rbx_sem_open(&sem, key_text, &any) < 0)
        return 1;
    return rbx_sem_take(sem, 1, 2, 0, 60000000000U);
}

static int foreign_waits_for_two(void *arg)
{
    (void)arg;
    return foreign_op(1, -2, 0);
}

Test(sysv_sem, wakes_waiters_of_either_program)
{
    const rbx_sem_options empty = {.count = 2, .remove = true, .box = {.backing = RBX_SYSV}};
    rbx_sem *sem = opened_sem(&empty);
    struct child theirs = start_running(foreign_waits_for_two, NULL);
    succeeds(rbx_sem_add(sem, 1, 2));
    cr_assert_eq(said(&theirs), 0);
    cr_assert_eq(finish(&theirs), 0);
    struct child ours = start_running(waits_for_two, NULL);
    cr_assert_eq(foreign_op(1, 2, 0), 0);
    cr_assert_eq(said(&ours), 0);
    cr_assert_eq(finish(&ours), 0);
    succeeds(rbx_sem_wait_zero(sem, 1, RBX_FOREVER));
    cr_assert_eq(foreign_op(1, 1, 0), 0);
    refuses(-ETIMEDOUT, "had units", rbx_sem_wait_zero(sem, 1, A_MOMENT_NS));
    closes(sem);
}

Test(sysv_sem, that_is_removed_ends_every_wait)
{
    const rbx_sem_options empty = {.count = 2, .box = {.backing = RBX_SYSV}};
    rbx_sem *sem = opened_sem(&empty);
    struct child waiter = start_running(waits_for_two, NULL);
    await_sleep_of(waiter.pid);
    semctl(foreign_set(), 0, IPC_RMID);
    cr_assert_eq(said(&waiter), -ESTALE);
    cr_assert_eq(finish(&waiter), 0);
    refuses(-ESTALE, "has been removed", rbx_sem_wait(sem, 0, 0));
    refuses(-ESTALE, "has been removed", rbx_sem_add(sem, 0, 1));
    refuses(-ESTALE, "has been removed", rbx_sem_value(sem, 0));
    refuses(-ESTALE, "has been removed", rbx_sem_wait_zero(sem, 0, 0));
    rbx_sem_info info;
    refuses(-ESTALE, "has been removed", rbx_sem_describe(sem, &info));
    closes(sem);
}

static void ignore(int number)
{
    (void)number;
}

Test(sysv_sem, ends_a_wait_when_a_signal_handler_has_run)
{
    const rbx_sem_options empty = {.remove = true, .box = {.backing = RBX_SYSV}};
    rbx_sem *sem = opened_sem(&empty);
    struct sigaction action = {.sa_handler = ignore};
    sigaction(SIGALRM, &action, NULL);
    ualarm(20000, 20000);
    int err = rbx_sem_wait_for(sem, 0, 0, 60000000000U);
    ualarm(0, 0);
    cr_assert_eq(err, -EINTR);
    closes(sem);
}

Test(sysv_sem, tells_mistakes_and_what_the_kernel_cannot_do)
{
    rbx_sem *sem = opened_sem(&three), *bad;
    refuses(-EOVERFLOW, "more than 32767", rbx_sem_add(sem, 0, 32766));
    refuses(-EOVERFLOW, "more than 32767", rbx_sem_add(sem, 0, 40000));
    refuses(-EINVAL, "at once", rbx_sem_take(sem, 0, 40000, 0, 0));
    refuses(-EINVAL, "4294967295 is no number", rbx_sem_add(sem, 0, (uint32_t)-1));
    refuses(-EPERM, "has not taken", rbx_sem_done(sem, 0));
    const rbx_sem_options last_one_out = {.box = {.backing = RBX_SYSV, .policy = RBX_LAST_ONE_OUT}};
    const rbx_sem_options full = {.initial = 32768, .box = {.backing = RBX_SYSV}};
    const rbx_sem_options mode = {.box = {.backing = RBX_SYSV, .mode = 0060}};
    const rbx_sem_options sized = {.box = {.backing = RBX_SYSV, .size = 1}};
    const rbx_sem_options how = {.box = {.backing = RBX_SYSV, .how = (rbx_box_how)9}};
    refuses(-EINVAL, "number 9", rbx_sem_open(&bad, key_text, &how));
    refuses(-ENOTSUP, "nobody knows", rbx_sem_open(&bad, key_text, &last_one_out));
    refuses(-EINVAL, "32767 is the most", rbx_sem_open(&bad, key_text, &full));
    refuses(-EINVAL, "mode 060", rbx_sem_open(&bad, key_text, &mode));
    refuses(-EINVAL, "not for a System V", rbx_sem_open(&bad, key_text, &sized));
    refuses(-EINVAL, "no System V key", rbx_sem_open(&bad, "printers", &any));
    refuses(-EINVAL, "IPC_PRIVATE", rbx_sem_open(&bad, "0", &any));
    cr_assert_null(bad);
    closes(sem);
}

static int uses_what_it_inherited(void *arg)
{
    rbx_sem *sem = arg;
    return rbx_sem_wait(sem, 0, 0) != -EBADF || rbx_sem_done(sem, 0) != -EBADF ||
           rbx_sem_close(sem) != 0;
}

Test(sysv_sem, is_not_the_childs_after_fork)
{
    rbx_sem *sem = opened_sem(&three);
    succeeds(rbx_sem_wait(sem, 0, RBX_SEM_UNDO));
    cr_assert_eq(in_child(uses_what_it_inherited, sem), 0);
    has(sem, 0, 1);
    closes(sem);
}

/* ---- segments -------------------------------------------------------------------------------- */

/* As another program makes it, with a text in it. */
static void foreign_segment(size_t size, const char *text)
{
    int id = shmget(key, size, IPC_CREAT | IPC_EXCL | 0600);
    cr_assert_geq(id, 0);
    char *at = shmat(id, NULL, 0);
    strcpy(at, text);
    shmdt(at);
}

static void foreign_reads(const char *text, size_t offset)
{
    char *at = shmat(shmget(key, 0, 0), NULL, SHM_RDONLY);
    cr_assert_str_eq(at + offset, text);
    shmdt(at);
}

Test(sysv_segment, of_another_program_is_read_and_written_and_left)
{
    foreign_segment(500, "theirs");
    rbx_box *box = opened(key_text, &(rbx_box_options){.backing = RBX_SYSV, .raw = true});
    char text[8];
    succeeds(rbx_box_read(box, 0, text, 7));
    cr_assert_str_eq(text, "theirs");
    succeeds(rbx_box_write(box, 100, "ours", 5));
    foreign_reads("ours", 100);
    succeeds(rbx_box_close(box));
    cr_assert_geq(shmget(key, 0, 0), 0, "only detached");
    foreign_reads("theirs", 0);
}

Test(sysv_segment, that_is_read_only_is_not_written)
{
    foreign_segment(500, "theirs");
    rbx_box *box =
        opened(key_text, &(rbx_box_options){.backing = RBX_SYSV, .raw = true, .read_only = true});
    char text[8];
    succeeds(rbx_box_read(box, 0, text, 7));
    cr_assert_str_eq(text, "theirs");
    refuses(-EACCES, "read-only", rbx_box_write(box, 0, "ours", 5));
    foreign_reads("theirs", 0);
    succeeds(rbx_box_close(box));
}

Test(sysv_segment, is_neither_read_nor_written_past_its_end)
{
    foreign_segment(500, "theirs");
    rbx_box *box = opened(key_text, &(rbx_box_options){.backing = RBX_SYSV, .raw = true});
    char bytes[501] = {0};
    succeeds(rbx_box_write(box, 0, bytes, 500));
    succeeds(rbx_box_read(box, 499, bytes, 1));
    succeeds(rbx_box_read(box, 500, NULL, 0));
    refuses(-ERANGE, "has 500 bytes, not 501 from 0", rbx_box_read(box, 0, bytes, 501));
    refuses(-ERANGE, "not 1 from 500", rbx_box_write(box, 500, bytes, 1));
    refuses(-ERANGE, "not 0 from 501", rbx_box_read(box, 501, bytes, 0));
    refuses(-ERANGE, "from", rbx_box_write(box, SIZE_MAX, bytes, 2));
    refuses(-ERANGE, "has 500 bytes", rbx_box_read(box, 2, bytes, SIZE_MAX));
    refuses(-EINVAL, "no buffer", rbx_box_read(box, 0, NULL, 1));
    refuses(-EINVAL, "no buffer", rbx_box_write(box, 0, NULL, 1));
    succeeds(rbx_box_close(box));
}

static int reads_what_it_inherited(void *box)
{
    char byte;
    return rbx_box_read(box, 0, &byte, 1) != -EBADF || rbx_box_write(box, 0, "x", 1) != -EBADF;
}

Test(sysv_segment, or_any_other_box_can_be_copied_from)
{
    rbx_box *box = made(own_name("box"), 8);
    char text[8];
    succeeds(rbx_box_write(box, 2, "abc", 4));
    succeeds(rbx_box_read(box, 3, text, 3));
    cr_assert_str_eq(text, "bc");
    refuses(-ERANGE, "has 8 bytes", rbx_box_write(box, 5, "abc", 4));
    cr_assert_eq(in_child(reads_what_it_inherited, box), 0);
    succeeds(rbx_box_close(box));
}
