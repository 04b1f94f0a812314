/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * two-locks: processes take turns with what is in a box, by a lock that is in the box, too, and
 * begin and end by events that are there as well.
 *
 *     two-locks                      a tour: several processes, one of which dies with the lock
 *     two-locks work KIND NAME N     moves money about in the box NAME, N times, as one of two
 *     two-locks die KIND NAME        takes the lock, begins to move some, and dies
 *     two-locks go KIND NAME         starts those that wait in the box NAME, and looks on
 *
 * KIND is the lock: mutex or rwlock.
 *
 *     cc -o two-locks two-locks.c $(pkg-config --cflags --libs ringbox)
 */
#ifndef _GNU_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ringbox/ringbox.h>

enum { ACCOUNTS = 8, TOGETHER = 8000, WORKERS = 2, TIMES = 500000, SEATS = 14 };

struct bank {
    _Alignas(64) unsigned char mutex[RBX_MUTEX_BYTES]; /* one of the two is used */
    _Alignas(64) unsigned char rwlock[RBX_RWLOCK_BYTES(SEATS)];
    _Alignas(64) unsigned char go[RBX_EVENT_BYTES];   /* work may begin */
    _Alignas(64) unsigned char done[RBX_EVENT_BYTES]; /* the last worker is through */
    int64_t has[ACCOUNTS]; /* together always TOGETHER, but while somebody moves some */
    uint64_t moves, repairs;
    int through; /* workers */
};

/* How one process takes part. */
struct branch {
    rbx_box *box;
    struct bank *bank;
    rbx_mutex *mutex;   /* this or... */
    rbx_rwlock *rwlock; /* ...this. Its handle is for one thread: others would attach theirs */
    rbx_event *go, *done;
};

/* Ctrl-C: who leaves in good order leaves no box behind. */
static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

static int complain(void)
{
    fprintf(stderr, "two-locks: %s\n", rbx_last_error());
    return 1;
}

/* ---- the locks: the same by either ----------------------------------------------------------- */

static const char *const kinds[] = {"mutex", "rwlock"};

/* -EOWNERDEAD: held, but the last holder has died with it. */
static int lock(struct branch *branch)
{
    return branch->mutex ? rbx_mutex_lock(branch->mutex) : rbx_rwlock_write(branch->rwlock);
}

static int unlock(struct branch *branch)
{
    return branch->mutex ? rbx_mutex_unlock(branch->mutex) : rbx_rwlock_unlock(branch->rwlock);
}

static int consistent(struct branch *branch)
{
    return branch->mutex ? rbx_mutex_consistent(branch->mutex)
                         : rbx_rwlock_consistent(branch->rwlock);
}

/* Only to look, which by a read-write lock others may do at the same time. */
static int lock_to_look(struct branch *branch)
{
    if (branch->mutex)
        return rbx_mutex_lock(branch->mutex);
    int err = rbx_rwlock_read(branch->rwlock);
    if (err != -EOWNERDEAD)
        return err;
    rbx_rwlock_unlock(branch->rwlock); /* a reader is told as well; only a writer puts right */
    return rbx_rwlock_write(branch->rwlock);
}

/* ---- the bank -------------------------------------------------------------------------------- */

/* Fills a new box, before anybody else can see it. */
static int found(void *data, size_t size, void *arg)
{
    struct bank *bank = data;
    const rbx_rwlock_options seats = {.seats = SEATS};
    const rbx_event_options for_all = {.manual = true}; /* it stays set, so nobody can be late */
    (void)size, (void)arg;
    for (int i = 0; i < ACCOUNTS; i++)
        bank->has[i] = TOGETHER / ACCOUNTS;
    int err = rbx_mutex_init(bank->mutex, sizeof bank->mutex, NULL);
    if (err == 0)
        err = rbx_rwlock_init(bank->rwlock, sizeof bank->rwlock, &seats);
    if (err == 0)
        err = rbx_event_init(bank->go, sizeof bank->go, &for_all);
    return err < 0 ? err : rbx_event_init(bank->done, sizeof bank->done, &for_all);
}

