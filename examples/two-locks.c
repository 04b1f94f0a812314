/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * two-locks: processes take turns with what is in a box, by a lock that is in the box, too.
 *
 *     two-locks                      a tour: several processes, one of which dies with the lock
 *     two-locks work KIND NAME N     moves money about in the box NAME, N times
 *     two-locks die KIND NAME        takes the lock, begins to move some, and dies
 *
 * KIND is the lock: mutex.
 *
 *     cc -o two-locks two-locks.c $(pkg-config --cflags --libs ringbox)
 */
#ifndef _GNU_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ringbox/ringbox.h>

enum { ACCOUNTS = 8, TOGETHER = 8000, LOCK_BYTES = RBX_MUTEX_BYTES };

struct bank {
    _Alignas(64) unsigned char lock[LOCK_BYTES];
    int64_t has[ACCOUNTS]; /* together always TOGETHER, but while somebody moves some */
    uint64_t moves;
};

static int complain(void)
{
    fprintf(stderr, "two-locks: %s\n", rbx_last_error());
    return 1;
}

/* ---- the locks ---------------------------------------------------------------------------------
 */

struct kind {
    const char *name;
    int (*make)(void *memory);
    int (*join)(void **lock, rbx_box *box, void *memory);
    int (*lock)(void *lock);         /* -EOWNERDEAD: the last holder has died with it */
    int (*lock_to_look)(void *lock); /* likewise; others may look at the same time */
    int (*consistent)(void *lock);
    int (*unlock)(void *lock);
    int (*leave)(void *lock);
};

static int mutex_make(void *memory)
{
    return rbx_mutex_init(memory, LOCK_BYTES, NULL);
}

static int mutex_join(void **lock, rbx_box *box, void *memory)
{
    rbx_mutex *mutex;
    int err = rbx_mutex_attach(&mutex, box, memory, LOCK_BYTES);
    *lock = mutex;
    return err;
}

static int mutex_lock(void *lock)
{
    return rbx_mutex_lock(lock);
}

static int mutex_consistent(void *lock)
{
    return rbx_mutex_consistent(lock);
}

static int mutex_unlock(void *lock)
{
    return rbx_mutex_unlock(lock);
}

static int mutex_leave(void *lock)
{
    return rbx_mutex_close(lock);
}

static const struct kind kinds[] = {
    {"mutex", mutex_make, mutex_join, mutex_lock, mutex_lock, mutex_consistent, mutex_unlock,
     mutex_leave},
};

enum { KINDS = sizeof kinds / sizeof *kinds };

static const struct kind *kind_named(const char *name)
{
    for (int i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    fprintf(stderr, "two-locks: there is no lock '%s'\n", name);
    return NULL;
}

/* ---- the bank ----------------------------------------------------------------------------------
 */

struct branch {
    const struct kind *kind;
    rbx_box *box;
    struct bank *bank;
    void *lock;
};

/* Before anybody else can see it. */
static int found(void *data, size_t size, void *arg)
{
    struct bank *bank = data;
    const struct kind *kind = arg;
    (void)size;
    for (int i = 0; i < ACCOUNTS; i++)
        bank->has[i] = TOGETHER / ACCOUNTS;
    return kind->make(bank->lock);
}

static int open_branch(struct branch *branch, const struct kind *kind, const char *name)
{
    const rbx_box_options options = {.size = sizeof(struct bank),
                                     .policy = RBX_LAST_ONE_OUT,
                                     .init = found,
                                     .init_arg = (void *)(uintptr_t)kind};
    if (rbx_box_open(&branch->box, name, &options) < 0)
        return complain();
    branch->kind = kind;
    branch->bank = rbx_box_as(branch->box, struct bank);
    if (kind->join(&branch->lock, branch->box, branch->bank->lock) == 0)
        return 0;
    complain();
    rbx_box_close(branch->box);
    return 1;
}

static int close_branch(struct branch *branch)
{
    return branch->kind->leave(branch->lock) < 0 || rbx_box_close(branch->box) < 0 ? complain() : 0;
}

static int64_t together(const struct bank *bank)
{
    int64_t sum = 0;
    for (int i = 0; i < ACCOUNTS; i++)
        sum += bank->has[i];
    return sum;
}

/* With the lock held. `err` is what locking said: the lock may come from somebody who died. */
static int put_right(struct branch *branch, int err)
{
    if (err != -EOWNERDEAD)
        return err;
    int64_t missing = TOGETHER - together(branch->bank);
    branch->bank->has[0] += missing;
    printf("  pid %d: the last holder has died with the lock, and %lld on the way: put right\n",
           (int)getpid(), (long long)missing);
    fflush(stdout);
    return branch->kind->consistent(branch->lock);
}

static int take(struct branch *branch)
{
    return put_right(branch, branch->kind->lock(branch->lock));
}

static int move(struct branch *branch, unsigned from, unsigned to)
{
    struct bank *bank = branch->bank;
    if (take(branch) < 0)
        return complain();
    if (bank->has[from] > 0) {
        bank->has[from]--;
        bank->has[to]++;
        bank->moves++;
    }
    return branch->kind->unlock(branch->lock) < 0 ? complain() : 0;
}

/* ---- the processes -----------------------------------------------------------------------------
 */

static int work(const struct kind *kind, const char *name, uint64_t times)
{
    struct branch branch;
    if (!kind || open_branch(&branch, kind, name))
        return 1;
    unsigned seed = (unsigned)getpid();
    for (uint64_t i = 0; i < times; i++) {
        seed = seed * 1664525 + 1013904223;
        if (move(&branch, seed >> 16 & 7, seed >> 24 & 7))
            return 1;
    }
    return close_branch(&branch);
}

static int die(const struct kind *kind, const char *name)
{
    struct branch branch;
    if (!kind || open_branch(&branch, kind, name))
        return 1;
    if (take(&branch) < 0)
        return complain();
    branch.bank->has[1] -= 500;
    return raise(SIGKILL);
}

static pid_t start(const char *what, const struct kind *kind, const char *name, const char *times)
{
    pid_t pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "two-locks", what, kind->name, name, times, (char *)NULL);
        _exit(127);
    }
    return pid;
}

