/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * shared-value: processes that do not know each other change the same values.
 *
 *     shared-value                    a tour: a counter and a struct that several processes change,
 *                                     one of which is killed in the middle of a change
 *     shared-value count NAME N       adds 1 to the counter NAME, N times
 *     shared-value move NAME N        moves money between the two accounts NAME, N times
 *     shared-value stall NAME         takes money from one account, and then does not give it
 *                                     to the other
 *
 *     cc -o shared-value shared-value.c $(pkg-config --cflags --libs ringbox)
 */
#ifndef _GNU_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ringbox/ringbox.h>

struct accounts {
    int64_t hers, his; /* together always TOGETHER */
    uint64_t payments;
};

enum { TOGETHER = 1000 };

static int complain(void)
{
    fprintf(stderr, "shared-value: %s\n", rbx_last_error());
    return 1;
}

/* Whoever comes first gives it its value; whoever leaves last removes it. */
static rbx_cell *open_counter(const char *name)
{
    rbx_cell *cell;
    return rbx_cell_open(&cell, name, sizeof(uint64_t), NULL, NULL) < 0 ? NULL : cell;
}

static rbx_cell *open_accounts(const char *name)
{
    const struct accounts initial = {.hers = TOGETHER};
    rbx_cell *cell;
    return rbx_cell_open(&cell, name, sizeof initial, &initial, NULL) < 0 ? NULL : cell;
}

/* ---- what runs under the lock, on a copy -------------------------------------------------------
 */

static int add_one(void *value, size_t size, void *arg)
{
    (void)size, (void)arg;
    ++*(uint64_t *)value;
    return 0;
}

/* From her to him, or back when it is negative. */
static int move_some(void *value, size_t size, void *arg)
{
    struct accounts *accounts = value;
    int64_t amount = *(const int64_t *)arg;
    (void)size;
    if (amount > accounts->hers || -amount > accounts->his)
        return -1; /* nothing changes */
    accounts->hers -= amount;
    accounts->his += amount;
    accounts->payments++;
    return 0;
}

static int take_and_stall(void *value, size_t size, void *arg)
{
    struct accounts *accounts = value;
    (void)size, (void)arg;
    accounts->hers -= 500;
    printf("in the middle\n"); /* who waits for this may kill us now */
    fflush(stdout);
    alarm(60);
    return pause();
}

/* ---- the processes -----------------------------------------------------------------------------
 */

static int change(rbx_cell *cell, rbx_cell_changer *fn, uint64_t times)
{
    if (!cell)
        return complain();
    uint64_t refused = 0;
    for (uint64_t i = 0; i < times; i++) {
        int64_t amount = (int64_t)(i * 7919 % 601) - 300;
        refused += rbx_cell_change(cell, fn, &amount) < 0;
    }
    printf("  pid %d made %llu changes, and %llu were refused\n", (int)getpid(),
           (unsigned long long)(times - refused), (unsigned long long)refused);
    return rbx_cell_close(cell) < 0 ? complain() : 0;
}

static int stall(rbx_cell *cell)
{
    if (!cell)
        return complain();
    return rbx_cell_change(cell, take_and_stall, NULL) < 0 ? 1 : 0;
}

/* Runs this program; what it prints goes to `out`. */
static pid_t start(const char *program, const char *what, const char *name, const char *times,
                   int out)
{
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(1);
    }
    if (pid == 0) {
        dup2(out, STDOUT_FILENO);
        execl(program, program, what, name, times, (char *)NULL);
        _exit(127);
    }
    return pid;
}

/* ---- the tour ----------------------------------------------------------------------------------
 */

static int show_accounts(const rbx_cell *cell)
{
    struct accounts now;
    if (rbx_cell_snapshot(cell, &now) < 0)
        return complain();
    printf("   hers %lld, his %lld, together %lld, after %llu payments\n", (long long)now.hers,
           (long long)now.his, (long long)(now.hers + now.his), (unsigned long long)now.payments);
    return now.hers + now.his == TOGETHER ? 0 : 1;
}

