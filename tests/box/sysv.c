/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* System V boxes, and what is mapped raw. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sched.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../support/support.h"
#include "box/header.h"

static char key_text[32], control[128];
static key_t key;

static void choose_key(void)
{
    key = (key_t)(0x52420000 + (getpid() & 0xffff) + (getpid() >> 16 << 20));
    snprintf(key_text, sizeof key_text, "0x%08x", (unsigned)key);
    snprintf(control, sizeof control, "/dev/shm/ringbox-sysv.%s", key_text);
}

TestSuite(sysv, .timeout = 60, .init = choose_key);

static const rbx_box_options sysv = {.size = 10000, .backing = RBX_SYSV};
static const rbx_box_options join_sysv = {.how = RBX_OPEN_ONLY, .backing = RBX_SYSV};

static bool has_segment(void)
{
    return shmget(key, 0, 0) >= 0;
}

Test(sysv, a_box_is_the_segment_that_others_see_by_its_key)
{
    rbx_box *box = opened(key_text, &sysv);
    strcpy(rbx_box_data(box), "by key");
    int id = shmget(key, 10000, 0);
    cr_assert_geq(id, 0);
    char *elsewhere = shmat(id, NULL, 0);
    cr_assert_str_eq(elsewhere, "by key");
    shmdt(elsewhere);
    rbx_box *two = opened(key_text, &join_sysv);
    cr_assert_str_eq((char *)rbx_box_data(two), "by key");
    cr_assert_eq(rbx_box_size(two), 10000);
    cr_assert_eq(rbx_box_attached(box), 2);
    succeeds(rbx_box_close(two));
    succeeds(rbx_box_close(box));
    cr_assert_not(has_segment());
    cr_assert_not(exists(control));
}

Test(sysv, a_key_may_be_written_in_any_base)
{
    char decimal[32];
    snprintf(decimal, sizeof decimal, "%u", (unsigned)key);
    rbx_box *one = opened(key_text, &sysv), *two = opened(decimal, &join_sysv);
    cr_assert_eq(rbx_box_attached(one), 2);
    succeeds(rbx_box_close(two));
    succeeds(rbx_box_close(one));
}

Test(sysv, policies_hold_as_for_any_box)
{
    rbx_box *one = opened(
        key_text, &(rbx_box_options){.size = 64, .backing = RBX_SYSV, .policy = RBX_LAST_ONE_OUT});
    rbx_box *two = opened(key_text, &join_sysv);
    succeeds(rbx_box_close(one));
    cr_assert(has_segment());
    succeeds(rbx_box_leak(two) == -EPERM ? 0 : -1);
    succeeds(rbx_box_close(two));
    cr_assert_not(has_segment());
    one = opened(key_text, &sysv);
    succeeds(rbx_box_leak(one));
    strcpy(rbx_box_data(one), "leaked");
    succeeds(rbx_box_close(one));
    cr_assert(has_segment());
    one = opened(key_text, &join_sysv);
    cr_assert_str_eq((char *)rbx_box_data(one), "leaked");
    succeeds(rbx_box_own(one));
    succeeds(rbx_box_close(one));
    cr_assert_not(has_segment());
}

Test(sysv, a_foreign_segment_is_refused_and_stays)
{
    rbx_box *box;
    int id = shmget(key, 500, IPC_CREAT | IPC_EXCL | 0600);
    cr_assert_geq(id, 0);
    refuses(-EEXIST, "not a ringbox box", rbx_box_open(&box, key_text, &sysv));
    refuses(-ENOENT, key_text, rbx_box_open(&box, key_text, &join_sysv));
    cr_assert(has_segment());
    cr_assert_not(exists(control));
    rbx_box *raw = opened(key_text, &(rbx_box_options){.backing = RBX_SYSV, .raw = true});
    cr_assert_eq(rbx_box_size(raw), 500);
    strcpy(rbx_box_data(raw), "raw");
    refuses(-ENOTSUP, "raw", rbx_box_attached(raw));
    refuses(-ENOTSUP, "raw", rbx_box_own(raw));
    refuses(-ENOTSUP, "raw", rbx_box_stale(raw));
    succeeds(rbx_box_close(raw));
    cr_assert(has_segment(), "raw never removes");
    shmctl(id, IPC_RMID, NULL);
    refuses(-ENOENT, key_text,
            rbx_box_open(&raw, key_text, &(rbx_box_options){.backing = RBX_SYSV, .raw = true}));
}

