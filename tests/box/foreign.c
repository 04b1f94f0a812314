/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What may sit under the name of a box and is none, or none of ours. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/support.h"
#include "box/header.h"

TestSuite(foreign, .timeout = 60);

static char name[128], path[4096];

static void choose_name(void)
{
    snprintf(name, sizeof name, "%s", own_name("foreign"));
    snprintf(path, sizeof path, "%s", shm_path(name));
}

static void plant(const void *bytes, size_t size)
{
    choose_name();
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, bytes, size), (ssize_t)size);
    close(fd);
}

/* Whoever opens it, in any way, is refused; the file stays as it is. */
static void refuses_everyone(int code, const char *part)
{
    struct stat before, after;
    rbx_box *box;
    cr_assert_eq(lstat(path, &before), 0);
    refuses(code, part, rbx_box_open(&box, name, &(rbx_box_options){.size = 64}));
    refuses(code, part, rbx_box_open(&box, name, &(rbx_box_options){.how = RBX_OPEN_ONLY}));
    refuses(code, part, rbx_box_open(&box, name, &(rbx_box_options){.read_only = true}));
    refuses(-EEXIST, "exists already",
            rbx_box_open(&box, name, &(rbx_box_options){.size = 64, .how = RBX_CREATE_ONLY}));
    int fds = open_descriptors();
    cr_assert_lt(rbx_box_reclaim(name, RBX_SHM), 0);
    cr_assert_neq(*rbx_last_error(), '\0');
    cr_assert_eq(open_descriptors(), fds);
    cr_assert_eq(lstat(path, &after), 0);
    cr_assert_eq(before.st_ino, after.st_ino);
    cr_assert_eq(before.st_size, after.st_size);
    cr_assert_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    cr_assert_eq(remove(path), 0);
}

/* The first page of a healthy box, to be spoilt. */
static struct rbx_box_header healthy(void)
{
    struct rbx_box_header header;
    rbx_box *box = made(own_name("healthy"), 64);
    memcpy(&header, (char *)rbx_box_data(box) - RBX_HEADER_SIZE, sizeof header);
    succeeds(rbx_box_close(box));
    return header;
}

static void refuses_header(const struct rbx_box_header *header, const char *part)
{
    static char file[2 * RBX_HEADER_SIZE];
    memcpy(file, header, sizeof *header);
    plant(file, sizeof file);
    refuses_everyone(-EPROTO, part);
}

Test(foreign, a_file_of_zero_bytes_is_refused)
{
    plant("", 0);
    refuses_everyone(-EPROTO, "too short, with 0 bytes");
}

Test(foreign, a_file_of_something_else_is_refused)
{
    static char text[100000];
    memset(text, 'x', sizeof text);
    plant(text, sizeof text);
    refuses_everyone(-EPROTO, "not a ringbox box");
}

Test(foreign, a_file_of_zeros_is_refused)
{
    static char zeros[8192];
    plant(zeros, sizeof zeros);
    refuses_everyone(-EPROTO, "not a ringbox box");
}

Test(foreign, a_healthy_header_passes_the_same_way)
{
    struct rbx_box_header header = healthy();
    static char file[2 * RBX_HEADER_SIZE];
    memcpy(file, &header, sizeof header);
    plant(file, sizeof file);
    rbx_box *box = opened(name, &(rbx_box_options){.how = RBX_OPEN_ONLY});
    succeeds(rbx_box_close(box));
    cr_assert(exists(path), "who finds a dead owner's box and only opens it leaves it there");
    cr_assert_eq(rbx_box_reclaim(name, RBX_SHM), 0);
    cr_assert_not(exists(path));
}

Test(foreign, a_truncated_box_is_refused)
{
    struct rbx_box_header header = healthy();
    plant(&header, sizeof header); /* without its payload */
    refuses_everyone(-EPROTO, "truncated");
    plant(&header, sizeof header - 1);
    refuses_everyone(-EPROTO, "too short, with 4095 bytes");
}

Test(foreign, a_box_of_a_newer_version_is_refused_naming_both)
{
    struct rbx_box_header header = healthy();
    header.version = RBX_HEADER_VERSION + 1;
    refuses_header(&header, "newer ringbox: it has layout 2, this program knows 1");
    header.version = 0;
    refuses_header(&header, "older ringbox");
}

Test(foreign, a_box_of_the_other_byte_order_is_refused)
{
    struct rbx_box_header header = healthy();
    header.byte_order = 0x04030201;
    refuses_header(&header, "other byte order");
}

Test(foreign, a_box_of_another_word_size_is_refused)
{
    struct rbx_box_header header = healthy();
    header.word_bits = header.word_bits == 64 ? 32 : 64;
    refuses_header(&header, "-bit program");
}

