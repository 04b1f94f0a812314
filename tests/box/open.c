/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/support.h"

TestSuite(open, .timeout = 60);

Test(open, a_new_box_is_zeroed_and_page_aligned)
{
    const char *name = own_name("new");
    rbx_box *box = made(name, 100000);
    const char *data = rbx_box_data(box);
    cr_assert_eq((uintptr_t)data % 4096, 0);
    cr_assert_eq(rbx_box_size(box), 100000);
    for (size_t i = 0; i < 100000; i++)
        cr_assert_eq(data[i], 0);
    cr_assert_str_eq(rbx_box_name(box), name);
    cr_assert(rbx_box_is_owner(box));
    cr_assert(rbx_box_was_created(box));
    succeeds(rbx_box_close(box));
    cr_assert_not(exists(shm_path(name)));
}

Test(open, what_one_handle_writes_the_other_reads)
{
    const char *name = own_name("shared");
    rbx_box *one = made(name, 4096);
    rbx_box *two = opened(name, &(rbx_box_options){.how = RBX_OPEN_ONLY});
    strcpy(rbx_box_data(one), "hello");
    cr_assert_str_eq((char *)rbx_box_data(two), "hello");
    cr_assert_neq(rbx_box_data(one), rbx_box_data(two));
    cr_assert_not(rbx_box_was_created(two));
    cr_assert_not(rbx_box_is_owner(two));
    cr_assert_eq(rbx_box_size(two), 4096);
    succeeds(rbx_box_close(two));
    succeeds(rbx_box_close(one));
}

Test(open, null_options_join_whatever_has_the_name)
{
    const char *name = own_name("any");
    rbx_box *one = made(name, 77);
    rbx_box *two = opened(name, NULL);
    cr_assert_eq(rbx_box_size(two), 77);
    succeeds(rbx_box_close(two));
    succeeds(rbx_box_close(one));
    rbx_box *none;
    refuses(-ENOENT, name, rbx_box_open(&none, name, NULL));
    cr_assert_null(none);
}

Test(open, create_only_refuses_what_exists)
{
    const char *name = own_name("once");
    rbx_box *one = made(name, 64), *two;
    refuses(-EEXIST, "exists already",
            rbx_box_open(&two, name, &(rbx_box_options){.size = 64, .how = RBX_CREATE_ONLY}));
    succeeds(rbx_box_close(one));
}

Test(open, open_or_create_joins_what_exists)
{
    const char *name = own_name("either");
    const rbx_box_options options = {.size = 64};
    rbx_box *one = opened(name, &options), *two = opened(name, &options);
    cr_assert(rbx_box_was_created(one));
    cr_assert_not(rbx_box_was_created(two));
    succeeds(rbx_box_close(two));
    succeeds(rbx_box_close(one));
}

static int fill(void *data, size_t size, void *arg)
{
    int *runs = arg;
    ++*runs;
    memset(data, 0x5a, size);
    return 0;
}

Test(open, init_runs_once_and_only_for_the_creator)
{
    const char *name = own_name("init");
    int runs = 0;
    const rbx_box_options options = {.size = 999, .init = fill, .init_arg = &runs};
    rbx_box *one = opened(name, &options), *two = opened(name, &options);
    cr_assert_eq(runs, 1);
    const char *data = rbx_box_data(two);
    cr_assert_eq(data[0], 0x5a);
    cr_assert_eq(data[998], 0x5a);
    succeeds(rbx_box_close(two));
    succeeds(rbx_box_close(one));
}

static int look_for_name(void *data, size_t size, void *arg)
{
    (void)data, (void)size;
    return exists(shm_path(arg)) ? -EEXIST : 0;
}

Test(open, the_name_does_not_exist_while_init_runs)
{
    char name[64];
    strcpy(name, own_name("unseen"));
    const rbx_box_options options = {.size = 64, .init = look_for_name, .init_arg = name};
    succeeds(rbx_box_close(opened(name, &options)));
}

