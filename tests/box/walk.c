/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../support/support.h"

TestSuite(walk, .timeout = 60);

struct seen {
    int count;
    char name[64][256];
    rbx_box_info info[64];
};

static int note(const rbx_box_info *info, void *arg)
{
    struct seen *seen = arg;
    snprintf(seen->name[seen->count], 256, "%s", info->name);
    seen->info[seen->count] = *info;
    seen->info[seen->count].name = seen->name[seen->count];
    seen->count++;
    return 0;
}

static struct seen seen;

static void walk(const char *directory)
{
    seen.count = 0;
    succeeds(rbx_box_walk(directory, note, &seen));
}

static const rbx_box_info *find(const char *name)
{
    for (int i = 0; i < seen.count; i++)
        if (strcmp(seen.name[i], name) == 0)
            return &seen.info[i];
    return NULL;
}

static int own(void *arg)
{
    rbx_box *box;
    return rbx_box_open(&box, arg, &(rbx_box_options){.size = 64});
}

Test(walk, shows_every_box_of_this_user_with_what_the_kernel_knows)
{
    needs_own_shm("size=10m");
    rbx_box *one = opened("one", &(rbx_box_options){.size = 5000, .tag = 0xbeef, .mode = 0640});
    rbx_box *again = opened("one", &(rbx_box_options){.read_only = true});
    rbx_box *last = opened("last", &(rbx_box_options){.size = 1, .policy = RBX_LAST_ONE_OUT});
    rbx_box *kept = opened("kept", &(rbx_box_options){.size = 1, .policy = RBX_KEEP});
    succeeds(rbx_box_close(kept));
    struct child dead = start(own, (void *)"dead");
    murder(&dead);
    int fd = open("/dev/shm/somebody-elses", O_CREAT | O_WRONLY, 0600);
    close(fd);
    walk(NULL);
    cr_assert_eq(seen.count, 4);

    const rbx_box_info *info = find("one");
    cr_assert_eq(info->backing, RBX_SHM);
    cr_assert_eq(info->policy, RBX_OWNER_UNLINKS);
    cr_assert_eq(info->owner, RBX_OWNER_ALIVE);
    cr_assert_eq(info->owner_pid, getpid());
    cr_assert_eq(info->creator_pid, getpid());
    cr_assert_eq(info->attached, 2);
    cr_assert_eq(info->problem, 0);
    cr_assert_not(info->unused);
    cr_assert_not(info->stale);
    cr_assert_eq(info->mode, 0640);
    cr_assert_eq(info->uid, geteuid());
    cr_assert_eq(info->size, 5000);
    cr_assert_eq(info->tag, 0xbeef);
    cr_assert_eq(info->page_size, (uint64_t)sysconf(_SC_PAGESIZE));
    uint64_t age = (uint64_t)time(NULL) - info->created_ns / 1000000000U;
    cr_assert_leq(age, 60);

    info = find("last");
    cr_assert_eq(info->policy, RBX_LAST_ONE_OUT);
    cr_assert_eq(info->owner, RBX_OWNER_NONE);
    cr_assert_eq(info->attached, 1);
    cr_assert_not(info->unused);

    info = find("kept");
    cr_assert_eq(info->policy, RBX_KEEP);
    cr_assert_eq(info->attached, 0);
    cr_assert_not(info->unused);

    info = find("dead");
    cr_assert_eq(info->owner, RBX_OWNER_DEAD);
    cr_assert_eq(info->attached, 0);
    cr_assert(info->unused);

    cr_assert_eq(rbx_box_reclaim_unused("/dev/shm"), 1);
    walk(NULL);
    cr_assert_eq(seen.count, 3);
    cr_assert_null(find("dead"));
    cr_assert(exists("/dev/shm/somebody-elses"));
    succeeds(rbx_box_close(again));
    succeeds(rbx_box_close(one));
    succeeds(rbx_box_close(last));
    cr_assert_eq(rbx_box_reclaim_unused(NULL), 0);
}

Test(walk, shows_what_has_the_name_of_a_box_and_is_none)
{
    needs_own_shm("size=1m");
    int fd = open("/dev/shm/ringbox.text", O_CREAT | O_WRONLY, 0600);
    cr_assert_eq(write(fd, "text", 4), 4);
    close(fd);
    cr_assert_eq(mkdir("/dev/shm/ringbox.directory", 0700), 0);
    cr_assert_eq(mkfifo("/dev/shm/ringbox.fifo", 0700), 0);
    cr_assert_eq(symlink("/etc/passwd", "/dev/shm/ringbox.symlink"), 0);
    walk(NULL);
    cr_assert_eq(seen.count, 4);
    for (int i = 0; i < seen.count; i++) {
        cr_assert_eq(seen.info[i].problem, -EPROTO);
        cr_assert_not(seen.info[i].unused);
    }
    cr_assert_eq(rbx_box_reclaim_unused(NULL), 0);
    cr_assert_eq(entries("/dev/shm"), 4);
}

Test(walk, of_the_directory_of_shared_memory_finds_names_and_files)
{
    needs_own_shm("size=1m");
    rbx_box *one = made("one", 64);
    rbx_box *two = opened("/dev/shm/t.two", &(rbx_box_options){.size = 64, .backing = RBX_FILE});
    walk(NULL);
    cr_assert_eq(seen.count, 1);
    walk("/dev/shm/");
    cr_assert_eq(seen.count, 2);
    cr_assert_eq(find("one")->backing, RBX_SHM);
    cr_assert_eq(find("one")->problem, 0);
    const rbx_box_info *file = find("/dev/shm//t.two");
    cr_assert_not_null(file);
    cr_assert_eq(file->backing, RBX_FILE);
    succeeds(rbx_box_close(one));
    succeeds(rbx_box_close(two));
}

