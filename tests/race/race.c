/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * race [PROCESSES [ROUNDS]]
 *
 * Many processes open-or-create, write, own, leak, close and so unlink the same two names, one
 * under 'owner unlinks' and one under 'last one out', while they are killed with SIGKILL and
 * stopped and continued at random. Every process checks at every step that
 *  - no box that it sees is half made,
 *  - no box that a living handle owns, or that under 'last one out' is attached, loses its name,
 *  - no box loses its name under a reader unless its owner said that it was going to close it,
 * and at the end one clean open and close must leave nothing behind. A killed process is replaced
 * by one that does the rest of its rounds.
 *
 * The windows that a mistake would open are a system call or two wide. So the calls by which the
 * library locks, looks and unlinks stutter here (the linker wraps them): now and then another
 * process runs before they do.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <dirent.h>

#include <ringbox/ringbox.h>

#include "../support/chance.h"

enum { MAX_PROCESSES = 1024, WORDS = 1200, NAMES = 2 };

/* What a box holds: every word is the same number, drawn by its creator. */
struct contents {
    _Atomic uint32_t closing; /* its owner is about to close it */
    _Atomic uint32_t writes;
    uint64_t word[WORDS];
};

struct ledger {
    _Atomic int failures;
    char first_failure[512];
    _Atomic uint64_t created, joined, killed, stopped, stale, owned, leaked;
    _Atomic uint32_t done[MAX_PROCESSES];
};

static struct ledger *ledger;
static char names[NAMES][64];
static uint64_t random_state;

static uint32_t draw(uint32_t below)
{
    return draw_from(&random_state, below);
}