static int give_up(void *data, size_t size, void *arg)
{
    (void)data, (void)size, (void)arg;
    return -ECANCELED;
}

Test(open, an_init_that_gives_up_leaves_nothing)
{
    const char *name = own_name("giveup");
    const rbx_box_backing backings[] = {RBX_SHM, RBX_MEMFD};
    for (size_t i = 0; i < 2; i++) {
        rbx_box *box;
        refuses(
            -ECANCELED, "gave up",
            rbx_box_open(&box, name,
                         &(rbx_box_options){.size = 64, .init = give_up, .backing = backings[i]}));
        cr_assert_null(box);
    }
    cr_assert_not(exists(shm_path(name)));
}

static int give_up_for_now(void *data, size_t size, void *arg)
{
    (void)data, (void)size;
    ++*(int *)arg;
    return -EAGAIN;
}

Test(open, what_init_returns_is_what_open_returns_whatever_it_is)
{
    int runs = 0;
    rbx_box *box;
    refuses(
        -EAGAIN, "gave up",
        rbx_box_open(&box, own_name("again"),
                     &(rbx_box_options){.size = 64, .init = give_up_for_now, .init_arg = &runs}));
    cr_assert_eq(runs, 1);
}

Test(open, the_mode_is_exact_whatever_the_umask)
{
    const char *name = own_name("mode");
    struct stat status;
    umask(0077);
    rbx_box *box = opened(name, &(rbx_box_options){.size = 64, .mode = 0664});
    cr_assert_eq(stat(shm_path(name), &status), 0);
    cr_assert_eq(status.st_mode & 07777, 0664);
    succeeds(rbx_box_close(box));
    umask(0);
    box = made(name, 64);
    cr_assert_eq(stat(shm_path(name), &status), 0);
    cr_assert_eq(status.st_mode & 07777, 0600);
    cr_assert_eq(umask(022), 0, "the library changed the umask");
    succeeds(rbx_box_close(box));
}

Test(open, a_read_only_handle_sees_but_cannot_write)
{
    const char *name = own_name("ro");
    rbx_box *one = made(name, 64);
    rbx_box *two = opened(name, &(rbx_box_options){.read_only = true});
    strcpy(rbx_box_data(one), "look");
    cr_assert_str_eq((char *)rbx_box_data(two), "look");
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512], start[32];
    bool readable_only = false;
    snprintf(start, sizeof start, "%08lx-", (unsigned long)rbx_box_data(two) - 4096);
    while (fgets(line, sizeof line, maps))
        if (strncmp(line, start, strlen(start)) == 0)
            readable_only = strstr(line, " r--s ");
    fclose(maps);
    cr_assert(readable_only);
    cr_assert_eq(rbx_box_attached(one), 2);
    cr_assert_eq(rbx_box_attached(two), 2);
    refuses(-EACCES, "read-only", rbx_box_own(two));
    succeeds(rbx_box_close(two));
    succeeds(rbx_box_close(one));
}

Test(open, a_box_in_a_file_works_wherever_the_program_goes)
{
    char directory[4096], path[4096];
    strcpy(directory, own_directory("/tmp"));
    strcpy(path, in_directory(directory, "t.box"));
    cr_assert_eq(chdir(directory), 0);
    rbx_box *one = opened("t.box", &(rbx_box_options){.size = 5000, .backing = RBX_FILE});
    cr_assert(exists(path));
    rbx_box *two = opened(path, &(rbx_box_options){.size = 5000, .backing = RBX_FILE});
    strcpy(rbx_box_data(one), "in a file");
    cr_assert_str_eq((char *)rbx_box_data(two), "in a file");
    succeeds(rbx_box_close(two));
    cr_assert_eq(chdir("/"), 0);
    succeeds(rbx_box_close(one));
    cr_assert_not(exists(path));
    remove_tree(directory);
}

