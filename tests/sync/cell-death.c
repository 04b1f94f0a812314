/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is left of a cell when somebody dies in the middle of using it, or is stopped there. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cell.h"

TestSuite(cell_death, .timeout = 120);

static int spoil_and(int signal, void *value, size_t size)
{
    memset(value, 0xff, size / 2);
    raise(signal);
    return 0;
}

static int spoil_and_die(void *value, size_t size, void *arg)
{
    (void)arg;
    return spoil_and(SIGKILL, value, size);
}

static int spoil_and_stop(void *value, size_t size, void *arg)
{
    (void)arg;
    return spoil_and(SIGSTOP, value, size);
}

static int die(const void *value, size_t size, void *arg)
{
    (void)value, (void)size, (void)arg;
    return raise(SIGKILL);
}

struct plan {
    const char *name;
    rbx_cell_changer *change;
    rbx_cell_reader *read;
};

static int carries_out(void *arg)
{
    const struct plan *plan = arg;
    rbx_cell *cell;
    if (rbx_cell_open(&cell, plan->name, sizeof(struct pair), NULL, NULL) < 0)
        return -1;
    return plan->change ? rbx_cell_change(cell, plan->change, NULL)
                        : rbx_cell_read(cell, plan->read, NULL);
}

Test(cell_death, is_whole_after_a_death_in_a_callback)
{
    struct plan plan = {.name = own_name("cell"), .change = spoil_and_die};
    rbx_cell *cell = opened_pair(plan.name);
    for (uint64_t round = 1; round < 5; round++) {
        succeeds(rbx_cell_change(cell, add_one, NULL));
        struct child child = start_running(carries_out, &plan);
        cr_assert_eq(reap(&child), 128 + SIGKILL);
        is_whole(cell, round);
        plan.change = round % 2 ? NULL : spoil_and_die;
        plan.read = die;
    }
    closes(cell);
}

static int end_thread(void *value, size_t size, void *arg)
{
    (void)arg;
    memset(value, 0xff, size);
    pthread_exit(NULL);
}

static void *ends_in_it(void *cell)
{
    rbx_cell_change(cell, end_thread, NULL);
    return NULL;
}

Test(cell_death, is_whole_after_a_thread_ended_in_a_callback)
{
    not_under_address_sanitizer("takes a stack that was left this way for its own");
    rbx_cell *cell = opened_pair(own_name("cell"));
    pthread_t thread;
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(pthread_create(&thread, NULL, ends_in_it, cell), 0);
        pthread_join(thread, NULL);
        if (i == 0)
            is_whole(cell, 0);
    }
    closes(cell);
}

static int adds_for_ever(void *name)
{
    rbx_cell *cell;
    if (rbx_cell_open(&cell, name, sizeof(struct pair), NULL, NULL) < 0)
        return -1;
    for (;;)
        if (rbx_cell_change(cell, add_one, NULL) < 0)
            _exit(1);
}

Test(cell_death, is_whole_after_each_of_500_kills)
{
    const char *name = own_name("cell");
    rbx_cell *cell = opened_pair(name);
    struct child changer = start_running(adds_for_ever, (void *)(uintptr_t)name);
    uint64_t last = 0, moved = 0;
    for (int kills = 0; kills < 500; kills++) {
        struct child next = start_running(adds_for_ever, (void *)(uintptr_t)name);
        nanosleep(&(struct timespec){.tv_nsec = rand() % 2000000}, NULL);
        murder(&changer);
        changer = next; /* which may be changing it all the time */
        struct pair now = snapshot(cell);
        cr_assert_eq(now.one, now.other);
        cr_assert_geq(now.one, last);
        succeeds(rbx_cell_read(cell, difference, NULL));
        moved += now.one != last;
        last = now.one;
    }
    murder(&changer);
    cr_assert_gt(moved, 10, "it changed between %d kills only", (int)moved);
    is_whole(cell, rbx_cell_version(cell));
    closes(cell);
}

Test(cell_death, has_snapshots_while_a_writer_is_stopped)
{
    struct plan plan = {.name = own_name("cell"), .change = spoil_and_stop};
    rbx_cell *cell = opened_pair(plan.name);
    succeeds(rbx_cell_change(cell, add_one, NULL));
    struct child child = start_running(carries_out, &plan);
    int status;
    cr_assert_eq(waitpid(child.pid, &status, WUNTRACED), child.pid);
    cr_assert(WIFSTOPPED(status));
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(snapshot(cell).other, 1);
    refuses(-ETIMEDOUT, "used by others", rbx_cell_read_for(cell, difference, NULL, 20000000));
    refuses(-ETIMEDOUT, "used by others", rbx_cell_change_for(cell, add_one, NULL, 0));
    murder(&child);
    is_whole(cell, 1);
    closes(cell);
}

static int reads_while_it_waits(void *name)
{
    rbx_cell *cell;
    if (rbx_cell_open(&cell, name, sizeof(struct pair), NULL, NULL) < 0)
        return -1;
    return rbx_cell_read(cell, difference, NULL);
}

Test(cell_death, wakes_who_waits_for_a_writer_that_is_killed)
{
    struct plan plan = {.name = own_name("cell"), .change = spoil_and_stop};
    rbx_cell *cell = opened_pair(plan.name);
    struct child writer = start_running(carries_out, &plan);
    int status;
    cr_assert_eq(waitpid(writer.pid, &status, WUNTRACED), writer.pid);
    struct child reader = start_running(reads_while_it_waits, (void *)(uintptr_t)plan.name);
    await_sleep_of(reader.pid);
    murder(&writer);
    cr_assert_eq(said(&reader), 0);
    cr_assert_eq(finish(&reader), 0);
    closes(cell);
}