static int show_counter(const char *program, const char *name)
{
    uint64_t value = 0;
    rbx_cell *cell = open_counter(name);
    if (!cell)
        return complain();
    printf("1. Two processes add 100000 each to the counter '%s':\n", name);
    fflush(stdout);
    start(program, "count", name, "100000", STDOUT_FILENO);
    start(program, "count", name, "100000", STDOUT_FILENO);
    while (wait(NULL) > 0)
        ;
    if (rbx_cell_snapshot(cell, &value) < 0)
        return complain();
    printf("   the counter says %llu\n", (unsigned long long)value);
    return rbx_cell_close(cell) < 0 ? complain() : value == 200000 ? 0 : 1;
}

static int show_moves(const char *program, const char *name, const rbx_cell *cell)
{
    int bad = 0, running = 2;
    printf("2. Two processes move money between two accounts, 'hers' and 'his', while this one "
           "looks:\n");
    fflush(stdout);
    pid_t one = start(program, "move", name, "100000", STDOUT_FILENO);
    pid_t two = start(program, "move", name, "100000", STDOUT_FILENO);
    uint64_t looks = 0;
    for (struct accounts now; running > 0; looks++) {
        if (rbx_cell_snapshot(cell, &now) < 0)
            return complain();
        bad |= now.hers + now.his != TOGETHER;
        running -= (waitpid(one, NULL, WNOHANG) == one) + (waitpid(two, NULL, WNOHANG) == two);
    }
    printf("   it looked %s, and every time they had %d together%s\n",
           looks > 100 ? "more than a hundred times" : "now and then", TOGETHER,
           bad ? ": NO, once they had not!" : "");
    return show_accounts(cell) | bad;
}

static int show_death(const char *program, const char *name, rbx_cell *cell)
{
    int ends[2];
    char said;
    printf("3. One takes 500 from her account. Before it has given them to him:\n");
    fflush(stdout);
    if (pipe(ends) < 0) {
        perror("shared-value: pipe");
        return 1;
    }
    pid_t pid = start(program, "stall", name, NULL, ends[1]);
    close(ends[1]);
    if (read(ends[0], &said, 1) != 1)
        return 1;
    close(ends[0]);
    int bad = show_accounts(cell); /* a snapshot does not wait for it */
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    printf(
        "   and when it has been killed there with kill -9, and the next one has paid nothing:\n");
    int64_t nothing = 0;
    if (rbx_cell_change(cell, move_some, &nothing) < 0)
        return complain();
    return bad | show_accounts(cell);
}

static int tour(const char *program)
{
    char counter[64], name[64];
    snprintf(counter, sizeof counter, "demo.%d.counter", (int)getpid());
    snprintf(name, sizeof name, "demo.%d.accounts", (int)getpid());
    int bad = show_counter(program, counter);
    rbx_cell *cell = open_accounts(name);
    if (!cell)
        return complain();
    bad |= show_moves(program, name, cell);
    bad |= show_death(program, name, cell);
    printf("4. The last to leave removes it:\n");
    if (rbx_cell_close(cell) < 0)
        return complain();
    const rbx_cell_options join = {.box = {.how = RBX_OPEN_ONLY}};
    int err = rbx_cell_open(&cell, name, sizeof(struct accounts), NULL, &join);
    printf("   opening it now: %s\n", err < 0 ? rbx_last_error() : "it is still there!");
    return err < 0 ? bad : 1;
}

static int usage(FILE *to, int code)
{
    fprintf(to, "usage: shared-value                a tour\n"
                "       shared-value count NAME N   add 1 to the counter NAME, N times\n"
                "       shared-value move NAME N    move money between the accounts NAME, N times\n"
                "       shared-value stall NAME     begin to move some, and do not end\n");
    return code;
}

int main(int argc, char **argv)
{
    if (argc == 1)
        return tour("/proc/self/exe");
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(stdout, 0);
    if (argc == 4 && strcmp(argv[1], "count") == 0)
        return change(open_counter(argv[2]), add_one, strtoull(argv[3], NULL, 10));
    if (argc == 4 && strcmp(argv[1], "move") == 0)
        return change(open_accounts(argv[2]), move_some, strtoull(argv[3], NULL, 10));
    if (argc == 3 && strcmp(argv[1], "stall") == 0)
        return stall(open_accounts(argv[2]));
    return usage(stderr, 2);
}