/* ---- the tour ----------------------------------------------------------------------------------
 */

static int look(struct branch *branch)
{
    int err = put_right(branch, branch->kind->lock_to_look(branch->lock));
    if (err < 0)
        return complain();
    int64_t all = together(branch->bank);
    uint64_t moves = branch->bank->moves;
    if (branch->kind->unlock(branch->lock) < 0)
        return complain();
    printf("   %lld in all accounts together, after %llu moves\n", (long long)all,
           (unsigned long long)moves);
    return all == TOGETHER ? 0 : 1;
}

static int show(const struct kind *kind)
{
    struct branch branch;
    char name[64];
    snprintf(name, sizeof name, "demo.%d.bank", (int)getpid());
    printf("With a %s:\n"
           "1. Two processes move money between the accounts in box '%s':\n",
           kind->name, name);
    fflush(stdout);
    if (open_branch(&branch, kind, name))
        return 1;
    start("work", kind, name, "100000");
    start("work", kind, name, "100000");
    while (wait(NULL) > 0)
        ;
    int bad = look(&branch);

    printf("2. One takes the lock, takes 500 from an account, and is killed with kill -9:\n");
    fflush(stdout);
    start("die", kind, name, NULL);
    wait(NULL);
    bad |= look(&branch);
    if (close_branch(&branch))
        return 1;
    const rbx_box_options join = {.how = RBX_OPEN_ONLY};
    int err = rbx_box_open(&branch.box, name, &join);
    printf("3. The last to leave has removed the box, and the lock with it: %s\n",
           err < 0 ? rbx_last_error() : "no, it is still there!");
    return err < 0 ? bad : 1;
}

static int tour(void)
{
    int bad = 0;
    for (int i = 0; i < KINDS; i++)
        bad |= show(&kinds[i]);
    return bad;
}

static int usage(FILE *to, int code)
{
    fprintf(to, "usage: two-locks                    a tour\n"
                "       two-locks work KIND NAME N   move money about in the box NAME, N times\n"
                "       two-locks die KIND NAME      begin to move some, and die\n"
                "KIND is mutex.\n");
    return code;
}

int main(int argc, char **argv)
{
    if (argc == 1)
        return tour();
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(stdout, 0);
    if (argc == 5 && strcmp(argv[1], "work") == 0)
        return work(kind_named(argv[2]), argv[3], strtoull(argv[4], NULL, 10));
    if (argc == 4 && strcmp(argv[1], "die") == 0)
        return die(kind_named(argv[2]), argv[3]);
    return usage(stderr, 2);
}
