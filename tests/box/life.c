/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Who removes the name, and when; what the death of a process changes. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/support.h"
#include "box/header.h"
#include "os/lock.h"

static char name[128], path[4096];

static void choose_name(void)
{
    snprintf(name, sizeof name, "%s", own_name("life"));
    snprintf(path, sizeof path, "%s", shm_path(name));
}

TestSuite(life, .timeout = 60, .init = choose_name);

static rbx_box *child_box; /* what the child of a test has open */

/* Opens (or makes) a box of 64 bytes; the policy is *arg. */
static int open_with_policy(void *arg)
{
    const rbx_box_policy *policy = arg;
    return rbx_box_open(&child_box, name, &(rbx_box_options){.size = 64, .policy = *policy});
}

static struct child start_owner(void)
{
    static rbx_box_policy policy = RBX_OWNER_UNLINKS;
    return start(open_with_policy, &policy);
}

static rbx_box *join(void)
{
    return opened(name, &(rbx_box_options){.how = RBX_OPEN_ONLY});
}

static rbx_box *join_or_create(rbx_box_policy policy)
{
    return opened(name, &(rbx_box_options){.size = 64, .policy = policy});
}

static rbx_box_info described(const rbx_box *box)
{
    rbx_box_info info;
    succeeds(rbx_box_describe(box, &info));
    return info;
}

/* ---- policies ------------------------------------------------------------------------------- */

Test(life, the_owner_removes_the_name_and_others_keep_the_memory)
{
    rbx_box *owner = made(name, 64), *other = join();
    strcpy(rbx_box_data(owner), "still here");
    succeeds(rbx_box_close(owner));
    cr_assert_not(exists(path));
    cr_assert_eq(rbx_box_stale(other), 1);
    cr_assert_str_eq((char *)rbx_box_data(other), "still here");
    cr_assert_eq(rbx_box_attached(other), 1);
    succeeds(rbx_box_close(other));
}

Test(life, leaving_does_not_remove_the_owners_box)
{
    rbx_box *owner = made(name, 64), *other = join();
    succeeds(rbx_box_close(other));
    cr_assert(exists(path));
    succeeds(rbx_box_close(owner));
}

Test(life, last_one_out_removes_the_name_whoever_that_is)
{
    for (int creator_first = 0; creator_first < 2; creator_first++) {
        rbx_box *one = join_or_create(RBX_LAST_ONE_OUT), *two = join();
        cr_assert(rbx_box_was_created(one));
        cr_assert_not(rbx_box_is_owner(one));
        succeeds(rbx_box_close(creator_first ? one : two));
        cr_assert(exists(path));
        succeeds(rbx_box_close(creator_first ? two : one));
        cr_assert_not(exists(path));
    }
}

Test(life, the_last_one_out_may_be_read_only)
{
    rbx_box *one = join_or_create(RBX_LAST_ONE_OUT);
    rbx_box *two = opened(name, &(rbx_box_options){.read_only = true});
    succeeds(rbx_box_close(one));
    cr_assert(exists(path));
    succeeds(rbx_box_close(two));
    cr_assert_not(exists(path));
}

Test(life, a_read_only_handle_keeps_a_last_one_out_box)
{
    rbx_box *one = join_or_create(RBX_LAST_ONE_OUT);
    rbx_box *two = opened(name, &(rbx_box_options){.read_only = true});
    rbx_box *three = opened(name, &(rbx_box_options){.read_only = true});
    cr_assert_eq(rbx_box_attached(one), 3);
    succeeds(rbx_box_close(two));
    succeeds(rbx_box_close(one));
    cr_assert(exists(path));
    cr_assert_eq(rbx_box_attached(three), 1);
    succeeds(rbx_box_close(three));
    cr_assert_not(exists(path));
}

