/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the system refuses: room, descriptors, locks, /proc. Nothing may be left behind. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/support.h"

TestSuite(faults, .timeout = 60);

static void refuses_box(const char *name, const rbx_box_options *options, int code,
                        const char *part)
{
    rbx_box *box;
    refuses(code, part, rbx_box_open(&box, name, options));
    cr_assert_null(box);
}

Test(faults, a_full_tmpfs_is_no_space_at_create_and_leaves_no_name)
{
    needs_own_shm("size=1m");
    const rbx_box_options too_large = {.size = 2 << 20};
    refuses_box("large", &too_large, -ENOSPC, "no room");
    cr_assert_eq(entries("/dev/shm"), 0);
    rbx_box *box = made("fits", 500000);
    refuses_box("second", &(rbx_box_options){.size = 600000}, -ENOSPC, "no room");
    memset(rbx_box_data(box), 1, 500000); /* what was made is really there */
    cr_assert_eq(entries("/dev/shm"), 1);
    succeeds(rbx_box_close(box));
    box = made("second", 600000); /* and what was refused took nothing */
    memset(rbx_box_data(box), 1, 600000);
    succeeds(rbx_box_close(box));
}

Test(faults, a_tmpfs_without_inodes_is_no_space)
{
    needs_own_shm("nr_inodes=2");
    rbx_box *box = made("first", 64);
    refuses_box("second", &(rbx_box_options){.size = 64}, -ENOSPC, "cannot create");
    succeeds(rbx_box_close(box));
}

Test(faults, a_read_only_directory_is_reported)
{
    needs_own_shm("ro");
    refuses_box("any", &(rbx_box_options){.size = 64}, -EROFS, "cannot create");
}

Test(faults, a_file_size_limit_is_an_error_and_not_a_signal)
{
    const char *name = own_name("limited");
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){100000, RLIM_INFINITY}), 0);
    refuses_box(name, &(rbx_box_options){.size = 200000}, -EFBIG, "no room");
    refuses_box("t.m", &(rbx_box_options){.size = 200000, .backing = RBX_MEMFD}, -EFBIG, "no room");
    cr_assert_not(exists(shm_path(name)));
    rbx_box *box = made(name, 90000);
    succeeds(rbx_box_close(box));
}