Test(walk, of_a_directory_finds_the_boxes_among_other_files)
{
    char directory[4096], path[4096];
    snprintf(directory, sizeof directory, "%s", own_directory("/tmp"));
    snprintf(path, sizeof path, "%s", in_directory(directory, "t.box"));
    int fd = open(in_directory(directory, "text"), O_CREAT | O_WRONLY, 0600);
    cr_assert_eq(write(fd, "nothing of interest", 19), 19);
    close(fd);
    rbx_box *box = opened(path, &(rbx_box_options){.size = 64, .backing = RBX_FILE});
    walk(directory);
    cr_assert_eq(seen.count, 1);
    cr_assert_eq(find(path)->attached, 1);
    cr_assert_eq(find(path)->backing, RBX_FILE);
    cr_assert_eq(rbx_box_reclaim_unused(directory), 0);
    succeeds(rbx_box_close(box));
    walk(directory);
    cr_assert_eq(seen.count, 0);
    remove_tree(directory);
}

static int own_file(void *arg)
{
    rbx_box *box;
    return rbx_box_open(&box, arg, &(rbx_box_options){.size = 64, .backing = RBX_FILE});
}

Test(walk, reclaims_the_unused_boxes_of_a_directory)
{
    char directory[4096];
    snprintf(directory, sizeof directory, "%s", own_directory("/tmp"));
    for (int i = 0; i < 3; i++) {
        char leaf[16];
        snprintf(leaf, sizeof leaf, "t.%d", i);
        struct child dead = start(own_file, (void *)in_directory(directory, leaf));
        murder(&dead);
    }
    cr_assert_eq(entries(directory), 3);
    cr_assert_eq(rbx_box_reclaim_unused(directory), 3);
    cr_assert_eq(entries(directory), 0);
    remove_tree(directory);
}

static int stop_at_once(const rbx_box_info *info, void *arg)
{
    (void)info;
    ++*(int *)arg;
    return -77;
}

Test(walk, stops_when_the_visitor_says_so)
{
    needs_own_shm("size=1m");
    int calls = 0;
    rbx_box *one = made("one", 64), *two = made("two", 64);
    cr_assert_eq(rbx_box_walk(NULL, stop_at_once, &calls), -77);
    cr_assert_eq(calls, 1);
    succeeds(rbx_box_close(one));
    succeeds(rbx_box_close(two));
}

Test(walk, of_what_is_no_directory_fails)
{
    refuses(-ENOENT, "/no/such", rbx_box_walk("/no/such/directory", note, &seen));
    refuses(-ENOTDIR, "/etc/passwd", rbx_box_walk("/etc/passwd", note, &seen));
    refuses(-EINVAL, "someone", rbx_box_walk(NULL, NULL, NULL));
}

static int make_as_nobody(void *arg)
{
    rbx_box *box;
    if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
        return -EPERM;
    int err = rbx_box_open(&box, "nobodys", &(rbx_box_options){.size = 64});
    walk(NULL);
    *(int *)arg = seen.count; /* of the child's memory */
    return err < 0 ? err : seen.count;
}

Test(walk, shows_a_user_their_own_boxes_and_root_all)
{
    needs_root();
    needs_own_shm("size=1m,mode=1777");
    int count;
    rbx_box *roots = opened("roots", &(rbx_box_options){.size = 64, .mode = 0666});
    struct child nobody = start_running(make_as_nobody, &count);
    cr_assert_eq(said(&nobody), 1);
    walk(NULL);
    cr_assert_eq(seen.count, 2);
    cr_assert_eq(find("nobodys")->uid, 65534);
    murder(&nobody);
    cr_assert_eq(rbx_box_reclaim_unused(NULL), 0, "root sweeps its own boxes only");
    cr_assert_eq(rbx_box_reclaim("nobodys", RBX_SHM), 0, "unless it names one");
    succeeds(rbx_box_close(roots));
}

Test(walk, sees_system_v_boxes)
{
    needs_own_shm("size=1m");
    char key[32];
    snprintf(key, sizeof key, "0x%08x", 0x52430000U + ((unsigned)getpid() & 0xffff));
    rbx_box *box = opened(key, &(rbx_box_options){.size = 64, .backing = RBX_SYSV});
    walk(NULL);
    cr_assert_eq(seen.count, 1);
    cr_assert_eq(find(key)->backing, RBX_SYSV);
    cr_assert_eq(find(key)->size, 64);
    cr_assert_eq(find(key)->attached, 1);
    succeeds(rbx_box_close(box));
}

Test(walk, drafts_that_a_crash_left_are_reclaimed_and_live_ones_are_not)
{
    char directory[4096];
    snprintf(directory, sizeof directory, "%s", own_directory("/tmp"));
    int fd =
        open(in_directory(directory, "ringbox-draft.0123456789abcdef"), O_CREAT | O_RDWR, 0600);
    struct flock held = {.l_type = F_WRLCK, .l_start = ((off_t)3 << 61) + 5, .l_len = 1};
    cr_assert_eq(fcntl(fd, F_OFD_SETLK, &held), 0); /* as its maker holds ATTACH */
    cr_assert_eq(rbx_box_reclaim_unused(directory), 0);
    close(fd);
    cr_assert_eq(rbx_box_reclaim_unused(directory), 1);
    cr_assert_eq(entries(directory), 0);
    remove_tree(directory);
}
