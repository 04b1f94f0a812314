/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* support.h: what the tests share. */
#ifndef RBX_TESTS_SUPPORT_H
#define RBX_TESTS_SUPPORT_H

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <ringbox/ringbox.h>

#include "refuse.h"

/* A box name that no other test process uses: "t.PID.label"; the last eight strings stay valid.
   What a test that fails leaves under it goes when its process ends. */
const char *own_name(const char *label);
/* The file behind such a name. */
const char *shm_path(const char *name);
bool exists(const char *path);
/* A new directory of this test's own under `parent` (a tmpfs when NULL); remove_tree ends it. */
const char *own_directory(const char *parent);
void remove_tree(const char *path);
int entries(const char *directory); /* how many, but for . and .. */
const char *in_directory(const char *directory, const char *leaf);

/* How many descriptors this process has, and how many mappings of files named *ringbox* or SYSV. */
int open_descriptors(void);
int box_mappings(void);

/*
 * A call that must fail: with this code, with a sentence that holds `part`, with no box, and
 * without a descriptor or mapping left over.
 */
#define refuses(code, part, call)                                                                  \
    do {                                                                                           \
        int fds_before = open_descriptors(), maps_before = box_mappings();                         \
        int refused = (call);                                                                      \
        cr_assert_eq(refused, (code), "%s: got %d (%s), wanted %d", #call, refused,                \
                     rbx_last_error(), (code));                                                    \
        cr_assert_not_null(strstr(rbx_last_error(), (part)), "the sentence is \"%s\"",             \
                           rbx_last_error());                                                      \
        cr_assert_eq(open_descriptors(), fds_before, "a descriptor was leaked");                   \
        cr_assert_eq(box_mappings(), maps_before, "a mapping was leaked");                         \
    } while (0)

#define succeeds(call)                                                                             \
    do {                                                                                           \
        int worked = (call);                                                                       \
        cr_assert_geq(worked, 0, "%s: %d: %s", #call, worked, rbx_last_error());                   \
    } while (0)

/* Opens, and asserts that it worked. */
rbx_box *opened(const char *name, const rbx_box_options *options);
/* Makes a box of `size` bytes under the default options. */
rbx_box *made(const char *name, size_t size);

/* A child process that runs `body` and then lives until it is told; _exit code in finish(). */
struct child {
    pid_t pid;
    int to_child;
    int from_child;
};
struct child start(int (*body)(void *arg), void *arg);         /* returns when body has returned */
struct child start_running(int (*body)(void *arg), void *arg); /* returns at once */
int said(struct child *child);                                 /* what body returned */
int finish(struct child *child);  /* lets it _exit cleanly; its exit code */
void murder(struct child *child); /* kill -9 */
int reap(struct child *child);    /* once it ended by itself: exit code, or 128 + signal */
/* Runs body in a child that then exits; what body returned (0..127). */
int in_child(int (*body)(void *arg), void *arg);

/* A fork that runs none of the handlers that are to run at a fork. */
pid_t raw_fork(void);

/* Whether this thread, of any process, sleeps in the kernel; and until it does. */
bool is_asleep(pid_t thread);
void await_sleep_of(pid_t thread);
/* Calls `see`, unless it is NULL, for each other thread of this process once that sleeps: how many.
 */
int await_sleep_of_others(void (*see)(pid_t thread, void *arg), void *arg);
/* A number that /proc/self/task/.../status says of a thread after this label. */
unsigned long long status_of(pid_t thread, const char *label, int base);

/* Ends the test as skipped, saying why, unless it runs as root. */
#define needs_root()                                                                               \
    do {                                                                                           \
        if (geteuid() != 0)                                                                        \
            cr_skip_test("SKIP: needs root");                                                      \
    } while (0)

/* Ends the test as skipped in a build with the address sanitizer, which `does` this. */
#ifdef __SANITIZE_ADDRESS__
#define not_under_address_sanitizer(does) cr_skip_test("SKIP: the address sanitizer " does)
#else
#define not_under_address_sanitizer(does) ((void)0)
#endif

/* A /dev/shm of this process's own, with these mount options; ends the test as skipped where that
   is not allowed. */
#define needs_own_shm(options)                                                                     \
    do {                                                                                           \
        if (!mount_own_shm(options))                                                               \
            cr_skip_test("SKIP: may not mount a tmpfs of its own");                                \
    } while (0)
bool mount_own_shm(const char *options);

#endif