/* Every number of free descriptors, from none to enough. */
Test(faults, a_full_table_of_descriptors_is_reported_at_every_point)
{
    const char *name = own_name("table");
    rbx_box *there = made(name, 64), *box;
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const rlim_t all = limit.rlim_cur;
    const char *fresh = own_name("fresh");
    const struct {
        const char *name;
        rbx_box_options options;
    } cases[] = {
        {name, {.size = 64}},
        {name, {.read_only = true}},
        {fresh, {.size = 64}},
        {fresh, {.size = 64, .how = RBX_CREATE_ONLY}},
        {"t.m", {.size = 64, .backing = RBX_MEMFD}},
        {"/dev/shm/t.table", {.size = 64, .backing = RBX_FILE}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        int refused = 0, fds = open_descriptors(), lowest = dup(0);
        close(lowest);
        for (rlim_t room = 0; room < 8; room++) {
            limit.rlim_cur = (rlim_t)lowest + room;
            cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
            int err = rbx_box_open(&box, cases[c].name, &cases[c].options);
            limit.rlim_cur = all;
            cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
            if (err == 0) {
                succeeds(rbx_box_close(box));
            } else {
                cr_assert_eq(err, -EMFILE, "%s", rbx_last_error());
                refused++;
            }
            cr_assert_eq(open_descriptors(), fds);
        }
        cr_assert_gt(refused, 0);
        cr_assert_lt(refused, 8);
    }
    cr_assert_not(exists(shm_path(fresh)));
    cr_assert_not(exists("/dev/shm/t.table"));
    succeeds(rbx_box_close(there));
}

Test(faults, memory_that_cannot_be_mapped_is_reported)
{
    not_under_address_sanitizer("maps terabytes itself");
    const char *name = own_name("unmappable");
    rbx_box *there = made(name, 64 << 20);
    struct rlimit before;
    cr_assert_eq(getrlimit(RLIMIT_AS, &before), 0);
    struct rlimit tight = {.rlim_cur = 80 << 20, .rlim_max = before.rlim_max};
    rbx_box *box, *fresh;
    int fds = open_descriptors();
    const char *new_name = own_name("new");
    cr_assert_eq(setrlimit(RLIMIT_AS, &tight), 0);
    int joined = rbx_box_open(&box, name, &(rbx_box_options){.how = RBX_OPEN_ONLY});
    int created = rbx_box_open(&fresh, new_name, &(rbx_box_options){.size = 64 << 20});
    cr_assert_eq(setrlimit(RLIMIT_AS, &before), 0);
    cr_assert_eq(joined, -ENOMEM);
    cr_assert_eq(created, -ENOMEM);
    cr_assert_not_null(strstr(rbx_last_error(), "cannot map"));
    cr_assert_eq(open_descriptors(), fds);
    cr_assert_not(exists(shm_path(new_name)));
    cr_assert_eq(rbx_box_attached(there), 1);
    succeeds(rbx_box_close(there));
}

Test(faults, a_file_system_without_locks_is_reported)
{
    const char *name = own_name("lockless");
    rbx_box *there = made(name, 64);
#ifdef SYS_fcntl64 /* where files are larger than a word can say */
    const int call = SYS_fcntl64;
#else
    const int call = SYS_fcntl;
#endif
    if (!refuse_syscall(call, EINVAL, 1, F_OFD_SETLK))
        cr_skip_test("SKIP: seccomp is not allowed here");
    refuses_box(name, &(rbx_box_options){.how = RBX_OPEN_ONLY}, -ENOLCK, "cannot lock");
    refuses_box(own_name("lockless2"), &(rbx_box_options){.size = 64}, -ENOLCK, "cannot lock");
    cr_assert_eq(unlink(shm_path(name)), 0);
    rbx_box_close(there);
}

Test(faults, without_proc_a_box_is_made_all_the_same)
{
    needs_own_shm("size=1m");
    cr_assert_eq(mount("tmpfs", "/proc", "tmpfs", 0, NULL), 0);
    rbx_box *one = made("procless", 64);
    rbx_box *two = opened("procless", &(rbx_box_options){.size = 64});
    cr_assert_eq(rbx_box_attached(one), 2);
    rbx_box_info info;
    succeeds(rbx_box_describe(one, &info));
    cr_assert_eq(info.owner, RBX_OWNER_ALIVE);
    cr_assert_eq(entries("/dev/shm"), 1);
    rbx_box *memfd = NULL;
    cr_assert_eq(rbx_box_open(&memfd, "m", &(rbx_box_options){.size = 64, .backing = RBX_MEMFD}),
                 -ENOTSUP);
    succeeds(rbx_box_close(two));
    succeeds(rbx_box_close(one));
    cr_assert_eq(entries("/dev/shm"), 0);
    cr_assert_eq(umount("/proc"), 0);
}

Test(faults, huge_pages_are_used_where_there_are_some)
{
    needs_root();
    needs_own_shm("size=1m");
    char before[32] = "";
    int fd = open("/proc/sys/vm/nr_hugepages", O_RDWR | O_CLOEXEC);
    if (fd < 0 || read(fd, before, sizeof before - 1) <= 0 || pwrite(fd, "4", 1, 0) != 1 ||
        mount("hugetlbfs", "/dev/shm", "hugetlbfs", 0, NULL) != 0)
        cr_skip_test("SKIP: may not reserve huge pages");
    rbx_box *box = NULL, *two = NULL;
    int err = rbx_box_open(&box, "/dev/shm/t.huge",
                           &(rbx_box_options){.size = 3000000, .backing = RBX_FILE});
    int second = err ? err
                     : rbx_box_open(&two, "/dev/shm/t.huge",
                                    &(rbx_box_options){.backing = RBX_FILE, .how = RBX_OPEN_ONLY});
    rbx_box_info info = {0};
    int third = second ? second : rbx_box_describe(two, &info);
    if (!third)
        memset(rbx_box_data(two), 1, rbx_box_size(two));
    rbx_box *raw = NULL; /* a mapping of part of a huge page, to be unmapped whole */
    int mappings = box_mappings();
    int fourth =
        third ? third
              : rbx_box_open(&raw, "/dev/shm/t.huge",
                             &(rbx_box_options){.backing = RBX_FILE, .raw = true, .size = 100});
    int closed = rbx_box_close(raw);
    cr_expect_eq(box_mappings(), mappings);
    closed += fourth + rbx_box_close(two) + rbx_box_close(box);
    cr_expect_eq(pwrite(fd, before, strlen(before), 0), (ssize_t)strlen(before));
    if (err == -ENOSPC || err == -ENOMEM)
        cr_skip_test("SKIP: no memory for huge pages");
    cr_assert_eq(third, 0, "%s", rbx_last_error());
    cr_assert_eq(closed, 0);
    cr_assert_geq(info.page_size, 2U << 20);
}

/* The program's own lock and its fork handlers, registered before any call of ours. */
static pthread_mutex_t program_lock = PTHREAD_MUTEX_INITIALIZER;

static void lock_program(void)
{
    pthread_mutex_lock(&program_lock);
}

static void unlock_program(void)
{
    pthread_mutex_unlock(&program_lock);
}

static volatile bool stop_opening;

static void *open_under_program_lock(void *arg)
{
    while (!stop_opening) {
        rbx_box *box;
        lock_program();
        if (rbx_box_open(&box, arg, &(rbx_box_options){.how = RBX_OPEN_ONLY}) == 0)
            rbx_box_close(box);
        unlock_program();
    }
    return NULL;
}

Test(faults, a_program_whose_fork_handlers_lock_what_it_opens_boxes_under_does_not_deadlock)
{
    enum { FORKS = 300 };
    char name[128];
    pthread_t thread;
    snprintf(name, sizeof name, "%s", own_name("atfork"));
    cr_assert_eq(pthread_atfork(lock_program, unlock_program, unlock_program), 0);
    rbx_box *box = made(name, 64);
    cr_assert_eq(pthread_create(&thread, NULL, open_under_program_lock, name), 0);
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        waitpid(child, NULL, 0);
    }
    stop_opening = true;
    pthread_join(thread, NULL);
    succeeds(rbx_box_close(box));
}