static void nap(long ns)
{
    nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

static void stutter(void)
{
    uint32_t drawn = draw(256);
    if (drawn == 0)
        nap(20000);
    else if (drawn < 8)
        sched_yield();
}

int __real_fcntl64(int fd, int command, void *arg);
int __wrap_fcntl64(int fd, int command, void *arg);
int __wrap_fcntl64(int fd, int command, void *arg)
{
    stutter();
    return __real_fcntl64(fd, command, arg);
}

struct stat;
int __real_fstatat64(int dir, const char *path, struct stat *status, int flags);
int __wrap_fstatat64(int dir, const char *path, struct stat *status, int flags);
int __wrap_fstatat64(int dir, const char *path, struct stat *status, int flags)
{
    stutter();
    return __real_fstatat64(dir, path, status, flags);
}

int __real_unlinkat(int dir, const char *path, int flags);
int __wrap_unlinkat(int dir, const char *path, int flags);
int __wrap_unlinkat(int dir, const char *path, int flags)
{
    stutter();
    return __real_unlinkat(dir, path, flags);
}

static void fail(const char *what, const char *name)
{
    if (atomic_fetch_add(&ledger->failures, 1) == 0)
        snprintf(ledger->first_failure, sizeof ledger->first_failure, "%s (box '%s', \"%s\")", what,
                 name, rbx_last_error());
}

static int fill(void *data, size_t size, void *arg)
{
    struct contents *contents = data;
    (void)size, (void)arg;
    uint64_t number = (uint64_t)getpid() << 32 | draw(UINT32_MAX);
    for (int i = 0; i < WORDS; i++)
        contents->word[i] = number | 1;
    return 0;
}

static void check_whole(const struct contents *contents, const char *name)
{
    uint64_t first = contents->word[0];
    if (first == 0)
        fail("an empty box was seen", name);
    for (int i = 1; i < WORDS; i++)
        if (contents->word[i] != first)
            return fail("a half-made box was seen", name);
}

/* What holds while `box` is open here. */
static void check_name(const rbx_box *box, const struct contents *contents, bool last_one_out,
                       const char *name)
{
    int stale = rbx_box_stale(box);
    if (stale < 0)
        return fail("cannot tell whether a box is stale", name);
    if (stale == 0)
        return;
    atomic_fetch_add(&ledger->stale, 1);
    if (rbx_box_is_owner(box))
        fail("an owned box lost its name", name);
    else if (last_one_out)
        fail("an attached last-one-out box lost its name", name);
    else if (!atomic_load(&contents->closing))
        fail("a box lost its name before its owner closed it", name);
}

static void change_owner(rbx_box *box, const char *name)
{
    if (rbx_box_is_owner(box)) {
        if (rbx_box_leak(box) < 0)
            fail("an owner could not leak", name);
        atomic_fetch_add(&ledger->leaked, 1);
        return;
    }
    int err = rbx_box_own(box);
    if (err == 0)
        atomic_fetch_add(&ledger->owned, 1);
    else if (err != -EBUSY && err != -ESTALE)
        fail("a box could not be owned", name);
}

static void one_round(void)
{
    bool last_one_out = draw(2);
    const char *name = names[last_one_out];
    const rbx_box_options options = {
        .size = sizeof(struct contents),
        .policy = last_one_out ? RBX_LAST_ONE_OUT : RBX_OWNER_UNLINKS,
        .init = fill,
    };
    rbx_box *box;
    int err = rbx_box_open(&box, name, &options);
    if (err < 0) {
        if (err != -EBUSY) /* a stopped process may be in the way for longer than patience */
            fail("a box could not be opened", name);
        return;
    }
    struct contents *contents = rbx_box_as(box, struct contents);
    atomic_fetch_add(rbx_box_was_created(box) ? &ledger->created : &ledger->joined, 1);
    check_whole(contents, name);
    check_name(box, contents, last_one_out, name);
    atomic_fetch_add(&contents->writes, 1);
    if (!last_one_out && draw(8) == 0)
        change_owner(box, name);
    if (draw(4) == 0)
        sched_yield();
    check_name(box, contents, last_one_out, name);
    if (rbx_box_is_owner(box))
        atomic_store(&contents->closing, 1);
    err = rbx_box_close(box);
    if (err < 0 && err != -ETIMEDOUT) /* as there */
        fail("a box could not be closed", name);
}

static pid_t start_worker(int slot, uint32_t rounds)
{
    uint64_t seed = ((uint64_t)draw(UINT32_MAX) << 32) ^ draw(UINT32_MAX) ^ (uint64_t)slot;
    pid_t pid = fork();
    if (pid < 0) {
        perror("race: fork");
        exit(1);
    }
    if (pid != 0)
        return pid;
    random_state = seed;
    for (uint32_t i = atomic_load(&ledger->done[slot]); i < rounds && !ledger->failures; i++) {
        one_round();
        atomic_store(&ledger->done[slot], i + 1);
    }
    _exit(0);
}

/* Kills, or stops and continues, one process after another until all have done their rounds. */
static void supervise(pid_t *pids, int processes, uint32_t rounds)
{
    int alive = processes;
    pid_t stopped = 0;
    while (alive > 0) {
        int status;
        pid_t ended = waitpid(-1, &status, WNOHANG);
        if (ended > 0) {
            for (int i = 0; i < processes; i++) {
                if (pids[i] != ended)
                    continue;
                stopped = stopped == ended ? 0 : stopped;
                pids[i] = WIFEXITED(status) ? 0 : start_worker(i, rounds);
                alive -= WIFEXITED(status);
            }
            continue;
        }
        pid_t victim = pids[draw((uint32_t)processes)];
        if (stopped) {
            kill(stopped, SIGCONT);
            stopped = 0;
        } else if (victim > 0 && draw(3) == 0) {
            kill(victim, SIGSTOP);
            stopped = victim;
            atomic_fetch_add(&ledger->stopped, 1);
        } else if (victim > 0) {
            kill(victim, SIGKILL);
            atomic_fetch_add(&ledger->killed, 1);
        }
        nap(100000 + draw(400000));
    }
}

static int count_left(void)
{
    int left = 0;
    DIR *directory = opendir("/dev/shm");
    if (!directory)
        return -1;
    for (struct dirent *entry; (entry = readdir(directory));)
        for (int i = 0; i < NAMES; i++)
            left += strstr(entry->d_name, names[i]) != NULL;
    closedir(directory);
    return left;
}

static void clean_up(void)
{
    for (int i = 0; i < NAMES; i++) {
        rbx_box *box;
        const rbx_box_options options = {.size = sizeof(struct contents),
                                         .policy = i ? RBX_LAST_ONE_OUT : RBX_OWNER_UNLINKS,
                                         .init = fill};
        if (rbx_box_open(&box, names[i], &options) < 0) {
            fail("a box could not be opened at the end", names[i]);
            continue;
        }
        check_whole(rbx_box_data(box), names[i]);
        if (rbx_box_attached(box) != 1)
            fail("somebody is attached at the end", names[i]);
        if (i == 0 && rbx_box_own(box) < 0) /* it may have been leaked, and so kept */
            fail("a box could not be owned at the end", names[i]);
        if (rbx_box_close(box) < 0)
            fail("a box could not be closed at the end", names[i]);
    }
    if (count_left() != 0)
        fail("something was left behind", names[0]);
}

static int usage(void)
{
    fprintf(stderr, "usage: race [PROCESSES (1 to %d) [ROUNDS]]\n", MAX_PROCESSES);
    return 2;
}

int main(int argc, char **argv)
{
    int processes = argc > 1 ? atoi(argv[1]) : 16;
    int rounds = argc > 2 ? atoi(argv[2]) : 500;
    if (processes < 1 || processes > MAX_PROCESSES || rounds < 1)
        return usage();
    static pid_t pids[MAX_PROCESSES];
    ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ledger == MAP_FAILED)
        return 1;
    random_state = (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();
    for (int i = 0; i < NAMES; i++)
        snprintf(names[i], sizeof names[i], "t.race.%d.%d", (int)getpid(), i);
    for (int i = 0; i < processes; i++)
        pids[i] = start_worker(i, (uint32_t)rounds);
    supervise(pids, processes, (uint32_t)rounds);
    clean_up();
    printf("%d processes x %d rounds: %llu made, %llu joined, %llu owned, %llu leaked, %llu seen "
           "stale, %llu killed, %llu stopped: %d failures\n",
           processes, rounds, (unsigned long long)ledger->created,
           (unsigned long long)ledger->joined, (unsigned long long)ledger->owned,
           (unsigned long long)ledger->leaked, (unsigned long long)ledger->stale,
           (unsigned long long)ledger->killed, (unsigned long long)ledger->stopped,
           ledger->failures);
    if (ledger->failures)
        fprintf(stderr, "first failure: %s\n", ledger->first_failure);
    return ledger->failures ? 1 : 0;
}
