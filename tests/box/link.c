/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../support/support.h"

static char name[128], directory[4096], path[4096];

static void set_up(void)
{
    snprintf(name, sizeof name, "%s", own_name("link"));
    snprintf(directory, sizeof directory, "%s", own_directory("/tmp"));
    snprintf(path, sizeof path, "%s", in_directory(directory, "ticks.link"));
}

static void tear_down(void)
{
    remove_tree(directory);
}

TestSuite(link, .timeout = 60, .init = set_up, .fini = tear_down);

static void write_file(const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

Test(link, opens_the_box_it_names)
{
    rbx_box *one = made(name, 64), *two;
    succeeds(rbx_box_link(one, path));
    strcpy(rbx_box_data(one), "through a link");
    succeeds(rbx_box_open_link(&two, path, NULL));
    cr_assert_str_eq((char *)rbx_box_data(two), "through a link");
    cr_assert_str_eq(rbx_box_name(two), name);
    succeeds(rbx_box_close(two));
    succeeds(rbx_box_open_link(&two, path, &(rbx_box_options){.size = 64, .read_only = true}));
    succeeds(rbx_box_close(two));
    refuses(-EPROTO, "64 bytes", rbx_box_open_link(&two, path, &(rbx_box_options){.size = 65}));
    cr_assert_null(two);
    succeeds(rbx_box_close(one));
    cr_assert_not(exists(path), "the link goes with the name");
}

Test(link, to_a_file_box_works_from_every_directory)
{
    rbx_box *one, *two;
    cr_assert_eq(chdir(directory), 0);
    one = opened("t.box", &(rbx_box_options){.size = 64, .backing = RBX_FILE});
    succeeds(rbx_box_link(one, "t.link"));
    char link_path[4096];
    snprintf(link_path, sizeof link_path, "%s", in_directory(directory, "t.link"));
    cr_assert_eq(chdir("/"), 0);
    succeeds(rbx_box_open_link(&two, link_path, NULL));
    cr_assert_str_eq(rbx_box_name(two), in_directory(directory, "t.box"));
    succeeds(rbx_box_close(two));
    succeeds(rbx_box_close(one));
    cr_assert_not(exists(link_path));
    cr_assert_eq(entries(directory), 0);
}

Test(link, is_removed_by_the_last_one_out_and_by_reclaim_too)
{
    const rbx_box_options last = {.size = 64, .policy = RBX_LAST_ONE_OUT};
    rbx_box *one = opened(name, &last), *two = opened(name, &last);
    succeeds(rbx_box_link(one, path));
    succeeds(rbx_box_close(one));
    cr_assert(exists(path));
    succeeds(rbx_box_close(two));
    cr_assert_not(exists(path));
}

static int link_and_wait(void *arg)
{
    (void)arg;
    rbx_box *box;
    int err = rbx_box_open(&box, name, &(rbx_box_options){.size = 64});
    return err < 0 ? err : rbx_box_link(box, path);
}

Test(link, of_a_killed_owner_goes_when_its_box_is_reclaimed)
{
    struct child owner = start(link_and_wait, NULL);
    murder(&owner);
    cr_assert(exists(path));
    cr_assert_eq(rbx_box_reclaim(name, RBX_SHM), 0);
    cr_assert_not(exists(path));
}

Test(link, that_an_earlier_box_of_the_name_left_is_replaced)
{
    rbx_box *one = made(name, 64), *two;
    succeeds(rbx_box_link(one, path));
    cr_assert_eq(unlink(shm_path(name)), 0);
    rbx_box *successor = made(name, 64);
    succeeds(rbx_box_link(successor, path));
    succeeds(rbx_box_close(one)); /* late: neither its name nor its link is its own any more */
    cr_assert(exists(path));
    succeeds(rbx_box_open_link(&two, path, NULL));
    succeeds(rbx_box_close(two));
    succeeds(rbx_box_close(successor));
    cr_assert_not(exists(path));
}

Test(link, a_box_has_only_one)
{
    rbx_box *box = made(name, 64);
    succeeds(rbx_box_link(box, path));
    succeeds(rbx_box_link(box, path));
    refuses(-EBUSY, "has a link file already", rbx_box_link(box, in_directory(directory, "b")));
    cr_assert_eq(entries(directory), 1);
    succeeds(rbx_box_close(box));
    cr_assert_eq(entries(directory), 0);
}

Test(link, that_somebody_removed_may_be_made_elsewhere)
{
    rbx_box *box = made(name, 64);
    const char *other = in_directory(directory, "other.link");
    succeeds(rbx_box_link(box, path));
    cr_assert_eq(unlink(path), 0);
    succeeds(rbx_box_link(box, other));
    succeeds(rbx_box_close(box));
    cr_assert_eq(entries(directory), 0);
}

Test(link, goes_with_a_box_whose_directory_was_renamed)
{
    char other[4200];
    snprintf(other, sizeof other, "%s.renamed", directory);
    rbx_box *box = opened(in_directory(directory, "t.box"),
                          &(rbx_box_options){.size = 64, .backing = RBX_FILE});
    char outside[4200];
    snprintf(outside, sizeof outside, "%s.link", directory);
    succeeds(rbx_box_link(box, outside));
    cr_assert_eq(rename(directory, other), 0);
    succeeds(rbx_box_close(box));
    cr_assert_not(exists(outside));
    cr_assert_eq(entries(other), 0);
    cr_assert_eq(rename(other, directory), 0);
}

Test(link, never_overwrites_anything_else)
{
    rbx_box *box = made(name, 64), *other = made(own_name("other"), 64);
    write_file("precious");
    refuses(-EEXIST, "link file", rbx_box_link(box, path));
    cr_assert_eq(unlink(path), 0);
    succeeds(rbx_box_link(other, path));
    refuses(-EEXIST, "link file", rbx_box_link(box, path));
    succeeds(rbx_box_close(box));
    cr_assert(exists(path), "the link of another box went with this one");
    succeeds(rbx_box_close(other));
    cr_assert_eq(symlink("/etc/passwd", path), 0);
    box = made(name, 64);
    refuses(-EEXIST, "link file", rbx_box_link(box, path));
    succeeds(rbx_box_close(box));
}

Test(link, of_a_box_that_is_gone_says_so)
{
    rbx_box *one = made(name, 64), *two;
    succeeds(rbx_box_link(one, path));
    cr_assert_eq(unlink(shm_path(name)), 0);
    refuses(-ENOENT, name, rbx_box_open_link(&two, path, NULL));
    refuses(-ESTALE, "gone", rbx_box_link(one, path));
    succeeds(rbx_box_close(one));
}

Test(link, only_for_boxes_with_a_name_that_may_be_written)
{
    rbx_box *memfd = opened("t.m", &(rbx_box_options){.size = 64, .backing = RBX_MEMFD});
    refuses(-ENOTSUP, "memfd", rbx_box_link(memfd, path));
    succeeds(rbx_box_close(memfd));
    rbx_box *one = made(name, 64);
    rbx_box *two = opened(name, &(rbx_box_options){.read_only = true});
    refuses(-ENOTSUP, "read-only", rbx_box_link(two, path));
    succeeds(rbx_box_close(two));
    refuses(-ENOENT, "directory", rbx_box_link(one, "/no/such/directory/link"));
    refuses(-EINVAL, "empty", rbx_box_link(one, ""));
    succeeds(rbx_box_close(one));
}

Test(link, files_that_are_none_are_refused)
{
    const char *bad[] = {
        "",
        "hello\n",
        "ringbox link 1\n",
        "ringbox link 2\nshm ticks\n00112233445566778899aabbccddeeff\n",
        "ringbox link 1\nshm\n00112233445566778899aabbccddeeff\n",
        "ringbox link 1\ntape ticks\n00112233445566778899aabbccddeeff\n",
        "ringbox link 1\nshm ticks\n00112233445566778899aabbccddeef\n",
        "ringbox link 1\nshm ticks\n00112233445566778899aabbccddeefg\n",
        "ringbox link 1\nshm ticks\n00112233445566778899aabbccddeeff",
        "ringbox link 1\nshm ticks\n00112233445566778899aabbccddeeff\nmore\n",
    };
    rbx_box *box;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file(bad[i]);
        refuses(-EPROTO, "not a ringbox link", rbx_box_open_link(&box, path, NULL));
        cr_assert_eq(unlink(path), 0);
    }
    static char large[10000];
    memset(large, 'x', sizeof large - 1);
    write_file(large);
    refuses(-EPROTO, "not a ringbox link", rbx_box_open_link(&box, path, NULL));
    cr_assert_eq(unlink(path), 0);
    write_file("ringbox link 1\nshm ../x\n00112233445566778899aabbccddeeff\n");
    refuses(-EINVAL, "no '/'", rbx_box_open_link(&box, path, NULL));
    refuses(-EISDIR, "directory", rbx_box_open_link(&box, directory, NULL));
    refuses(-ENOENT, "link", rbx_box_open_link(&box, in_directory(directory, "none"), NULL));
    refuses(-EINVAL, "create only",
            rbx_box_open_link(&box, path, &(rbx_box_options){.how = RBX_CREATE_ONLY}));
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(symlink("/etc/passwd", path), 0);
    refuses(-ELOOP, "link", rbx_box_open_link(&box, path, NULL));
}

Test(link, where_files_need_a_name_a_link_is_made_all_the_same)
{
    rbx_box *box = made(name, 64), *two;
    if (!refuse_syscall(SYS_openat, EOPNOTSUPP, 2, O_TMPFILE))
        cr_skip_test("SKIP: seccomp is not allowed here");
    succeeds(rbx_box_link(box, path));
    cr_assert_eq(entries(directory), 1);
    succeeds(rbx_box_open_link(&two, path, NULL));
    succeeds(rbx_box_close(two));
    succeeds(rbx_box_close(box));
    cr_assert_eq(entries(directory), 0);
}