Test(life, a_kept_box_stays_with_its_contents_until_somebody_owns_it)
{
    rbx_box *box = join_or_create(RBX_KEEP);
    strcpy(rbx_box_data(box), "kept");
    cr_assert_not(rbx_box_is_owner(box));
    succeeds(rbx_box_close(box));
    refuses(-EBUSY, "kept", rbx_box_reclaim(name, RBX_SHM));
    box = join_or_create(RBX_OWNER_UNLINKS);
    cr_assert_not(rbx_box_was_created(box));
    cr_assert_str_eq((char *)rbx_box_data(box), "kept");
    succeeds(rbx_box_own(box));
    succeeds(rbx_box_close(box));
    cr_assert_not(exists(path));
}

Test(life, a_leaked_box_stays)
{
    rbx_box *box = made(name, 64);
    succeeds(rbx_box_leak(box));
    cr_assert_not(rbx_box_is_owner(box));
    cr_assert_eq(described(box).policy, RBX_KEEP);
    succeeds(rbx_box_close(box));
    cr_assert(exists(path));
    box = join();
    succeeds(rbx_box_own(box));
    succeeds(rbx_box_close(box));
    cr_assert_not(exists(path));
}

Test(life, ownership_moves_from_one_handle_to_another)
{
    rbx_box *one = made(name, 64), *two = join();
    refuses(-EBUSY, "has a living owner", rbx_box_own(two));
    refuses(-EPERM, "does not own", rbx_box_leak(two));
    succeeds(rbx_box_leak(one));
    succeeds(rbx_box_own(two));
    succeeds(rbx_box_own(two));
    refuses(-EBUSY, "has a living owner", rbx_box_own(one));
    succeeds(rbx_box_close(one));
    cr_assert(exists(path));
    cr_assert_eq(rbx_box_stale(two), 0);
    succeeds(rbx_box_close(two));
    cr_assert_not(exists(path));
}

Test(life, the_name_of_a_box_that_is_gone_cannot_be_owned)
{
    rbx_box *one = made(name, 64), *two = join();
    succeeds(rbx_box_close(one));
    refuses(-ESTALE, "gone", rbx_box_own(two));
    rbx_box *successor = made(name, 64);
    refuses(-ESTALE, "another box", rbx_box_own(two));
    succeeds(rbx_box_close(two));
    cr_assert_eq(rbx_box_stale(successor), 0);
    succeeds(rbx_box_close(successor));
}

/* ---- FAILURES 6 and 8: a name that moved on -------------------------------------------------- */

Test(life, an_owner_that_closes_late_never_removes_a_successors_box)
{
    rbx_box *late = made(name, 64);
    cr_assert_eq(unlink(path), 0); /* as an administrator would */
    rbx_box *successor = made(name, 64);
    cr_assert_eq(rbx_box_stale(late), 1);
    cr_assert_eq(rbx_box_stale(successor), 0);
    succeeds(rbx_box_close(late));
    cr_assert_eq(rbx_box_stale(successor), 0);
    succeeds(rbx_box_close(successor));
    cr_assert_not(exists(path));
}

/* The handle is gone then: so it is not -EBUSY, which says that nothing was done. */
Test(life, who_cannot_remove_the_name_in_time_says_so_and_leaves_an_orphan)
{
    static const rbx_box_policy policies[] = {RBX_OWNER_UNLINKS, RBX_LAST_ONE_OUT};
    for (int i = 0; i < 2; i++) {
        rbx_box *box = opened(name, &(rbx_box_options){.size = 64, .policy = policies[i]});
        int with_box = open_descriptors();
        int fd = open(path, O_RDWR | O_CLOEXEC);
        succeeds(rbx_lock_try(fd, RBX_LOCK_NAME, RBX_LOCK_EXCLUSIVE));
        cr_assert_eq(rbx_box_close(box), -ETIMEDOUT);
        cr_assert_not_null(strstr(rbx_last_error(), name));
        cr_assert(exists(path));
        close(fd);
        cr_assert_lt(open_descriptors(), with_box);
        succeeds(rbx_box_reclaim(name, RBX_SHM));
        cr_assert_not(exists(path));
    }
}