/* First what is in the box, then the box. */
static int leave(struct branch *branch)
{
    return rbx_event_close(branch->done) < 0 || rbx_event_close(branch->go) < 0 ||
                   rbx_rwlock_close(branch->rwlock) < 0 || rbx_mutex_close(branch->mutex) < 0 ||
                   rbx_box_close(branch->box) < 0
               ? complain()
               : 0;
}

static int join(struct branch *branch, const char *kind, const char *name)
{
    bool by_mutex = strcmp(kind, kinds[0]) == 0;
    const rbx_box_options options = {.size = sizeof(struct bank),
                                     .policy = RBX_LAST_ONE_OUT,
                                     .tag = by_mutex ? 1 : 2, /* all must use the same one */
                                     .init = found};
    *branch = (struct branch){.box = NULL};
    if (rbx_box_open(&branch->box, name, &options) < 0)
        return complain();
    rbx_box *box = branch->box;
    struct bank *bank = branch->bank = rbx_box_as(box, struct bank);
    int err = by_mutex ? rbx_mutex_attach(&branch->mutex, box, bank->mutex, sizeof bank->mutex)
                       : rbx_rwlock_attach(&branch->rwlock, box, bank->rwlock, sizeof bank->rwlock);
    if (err == 0)
        err = rbx_event_attach(&branch->go, box, bank->go, sizeof bank->go);
    if (err == 0)
        err = rbx_event_attach(&branch->done, box, bank->done, sizeof bank->done);
    if (err == 0)
        return 0;
    complain();
    leave(branch);
    return 1;
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
    branch->bank->repairs++;
    printf("   pid %d: the last holder has died with the lock, and %lld on the way: put right\n",
           (int)getpid(), (long long)missing);
    fflush(stdout);
    return consistent(branch);
}

static int move(struct branch *branch, unsigned from, unsigned to)
{
    struct bank *bank = branch->bank;
    if (put_right(branch, lock(branch)) < 0)
        return complain();
    if (bank->has[from] > 0) {
        bank->has[from]--;
        bank->has[to]++;
    }
    bank->moves++;
    return unlock(branch) < 0 ? complain() : 0;
}

/* ---- the processes --------------------------------------------------------------------------- */

/* In short waits: a signal that comes just before one is seen after it. */
static int await_go(struct branch *branch)
{
    int err = -ETIMEDOUT;
    while (!stopped && (err == -ETIMEDOUT || err == -EINTR))
        err = rbx_event_wait_for(branch->go, RBX_SLICE_NS);
    return stopped || err == 0 ? 0 : complain();
}

static int work(struct branch *branch, uint64_t times)
{
    unsigned seed = (unsigned)getpid();
    int bad = await_go(branch);
    for (uint64_t i = 0; i < times && !bad && !stopped; i++) {
        seed = seed * 1664525 + 1013904223;
        bad = move(branch, seed >> 16 & 7, seed >> 24 & 7);
    }
    if (bad || put_right(branch, lock(branch)) < 0)
        return 1;
    bool last = ++branch->bank->through == WORKERS;
    bad = unlock(branch) < 0;
    if (last)
        bad |= rbx_event_set(branch->done) < 0;
    return bad ? complain() : 0;
}

static int die(struct branch *branch)
{
    if (await_go(branch) || stopped)
        return 1;
    if (put_right(branch, lock(branch)) < 0)
        return complain();
    branch->bank->has[0] -= 500; /* and before anybody else has got it */
    return raise(SIGKILL);
}

/* An event knows nothing of deaths: who waits for one looks now and then whether it can still come.
   Those who work are this process's children, or strangers. */
static int go(struct branch *branch, bool children)
{
    int bad = 0, err = rbx_event_set(branch->go);
    if (err < 0)
        return complain();
    do {
        if (put_right(branch, lock_to_look(branch)) < 0)
            return complain();
        bad |= together(branch->bank) != TOGETHER;
        if (unlock(branch) < 0)
            return complain();
        err = rbx_event_wait_for(branch->done, 1000000);
    } while (err == -ETIMEDOUT && !stopped && !(children && waitpid(-1, NULL, WNOHANG) < 0));
    while (children && (waitpid(-1, NULL, 0) > 0 || errno == EINTR))
        ;
    return bad;
}