static void *open_when_cancelled(void *arg)
{
    rbx_box *box;
    rbx_box_open(&box, arg, &(rbx_box_options){.how = RBX_OPEN_ONLY});
    pthread_testcancel();
    return NULL;
}

Test(faults, a_thread_that_is_cancelled_in_an_open_does_not_keep_others_from_forking)
{
    char name[128];
    pthread_t thread;
    not_under_address_sanitizer("loses track of the stack of a cancelled thread");
    snprintf(name, sizeof name, "%s", own_name("cancel"));
    rbx_box *box = made(name, 64);
    for (int i = 0; i < 50; i++) {
        cr_assert_eq(pthread_create(&thread, NULL, open_when_cancelled, name), 0);
        pthread_cancel(thread);
        pthread_join(thread, NULL);
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        waitpid(child, NULL, 0);
    }
    succeeds(rbx_box_close(box));
}

static void do_nothing(int signal)
{
    (void)signal;
}

Test(faults, a_busy_timer_signal_does_not_keep_a_large_box_from_being_made)
{
    const char *name = own_name("timer");
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = do_nothing}, NULL);
    const struct itimerval often = {.it_interval.tv_usec = 300, .it_value.tv_usec = 300};
    setitimer(ITIMER_REAL, &often, NULL);
    rbx_box *box = made(name, 256 << 20);
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    succeeds(rbx_box_close(box));
}

/* One thread opens and closes while another forks: no child may keep a handle's locks. */
static volatile int stop;

static void *open_and_close(void *arg)
{
    while (!stop) {
        rbx_box *box;
        if (rbx_box_open(&box, arg, &(rbx_box_options){.how = RBX_OPEN_ONLY}) == 0)
            rbx_box_close(box);
    }
    return NULL;
}

Test(faults, a_fork_at_any_moment_of_an_open_takes_no_lock_along)
{
    enum { FORKS = 300 };
    char name[128];
    snprintf(name, sizeof name, "%s", own_name("forks"));
    rbx_box *box = made(name, 64);
    pid_t children[FORKS];
    pthread_t thread;
    int past_fork[2];
    char word = 0;
    cr_assert_eq(pipe(past_fork), 0);
    cr_assert_eq(pthread_create(&thread, NULL, open_and_close, name), 0);
    for (int i = 0; i < FORKS; i++) {
        children[i] = fork();
        cr_assert_geq(children[i], 0);
        if (children[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (write(past_fork[1], &word, 1) == 1)
                pause();
            _exit(0);
        }
    }
    for (int i = 0; i < FORKS; i++)
        cr_assert_eq(read(past_fork[0], &word, 1), 1);
    stop = 1;
    pthread_join(thread, NULL);
    cr_assert_eq(rbx_box_attached(box), 1, "a child holds a lock that was never its own");
    for (int i = 0; i < FORKS; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    succeeds(rbx_box_close(box));
}