Test(life, every_box_ever_made_has_another_id)
{
    rbx_box_info one, two;
    rbx_box *box = made(name, 64);
    one = described(box);
    succeeds(rbx_box_close(box));
    box = made(name, 64);
    two = described(box);
    succeeds(rbx_box_close(box));
    cr_assert_neq(memcmp(one.id, two.id, sizeof one.id), 0);
}

/* ---- FAILURES 7 and 9: death ----------------------------------------------------------------- */

Test(life, a_box_whose_owner_was_killed_is_made_anew)
{
    struct child owner = start_owner();
    rbx_box *box = join();
    strcpy(rbx_box_data(box), "of the dead");
    cr_assert_eq(described(box).owner, RBX_OWNER_ALIVE);
    cr_assert_eq(described(box).owner_pid, owner.pid);
    murder(&owner);
    cr_assert_eq(described(box).owner, RBX_OWNER_DEAD);
    cr_assert_eq(rbx_box_attached(box), 1);
    refuses(-EBUSY, "in use", rbx_box_reclaim(name, RBX_SHM));
    rbx_box *second = join_or_create(RBX_OWNER_UNLINKS);
    cr_assert_not(rbx_box_was_created(second), "somebody still uses the old box");
    succeeds(rbx_box_close(second));
    cr_assert(exists(path));
    succeeds(rbx_box_close(box));
    cr_assert_not(exists(path), "the last to leave a dead owner's box removes it");
}

Test(life, the_next_open_or_create_reclaims_what_a_kill_left)
{
    struct child owner = start_owner();
    murder(&owner);
    cr_assert(exists(path));
    rbx_box *box = join_or_create(RBX_OWNER_UNLINKS);
    cr_assert(rbx_box_was_created(box));
    succeeds(rbx_box_close(box));
    cr_assert_not(exists(path));
}

Test(life, create_only_reclaims_what_a_kill_left_too)
{
    struct child owner = start_owner();
    rbx_box *box;
    refuses(-EEXIST, "exists already",
            rbx_box_open(&box, name, &(rbx_box_options){.size = 1, .how = RBX_CREATE_ONLY}));
    murder(&owner);
    succeeds(rbx_box_close(made(name, 64)));
}

Test(life, open_only_rescues_what_a_kill_left)
{
    struct child owner = start_owner();
    murder(&owner);
    rbx_box *box = join();
    succeeds(rbx_box_own(box));
    cr_assert(rbx_box_is_owner(box));
    succeeds(rbx_box_leak(box));
    succeeds(rbx_box_close(box));
    cr_assert(exists(path));
    cr_assert_eq(unlink(path), 0);
}

Test(life, looking_at_what_a_kill_left_does_not_remove_it)
{
    struct child owner = start_owner();
    murder(&owner);
    rbx_box *one = join(), *two = join();
    succeeds(rbx_box_close(one));
    succeeds(rbx_box_close(two));
    cr_assert(exists(path), "not even when several look");
    rbx_box *box = opened(name, &(rbx_box_options){.read_only = true});
    succeeds(rbx_box_close(box));
    cr_assert(exists(path));
    succeeds(rbx_box_close(join()));
    cr_assert(exists(path));
    cr_assert_eq(rbx_box_reclaim(name, RBX_SHM), 0);
}

Test(life, a_last_one_out_box_of_the_dead_is_reclaimed)
{
    rbx_box_policy policy = RBX_LAST_ONE_OUT;
    struct child user = start(open_with_policy, &policy);
    murder(&user);
    cr_assert(exists(path));
    cr_assert_eq(rbx_box_reclaim(name, RBX_SHM), 0);
    cr_assert_not(exists(path));
    refuses(-ENOENT, name, rbx_box_reclaim(name, RBX_SHM));
}

Test(life, a_stopped_process_is_not_dead)
{
    struct child owner = start_owner();
    kill(owner.pid, SIGSTOP);
    int status;
    cr_assert_eq(waitpid(owner.pid, &status, WUNTRACED), owner.pid);
    rbx_box *box = join_or_create(RBX_OWNER_UNLINKS);
    cr_assert_not(rbx_box_was_created(box));
    cr_assert_eq(described(box).owner, RBX_OWNER_ALIVE);
    cr_assert_eq(rbx_box_attached(box), 2);
    refuses(-EBUSY, "in use", rbx_box_reclaim(name, RBX_SHM));
    succeeds(rbx_box_close(box));
    cr_assert(exists(path));
    kill(owner.pid, SIGCONT);
    murder(&owner);
    cr_assert_eq(rbx_box_reclaim(name, RBX_SHM), 0);
}