Test(open, prefault_lock_and_huge_pages_are_wishes)
{
    const char *name = own_name("wishes");
    const rbx_box_options options = {
        .size = 3 << 20, .prefault = true, .lock_memory = true, .huge_pages = true};
    rbx_box *one = opened(name, &options), *two = opened(name, &options);
    memset(rbx_box_data(two), 1, rbx_box_size(two));
    rbx_box_info info;
    succeeds(rbx_box_describe(two, &info));
    succeeds(rbx_box_close(two));
    succeeds(rbx_box_close(one));
    rbx_box *memfd = opened(
        "t.huge", &(rbx_box_options){
                      .size = 3 << 20, .backing = RBX_MEMFD, .huge_pages = true, .prefault = true});
    memset(rbx_box_data(memfd), 1, rbx_box_size(memfd));
    succeeds(rbx_box_close(memfd));
}

Test(open, memory_that_may_not_be_locked_opens_unlocked)
{
    not_under_address_sanitizer("makes mlock do nothing");
    const char *name = own_name("unlocked");
    if (geteuid() == 0) /* root has CAP_IPC_LOCK, for which the limit does not count */
        cr_assert_eq(setresuid(65534, 65534, 65534), 0);
    cr_assert_eq(setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){0, 0}), 0);
    rbx_box *box = opened(name, &(rbx_box_options){.size = 1 << 20, .lock_memory = true});
    rbx_box_info info;
    succeeds(rbx_box_describe(box, &info));
    cr_assert_not(info.locked);
    succeeds(rbx_box_close(box));
}

Test(open, memory_that_may_be_locked_says_so)
{
    not_under_address_sanitizer("makes mlock do nothing");
    const char *name = own_name("locked");
    rbx_box *box = opened(name, &(rbx_box_options){.size = 4096, .lock_memory = true});
    rbx_box_info info;
    succeeds(rbx_box_describe(box, &info));
    cr_assert(info.locked);
    succeeds(rbx_box_close(box));
}

struct wide {
    alignas(64) char bytes[128];
};

struct wider {
    char bytes[129];
};

Test(open, as_checks_that_the_type_fits)
{
    const char *name = own_name("as");
    rbx_box *box = made(name, 128);
    cr_assert_eq((void *)rbx_box_as(box, struct wide), rbx_box_data(box));
    cr_assert_null(rbx_box_as(box, struct wider));
    cr_assert_not_null(strstr(rbx_last_error(), "has 128 bytes"));
    cr_assert_null(rbx_box_fit(box, 1, ~(SIZE_MAX >> 1)));
    cr_assert_not_null(strstr(rbx_last_error(), "aligned"));
    succeeds(rbx_box_close(box));
}

Test(open, the_tag_is_kept_and_compared)
{
    const char *name = own_name("tag");
    rbx_box *one = opened(name, &(rbx_box_options){.size = 64, .tag = 0x7469636b}), *two;
    rbx_box_info info;
    succeeds(rbx_box_describe(one, &info));
    cr_assert_eq(info.tag, 0x7469636b);
    refuses(-EPROTO, "tag",
            rbx_box_open(&two, name, &(rbx_box_options){.size = 64, .tag = 0x1234}));
    two = opened(name, &(rbx_box_options){.size = 64});
    succeeds(rbx_box_close(two));
    succeeds(rbx_box_close(one));
}

Test(open, a_size_other_than_the_box_has_is_refused_with_both)
{
    const char *name = own_name("size");
    rbx_box *one = made(name, 64), *two;
    refuses(-EPROTO, "has 64 bytes; this program asked for 65",
            rbx_box_open(&two, name, &(rbx_box_options){.size = 65}));
    succeeds(rbx_box_close(one));
}