static void start(const char *what, const char *kind, const char *name, const char *times)
{
    pid_t parent = getpid();
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* nobody would say go */
        if (getppid() == parent)
            execl("/proc/self/exe", "two-locks", what, kind, name, times, (char *)NULL);
        _exit(127);
    }
}

/* ---- the tour -------------------------------------------------------------------------------- */

static int check(struct branch *branch)
{
    const struct bank *bank = branch->bank;
    if (put_right(branch, lock_to_look(branch)) < 0)
        return complain();
    bool right = together(bank) == TOGETHER && bank->moves == (uint64_t)WORKERS * TIMES &&
                 bank->repairs == 1 && bank->through == WORKERS;
    printf("   %lld in all accounts together, after %llu moves; %llu death was told%s\n",
           (long long)together(bank), (unsigned long long)bank->moves,
           (unsigned long long)bank->repairs, right ? "" : ". That does NOT add up!");
    return unlock(branch) < 0 ? complain() : !right;
}

static int show(const char *kind)
{
    struct branch branch;
    char name[64], times[16];
    snprintf(name, sizeof name, "demo.%d.bank", (int)getpid());
    if (join(&branch, kind, name))
        return 1;
    printf("With a %s:\n"
           "1. Two processes move money between the accounts in box '%s' when they are told to "
           "go.\n   A third one takes 500 from an account, and is killed with kill -9. This one "
           "looks on:\n",
           kind, name);
    fflush(stdout);
    snprintf(times, sizeof times, "%d", TIMES);
    start("work", kind, name, times);
    start("work", kind, name, times);
    start("die", kind, name, NULL);
    int bad = go(&branch, true);
    printf("2. They are done:\n");
    bad |= check(&branch);
    if (leave(&branch))
        return 1;
    const rbx_box_options joining = {.how = RBX_OPEN_ONLY};
    int err = rbx_box_open(&branch.box, name, &joining);
    printf("3. The last to leave has removed the box, and the lock with it: %s\n",
           err < 0 ? rbx_last_error() : "no, it is still there!");
    return err < 0 ? bad : 1;
}

static int take_part(int argc, char **argv)
{
    struct branch branch;
    if (strcmp(argv[2], kinds[0]) != 0 && strcmp(argv[2], kinds[1]) != 0) {
        fprintf(stderr, "two-locks: there is no lock '%s'\n", argv[2]);
        return 2;
    }
    if (join(&branch, argv[2], argv[3]))
        return 1;
    int bad = argc == 5                     ? work(&branch, strtoull(argv[4], NULL, 10))
              : strcmp(argv[1], "die") == 0 ? die(&branch)
                                            : go(&branch, false);
    return leave(&branch) | bad;
}

static int usage(FILE *to, int code)
{
    fprintf(to, "usage: two-locks                    a tour\n"
                "       two-locks work KIND NAME N   move money about in the box NAME, N times\n"
                "       two-locks die KIND NAME      begin to move some, and die\n"
                "       two-locks go KIND NAME       tell two that work, and who dies, to begin\n"
                "KIND is mutex or rwlock.\n");
    return code;
}

int main(int argc, char **argv)
{
    const struct sigaction stopping = {.sa_handler = stop}; /* without SA_RESTART */
    sigaction(SIGINT, &stopping, NULL);
    sigaction(SIGTERM, &stopping, NULL);
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(stdout, 0);
    const char *what = argc > 1 ? argv[1] : "";
    if ((argc == 5 && strcmp(what, "work") == 0) ||
        (argc == 4 && (strcmp(what, "die") == 0 || strcmp(what, "go") == 0)))
        return take_part(argc, argv);
    if (argc > 1)
        return usage(stderr, 2);
    int bad = 0;
    for (int i = 0; i < 2 && !stopped; i++)
        bad |= show(kinds[i]);
    return bad | stopped;
}