/* As a peer of a box that admits others may write there whatever it likes. */
Test(sysv, a_header_that_names_a_foreign_segment_does_not_make_its_owner_remove_that)
{
    int id = shmget(key, 500, IPC_CREAT | IPC_EXCL | 0600);
    cr_assert_geq(id, 0);
    const char *name = own_name("lies");
    rbx_box *box = made(name, 64);
    int fd = open(shm_path(name), O_RDWR | O_CLOEXEC);
    struct rbx_box_header *header =
        mmap(NULL, sizeof *header, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    cr_assert_neq((void *)header, MAP_FAILED);
    header->backing = RBX_SYSV;
    header->sysv_key = key;
    header->sysv_id = id;
    header->ipc_namespace = 0;
    succeeds(rbx_box_close(box));
    cr_assert(has_segment());
    cr_assert_not(exists(shm_path(name)));
    munmap(header, sizeof *header);
    close(fd);
    shmctl(id, IPC_RMID, NULL);
}

static int own_key(void *arg)
{
    (void)arg;
    rbx_box *box;
    return rbx_box_open(&box, key_text, &sysv);
}

Test(sysv, the_next_open_or_create_reclaims_what_a_kill_left)
{
    struct child owner = start(own_key, NULL);
    murder(&owner);
    cr_assert(has_segment());
    rbx_box *box = opened(key_text, &sysv);
    cr_assert(rbx_box_was_created(box));
    succeeds(rbx_box_close(box));
    cr_assert_not(has_segment());
    cr_assert_not(exists(control));
}

static int die(void *data, size_t size, void *arg)
{
    (void)data, (void)size, (void)arg;
    raise(SIGKILL);
    return 0;
}

static int die_in_init(void *arg)
{
    (void)arg;
    rbx_box *box;
    return rbx_box_open(&box, key_text,
                        &(rbx_box_options){.size = 64, .backing = RBX_SYSV, .init = die});
}

Test(sysv, a_creator_that_dies_half_way_leaves_nothing_that_is_seen)
{
    struct child creator = start_running(die_in_init, NULL);
    cr_assert_eq(reap(&creator), 128 + SIGKILL);
    cr_assert(has_segment());
    rbx_box *box;
    refuses(-ESTALE, "no System V segment", rbx_box_open(&box, key_text, &join_sysv));
    box = opened(key_text, &sysv);
    cr_assert(rbx_box_was_created(box));
    cr_assert_eq(*(char *)rbx_box_data(box), 0);
    succeeds(rbx_box_close(box));
    cr_assert_not(has_segment());
}

static int run_creator(void *arg)
{
    struct child creator = start_running(die_in_init, arg);
    return reap(&creator) == 128 + SIGKILL ? 0 : 1;
}

static int die_in_init_elsewhere(void *arg)
{
    if (unshare(CLONE_NEWPID) < 0)
        return -EPERM;
    return in_child(run_creator, arg); /* pid 1 in there, which cannot kill itself; its child can */
}

Test(sysv, a_creator_that_dies_half_way_in_another_pid_namespace_leaves_nothing_either)
{
    int result = in_child(die_in_init_elsewhere, NULL);
    if (result == -EPERM)
        cr_skip_test("SKIP: may not make a PID namespace");
    cr_assert_eq(result, 0);
    cr_assert(has_segment());
    rbx_box *box = opened(key_text, &sysv);
    cr_assert(rbx_box_was_created(box));
    succeeds(rbx_box_close(box));
    cr_assert_not(has_segment());
}

static int open_in_other_ipc_namespace(void *arg)
{
    (void)arg;
    rbx_box *box;
    if (unshare(CLONE_NEWIPC) < 0)
        return -EPERM;
    int joined = rbx_box_open(&box, key_text, &join_sysv);
    int either = rbx_box_open(&box, key_text, &sysv);
    int reclaimed = rbx_box_reclaim(key_text, RBX_SYSV);
    return joined == -EPROTO && either == -EPROTO && reclaimed == -EXDEV ? 0 : 1;
}

Test(sysv, a_box_of_another_ipc_namespace_is_refused_and_stays)
{
    rbx_box *box = opened(key_text, &sysv);
    int result = in_child(open_in_other_ipc_namespace, NULL);
    if (result == -EPERM)
        cr_skip_test("SKIP: may not make an IPC namespace");
    cr_assert_eq(result, 0);
    cr_assert_eq(rbx_box_stale(box), 0);
    succeeds(rbx_box_close(box));
    cr_assert_not(has_segment());
    struct child dead = start(own_key, NULL);
    murder(&dead);
    cr_assert_eq(in_child(open_in_other_ipc_namespace, NULL), 0, "an orphan is not theirs either");
    cr_assert_eq(rbx_box_reclaim(key_text, RBX_SYSV), 0);
    cr_assert_not(has_segment());
}

/* As root without CAP_IPC_OWNER, of another user's segment. */
static int judge_without_looking(void *arg)
{
    (void)arg;
    rbx_box_info info;
    rbx_box *box;
    if (rbx_box_open(&box, key_text, &join_sysv) < 0)
        return 1;
    if (!refuse_syscall(SYS_shmctl, EACCES, 1, IPC_STAT))
        return -EPERM;
    int stale = rbx_box_stale(box);
    int described = rbx_box_describe(box, &info);
    int reclaimed = rbx_box_reclaim(key_text, RBX_SYSV);
    return stale == 0 && described == 0 && !info.unused && reclaimed == -EBUSY ? 0 : 2;
}

Test(sysv, a_segment_that_may_not_be_looked_at_is_not_lost)
{
    rbx_box *box = opened(key_text, &sysv);
    int result = in_child(judge_without_looking, NULL);
    cr_expect_eq(rbx_box_stale(box), 0);
    succeeds(rbx_box_close(box));
    cr_assert_not(has_segment());
    if (result == -EPERM)
        cr_skip_test("SKIP: seccomp is not allowed here");
    cr_assert_eq(result, 0);
}

static int give_up(void *data, size_t size, void *arg)
{
    (void)data, (void)size, (void)arg;
    return -ECANCELED;
}

Test(sysv, an_init_that_gives_up_leaves_nothing)
{
    rbx_box *box;
    refuses(-ECANCELED, "gave up",
            rbx_box_open(&box, key_text,
                         &(rbx_box_options){.size = 64, .backing = RBX_SYSV, .init = give_up}));
    cr_assert_not(has_segment());
    cr_assert_not(exists(control));
}

Test(sysv, a_box_whose_segment_was_removed_is_stale_and_made_anew)
{
    rbx_box *one = opened(key_text, &sysv), *two;
    cr_assert_eq(rbx_box_stale(one), 0);
    cr_assert_eq(shmctl(shmget(key, 0, 0), IPC_RMID, NULL), 0); /* ipcrm */
    cr_assert_eq(rbx_box_stale(one), 1);
    refuses(-ESTALE, "no System V segment", rbx_box_open(&two, key_text, &join_sysv));
    two = opened(key_text, &sysv);
    cr_assert(rbx_box_was_created(two));
    succeeds(rbx_box_close(one));
    cr_assert_eq(rbx_box_stale(two), 0, "the late owner removed its successor's box");
    cr_assert(has_segment());
    succeeds(rbx_box_close(two));
    cr_assert_not(has_segment());
}

Test(sysv, a_read_only_handle_sees_the_segment)
{
    rbx_box *one = opened(key_text, &sysv);
    rbx_box *two = opened(
        key_text, &(rbx_box_options){.backing = RBX_SYSV, .read_only = true, .prefault = true});
    strcpy(rbx_box_data(one), "seen");
    cr_assert_str_eq((char *)rbx_box_data(two), "seen");
    succeeds(rbx_box_close(two));
    succeeds(rbx_box_close(one));
}

/* ---- raw ------------------------------------------------------------------------------------- */

TestSuite(raw, .timeout = 60);

Test(raw, maps_any_posix_object_as_it_is)
{
    char name[128], object[256];
    snprintf(name, sizeof name, "/%s", own_name("raw"));
    snprintf(object, sizeof object, "/dev/shm%s", name);
    int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, "somebody else's", 16), 16);
    close(fd);
    const rbx_box_options raw = {.raw = true};
    rbx_box *box = opened(name, &raw);
    cr_assert_str_eq((char *)rbx_box_data(box), "somebody else's");
    cr_assert_eq(rbx_box_size(box), 16);
    cr_assert_not(rbx_box_is_owner(box));
    cr_assert_eq(rbx_box_stale(box), 0);
    rbx_box_info info;
    succeeds(rbx_box_describe(box, &info));
    cr_assert_eq(info.size, 16);
    succeeds(rbx_box_close(box));
    box = opened(name + 1, &(rbx_box_options){.raw = true, .size = 10, .read_only = true});
    cr_assert_eq(rbx_box_size(box), 10);
    shm_unlink(name);
    cr_assert_eq(rbx_box_stale(box), 1);
    succeeds(rbx_box_close(box));
    refuses(-ENOENT, name, rbx_box_open(&box, name, &raw));
}