Test(open, options_that_make_no_sense_are_refused)
{
    rbx_box *box;
    const char *name = own_name("options");
    const struct {
        rbx_box_options options;
        int code;
        const char *part;
    } cases[] = {
        {{.size = 0}, -EINVAL, "0 bytes"},
        {{.size = 0, .how = RBX_CREATE_ONLY}, -EINVAL, "0 bytes"},
        {{.size = (size_t)RBX_BOX_SIZE_MAX + 1}, -EFBIG, "the limit"},
        {{.size = SIZE_MAX}, -EFBIG, "the limit"},
        {{.size = 1, .how = (rbx_box_how)3}, -EINVAL, "how 3"},
        {{.size = 1, .policy = (rbx_box_policy)9}, -EINVAL, "policy 9"},
        {{.size = 1, .backing = (rbx_box_backing)7}, -EINVAL, "backing 7"},
        {{.size = 1, .mode = 01777}, -EINVAL, "mode"},
        {{.size = 1, .mode = 0444}, -EINVAL, "mode"}, /* its own user could not remove it */
        {{.size = 1, .mode = 0755}, -EINVAL, "mode"},
        {{.size = 1, .how = RBX_CREATE_ONLY, .read_only = true}, -EINVAL, "read-only"},
        {{.size = 1, .how = RBX_CREATE_ONLY, .raw = true}, -EINVAL, "raw"},
        {{.size = 1, .how = RBX_OPEN_ONLY, .backing = RBX_MEMFD}, -EINVAL, "memfd"},
        {{.size = 1, .raw = true, .backing = RBX_MEMFD}, -EINVAL, "raw"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        refuses(cases[i].code, cases[i].part, rbx_box_open(&box, name, &cases[i].options));
        cr_assert_null(box);
    }
    cr_assert_not(exists(shm_path(name)));
}

Test(open, the_other_backing_under_the_name_is_refused)
{
    const char *directory = own_directory(NULL);
    char path[4096];
    strcpy(path, in_directory(directory, "t.box"));
    const char *name = own_name("copied");
    rbx_box *one = made(name, 64), *two;
    cr_assert_eq(link(shm_path(name), path), 0);
    refuses(-EPROTO, "was made as a shm box; this program asked for a file one",
            rbx_box_open(&two, path, &(rbx_box_options){.size = 64, .backing = RBX_FILE}));
    succeeds(rbx_box_close(one));
    remove_tree(directory);
}

/* In a sticky directory fs.protected_regular refuses even root an O_CREAT of another's file. */
Test(open, what_exists_is_opened_without_o_creat)
{
    const char *name = own_name("nocreat");
    rbx_box *one = made(name, 64);
    if (!refuse_syscall(SYS_openat, EACCES, 2, O_CREAT)) {
        succeeds(rbx_box_close(one));
        cr_skip_test("SKIP: seccomp is not allowed here");
    }
    cr_assert_eq(openat(AT_FDCWD, shm_path(name), O_CREAT | O_RDWR, 0600), -1);
    succeeds(rbx_box_close(opened(name, &(rbx_box_options){.size = 64})));
    succeeds(rbx_box_close(one));
}

Test(open, where_files_need_a_name_a_box_is_made_all_the_same)
{
    char directory[4096], path[4096];
    if (!refuse_syscall(SYS_openat, EOPNOTSUPP, 2, O_TMPFILE))
        cr_skip_test("SKIP: seccomp is not allowed here");
    strcpy(directory, own_directory(NULL));
    strcpy(path, in_directory(directory, "t.box"));
    cr_assert_eq(openat(AT_FDCWD, "/dev/shm", O_TMPFILE | O_RDWR, 0600), -1);
    int fds = open_descriptors();
    const rbx_box_options options = {.size = 10000, .how = RBX_CREATE_ONLY, .backing = RBX_FILE};
    rbx_box *one = opened(path, &options), *two;
    cr_assert_eq(entries(directory), 1, "the draft is still there");
    refuses(-EEXIST, "exists already", rbx_box_open(&two, path, &options));
    succeeds(rbx_box_close(one));
    cr_assert_eq(open_descriptors(), fds);
    cr_assert_eq(entries(directory), 0);
    const char *name = own_name("named");
    succeeds(rbx_box_close(made(name, 64)));
    remove_tree(directory);
}