static int open_in_new_pid_namespace(void *arg)
{
    (void)arg;
    if (unshare(CLONE_NEWPID) < 0)
        return -EPERM;
    struct child owner = start_owner(); /* pid 1 in there */
    rbx_box *box = join();
    rbx_box_info info = described(box);
    int sane = info.owner == RBX_OWNER_ALIVE && info.owner_pid == 1 && info.attached == 2;
    murder(&owner);
    int noticed = described(box).owner == RBX_OWNER_DEAD;
    succeeds(rbx_box_close(box));
    return sane && noticed && !exists(path) ? 0 : 1;
}

Test(life, an_owner_in_another_pid_namespace_is_judged_by_its_lock_not_its_pid)
{
    int result = in_child(open_in_new_pid_namespace, NULL);
    if (result == -EPERM)
        cr_skip_test("SKIP: may not make a PID namespace");
    cr_assert_eq(result, 0);
}

static void *describe_after_main(void *arg)
{
    rbx_box_info info;
    const int *out = arg;
    while (syscall(SYS_tgkill, getpid(), getpid(), 0) == 0) {
        char state[1024] = "";
        FILE *stat = fopen("/proc/self/stat", "re");
        size_t got = fread(state, 1, sizeof state - 1, stat);
        fclose(stat);
        char *end = got ? strrchr(state, ')') : NULL;
        if (end && end[2] == 'Z')
            break; /* the main thread has ended, and waits for this one */
        sched_yield();
    }
    int err = rbx_box_describe(child_box, &info);
    int answer = err < 0 ? err : (int)info.owner;
    _exit(write(out[1], &answer, sizeof answer) != sizeof answer);
}

Test(life, an_owner_whose_main_thread_has_ended_is_alive)
{
    static int pipe_of_answer[2]; /* for a thread that outlives the stack of the main one */
    int answer;
    cr_assert_eq(pipe(pipe_of_answer), 0);
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        rbx_box_open(&child_box, name, &(rbx_box_options){.size = 64});
        pthread_create(&thread, NULL, describe_after_main, pipe_of_answer);
        pthread_exit(NULL);
    }
    cr_assert_eq(read(pipe_of_answer[0], &answer, sizeof answer), sizeof answer);
    waitpid(child, NULL, 0);
    cr_assert_eq(answer, RBX_OWNER_ALIVE);
    cr_assert_eq(rbx_box_reclaim(name, RBX_SHM), 0);
}

/* ---- counting -------------------------------------------------------------------------------- */

Test(life, attached_counts_every_handle_of_every_process)
{
    enum { HANDLES = 40, CHILDREN = 10 };
    rbx_box *handles[HANDLES];
    struct child children[CHILDREN];
    handles[0] = made(name, 64);
    for (int i = 1; i < HANDLES; i++) {
        handles[i] =
            opened(name, &(rbx_box_options){.how = RBX_OPEN_ONLY, .read_only = i % 3 == 0});
        cr_assert_eq(rbx_box_attached(handles[0]), i + 1);
        cr_assert_eq(rbx_box_attached(handles[i]), i + 1);
    }
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = start_owner();
        cr_assert_eq(rbx_box_attached(handles[0]), HANDLES + i + 1);
    }
    for (int i = 0; i < CHILDREN; i++) {
        murder(&children[i]);
        cr_assert_eq(rbx_box_attached(handles[0]), HANDLES + CHILDREN - i - 1);
    }
    for (int i = 1; i < HANDLES; i++)
        succeeds(rbx_box_close(handles[i]));
    cr_assert_eq(rbx_box_attached(handles[0]), 1);
    succeeds(rbx_box_close(handles[0]));
}