Test(raw, maps_a_file_and_never_past_its_end)
{
    char directory[4096], path[4096];
    snprintf(directory, sizeof directory, "%s", own_directory("/tmp"));
    snprintf(path, sizeof path, "%s", in_directory(directory, "t.file"));
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    rbx_box *box;
    const rbx_box_options raw = {.raw = true, .backing = RBX_FILE};
    refuses(-EPROTO, "0 bytes", rbx_box_open(&box, path, &raw));
    cr_assert_eq(write(fd, "12345", 5), 5);
    refuses(
        -EPROTO, "has 5 bytes; this program asked for 6",
        rbx_box_open(&box, path, &(rbx_box_options){.raw = true, .backing = RBX_FILE, .size = 6}));
    box = opened(path, &raw);
    cr_assert_eq(memcmp(rbx_box_data(box), "12345", 5), 0);
    succeeds(rbx_box_close(box));
    cr_assert(exists(path));
    close(fd);
    remove_tree(directory);
}

Test(raw, a_box_can_be_looked_at_with_its_header)
{
    char raw_name[256];
    const char *name = own_name("inside");
    rbx_box *box = made(name, 64);
    snprintf(raw_name, sizeof raw_name, "ringbox.%s", name);
    rbx_box *raw = opened(raw_name, &(rbx_box_options){.raw = true, .read_only = true});
    cr_assert_str_eq((char *)rbx_box_data(raw), "ringbox");
    cr_assert_eq(rbx_box_attached(box), 1, "raw is not attached");
    succeeds(rbx_box_close(raw));
    succeeds(rbx_box_close(box));
}
