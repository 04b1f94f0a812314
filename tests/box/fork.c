/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a box is to a child that inherited it, and what copies of its descriptors change. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/support.h"

static char name[128], path[4096];

static void choose_name(void)
{
    snprintf(name, sizeof name, "%s", own_name("fork"));
    snprintf(path, sizeof path, "%s", shm_path(name));
}

TestSuite(box_fork, .timeout = 60, .init = choose_name);

static rbx_box *child_box; /* what the child of a test has open */

static rbx_box *inherited;

static int use_inherited(void *arg)
{
    (void)arg;
    int bad = 0;
    rbx_box *again;
    strcpy(rbx_box_data(inherited), "from the child"); /* the memory may be used */
    bad += rbx_box_is_owner(inherited);
    bad += rbx_box_attached(inherited) != -EBADF;
    bad += !strstr(rbx_last_error(), "fork");
    bad += rbx_box_leak(inherited) != -EBADF;
    bad += rbx_box_own(inherited) != -EBADF;
    bad += rbx_box_stale(inherited) != -EBADF;
    bad += rbx_box_link(inherited, "/tmp/t.link") != -EBADF;
    bad += rbx_box_describe(inherited, &(rbx_box_info){0}) != -EBADF;
    bad += rbx_box_close(inherited) != 0; /* leaves the parent's box alone */
    bad += rbx_box_open(&again, name, &(rbx_box_options){.size = 64}) != 0;
    bad += rbx_box_attached(again) != 2;
    bad += rbx_box_close(again) != 0;
    return bad;
}

Test(box_fork, a_child_may_use_the_memory_but_is_not_attached)
{
    inherited = made(name, 64);
    struct child child = start_running(use_inherited, NULL);
    cr_assert_eq(said(&child), 0);
    cr_assert_eq(rbx_box_attached(inherited), 1);
    cr_assert_str_eq((char *)rbx_box_data(inherited), "from the child");
    cr_assert_eq(finish(&child), 0);
    cr_assert_eq(rbx_box_stale(inherited), 0, "the child removed its parent's box");
    cr_assert(rbx_box_is_owner(inherited));
    succeeds(rbx_box_close(inherited));
    cr_assert_not(exists(path));
}

static void live_on(int out)
{
    pid_t self = (pid_t)syscall(SYS_getpid);
    if (write(out, &self, sizeof self) == sizeof self)
        for (;;)
            pause();
    _exit(1);
}

/* The owner forks a grandchild that outlives it, and that sends its pid through *arg, a pipe, once
   it is past the fork and so past its handlers. */
static int open_and_fork(const rbx_box_options *options, const int *out)
{
    int err = rbx_box_open(&child_box, name, options);
    if (err < 0)
        return err;
    if (fork() == 0)
        live_on(out[1]);
    return 0;
}

static int own_and_fork(void *arg)
{
    return open_and_fork(&(rbx_box_options){.size = 64}, arg);
}

/* Likewise one that has joined. */
static int join_and_fork(void *arg)
{
    return open_and_fork(&(rbx_box_options){.how = RBX_OPEN_ONLY}, arg);
}

static int own_and_clone(void *arg)
{
    const int *out = arg;
    int err = rbx_box_open(&child_box, name, &(rbx_box_options){.size = 64});
    if (err < 0)
        return err;
    if (raw_fork() == 0)
        live_on(out[1]);
    return 0;
}

static pid_t orphaned_by(int (*body)(void *arg))
{
    int pipe_of_pid[2];
    pid_t grandchild;
    cr_assert_eq(pipe(pipe_of_pid), 0);
    struct child owner = start(body, pipe_of_pid);
    cr_assert_eq(read(pipe_of_pid[0], &grandchild, sizeof grandchild), sizeof grandchild);
    murder(&owner);
    return grandchild;
}

Test(box_fork, a_forked_child_does_not_keep_its_dead_parents_box_alive)
{
    pid_t grandchild = orphaned_by(own_and_fork);
    rbx_box *box = opened(name, &(rbx_box_options){.size = 64});
    cr_assert(rbx_box_was_created(box));
    kill(grandchild, SIGKILL);
    succeeds(rbx_box_close(box));
}

Test(box_fork, a_forked_child_does_not_keep_its_dead_parent_attached)
{
    rbx_box *box = made(name, 64);
    pid_t grandchild = orphaned_by(join_and_fork);
    cr_assert_eq(rbx_box_attached(box), 1);
    kill(grandchild, SIGKILL);
    succeeds(rbx_box_close(box));
}

Test(box_fork, a_lock_that_a_raw_clone_kept_makes_the_owner_suspect_and_is_never_reclaimed)
{
    pid_t grandchild = orphaned_by(own_and_clone);
    rbx_box *box = opened(name, &(rbx_box_options){.size = 64});
    cr_assert_not(rbx_box_was_created(box));
    rbx_box_info info;
    succeeds(rbx_box_describe(box, &info));
    cr_assert_eq(info.owner, RBX_OWNER_SUSPECT);
    refuses(-EBUSY, "in use", rbx_box_reclaim(name, RBX_SHM));
    succeeds(rbx_box_close(box));
    cr_assert(exists(path));
    kill(grandchild, SIGKILL);
    /* It is not our child, so its end is seen by its locks: they go before it can be reaped. */
    while (rbx_box_reclaim(name, RBX_SHM) == -EBUSY)
        sched_yield();
    cr_assert_not(exists(path));
}

/* A child that another thread is just starting has copies of all descriptors until it calls exec.
 */
Test(box_fork, what_is_closed_is_let_go_of_though_a_child_has_a_copy_of_the_descriptor)
{
    rbx_box *box = opened(name, &(rbx_box_options){.size = 64, .policy = RBX_LAST_ONE_OUT}),
            *owned = made(own_name("owned"), 64);
    pid_t child = raw_fork();
    cr_assert_geq(child, 0);
    if (child == 0)
        for (;;)
            pause();
    succeeds(rbx_box_close(box));
    cr_assert_not(exists(path), "the child's copy kept the box attached");
    succeeds(rbx_box_close(owned));
    cr_assert_eq(rbx_box_reclaim_unused("/nowhere"), -ENOENT);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}