Test(foreign, a_header_that_contradicts_itself_is_refused)
{
    const struct rbx_box_header good = healthy();
    struct rbx_box_header bad;
#define spoilt(field, value, part)                                                                 \
    do {                                                                                           \
        bad = good;                                                                                \
        bad.field = (value);                                                                       \
        refuses_header(&bad, part);                                                                \
    } while (0)
    spoilt(byte_order, 0, "damaged");
    spoilt(header_size, 8192, "damaged");
    spoilt(backing, 17, "damaged");
    spoilt(policy, 17, "damaged");
    spoilt(page_size, 0, "damaged");
    spoilt(page_size, 4095, "damaged");
    spoilt(page_size, 6144, "damaged");
    spoilt(size, 0, "damaged");
    spoilt(size, UINT64_MAX, "damaged");
    spoilt(size, RBX_BOX_SIZE_MAX + 1, "damaged");
    spoilt(size, RBX_BOX_SIZE_MAX, "truncated");
    spoilt(size, RBX_HEADER_SIZE + 1, "truncated");
    spoilt(page_size, 1U << 31, "truncated");
    spoilt(magic[7], 'x', "not a ringbox box");
    bad = good;
    memset(bad.link, 'l', sizeof bad.link);
    refuses_header(&bad, "damaged");
}

/* What is done by a header is done to what it names: not to somebody else's segment. */
Test(foreign, a_planted_header_that_names_another_object_harms_nothing)
{
    needs_root(); /* for a segment of a key of its own, which no other test shares */
    struct rbx_box_header header = healthy();
    key_t key = (key_t)(0x52450000 + (getpid() & 0xffff));
    int id = shmget(key, 100, IPC_CREAT | IPC_EXCL | 0600);
    cr_assert_geq(id, 0);
    header.backing = RBX_SYSV;
    header.sysv_key = key;
    atomic_store(&header.sysv_id, id);
    refuses_header(&header, "was made as a System V box");
    char control[128];
    plant(&header, sizeof header);
    snprintf(control, sizeof control, "/dev/shm/ringbox-sysv.0x%08x", (unsigned)key + 1);
    cr_assert_eq(rename(path, control), 0);
    snprintf(name, sizeof name, "0x%08x", (unsigned)key + 1);
    refuses(-EPROTO, "control file", rbx_box_reclaim(name, RBX_SYSV));
    cr_assert_eq(unlink(control), 0);
    cr_assert_eq(shmctl(id, IPC_RMID, NULL), 0, "the segment was removed");
}

Test(foreign, a_directory_is_refused)
{
    choose_name();
    cr_assert_eq(mkdir(path, 0700), 0);
    refuses_everyone(-EISDIR, "is a directory");
}

Test(foreign, a_fifo_is_refused_without_opening_it)
{
    choose_name();
    cr_assert_eq(mkfifo(path, 0600), 0);
    refuses_everyone(-EPROTO, "FIFO");
}

static void plant_symlink(const char *target)
{
    choose_name();
    cr_assert_eq(symlink(target, path), 0);
}

Test(foreign, a_symbolic_link_is_never_followed)
{
    char target[128], target_path[4096];
    snprintf(target, sizeof target, "%s", own_name("victim"));
    snprintf(target_path, sizeof target_path, "%s", shm_path(target));
    rbx_box *box = made(target, 64);
    strcpy(rbx_box_data(box), "untouched");
    plant_symlink(target_path);
    refuses_everyone(-ELOOP, "symbolic link");
    cr_assert_str_eq((char *)rbx_box_data(box), "untouched");
    cr_assert_not(rbx_box_stale(box));
    succeeds(rbx_box_close(box));
    plant_symlink("/nowhere/at/all");
    refuses_everyone(-ELOOP, "symbolic link");
}

static int open_as_nobody(void *arg)
{
    const rbx_box_options *options = arg;
    rbx_box *box;
    if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
        return 100;
    int err = rbx_box_open(&box, name, options);
    if (err == 0)
        rbx_box_close(box);
    return -err;
}

Test(foreign, a_box_without_permission_is_refused)
{
    needs_root();
    choose_name();
    rbx_box *box = made(name, 64);
    cr_assert_eq(in_child(open_as_nobody, &(rbx_box_options){.size = 64}), EACCES);
    cr_assert_eq(in_child(open_as_nobody, &(rbx_box_options){.read_only = true}), EACCES);
    cr_assert_not(rbx_box_stale(box));
    succeeds(rbx_box_close(box));
}

static int make_as_nobody(void *arg)
{
    rbx_box *box;
    (void)arg;
    if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
        return 100;
    return rbx_box_open(&box, name, &(rbx_box_options){.size = 64, .mode = 0666});
}

Test(foreign, a_box_of_another_user_is_joined_only_when_asked_for)
{
    needs_root();
    choose_name();
    struct child other = start(make_as_nobody, NULL);
    rbx_box *box;
    refuses(-EACCES, "belongs to user 65534",
            rbx_box_open(&box, name, &(rbx_box_options){.size = 64}));
    box = opened(name, &(rbx_box_options){.size = 64, .mode = 0660});
    cr_assert_eq(rbx_box_attached(box), 2);
    succeeds(rbx_box_close(box));
    murder(&other);
    box = opened(name, &(rbx_box_options){.size = 64, .mode = 0660});
    cr_assert(rbx_box_was_created(box), "the dead user's box was reclaimed by root");
    succeeds(rbx_box_close(box));
}

Test(foreign, a_box_that_root_made_for_all_is_joined_by_all)
{
    needs_root();
    choose_name();
    rbx_box *box = opened(name, &(rbx_box_options){.size = 64, .mode = 0666});
    cr_assert_eq(in_child(open_as_nobody, &(rbx_box_options){.size = 64}), 0);
    cr_assert_not(rbx_box_stale(box), "leaving does not remove another's box");
    succeeds(rbx_box_close(box));
}
