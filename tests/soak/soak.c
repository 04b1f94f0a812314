/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * soak [MINUTES] [--seconds=N] [--seed=N] [--round=N]
 *
 * Round after round, each with an object made anew: a ring of any kind, by name or in a memfd that
 * is handed over a socket, a mutex, a read-write lock, an event, semaphores or a cell. Up to eight
 * processes use it, by all calls; they are killed, stopped for a while, interrupted, replaced; they
 * leave and come by themselves; some may not make some system calls. At the end of each round
 * everybody goes on, the object is drained, and what the ledger says must be just what ring.h and
 * its neighbours promise (ring-judge.c, locks.c, events.c, units.c, cells.c): nothing lost but what
 * a receiver had in hand that died in a call, nothing twice, nothing out of turn but what came
 * again, nobody hung, nothing left behind.
 *
 * In a third of the rounds nobody dies. There who waits sleeps until it is woken: the library's own
 * looks now and then, which would make a lost wake-up good, are put off for hours.
 *
 * The same seed decides the same, though not when what happens: --seed and --round do one round
 * again and again.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "soak.h"

static void interrupt(int signal)
{
    (void)signal;
    interrupt_rounds();
}

/* The controller hangs in a call of the library: its children die with it. */
static void give_up(int signal)
{
    static const char hung[] =
        "FAILED: the controller hangs in a call, in a round with this seed\n";
    char path[96] = "/dev/shm/ringbox.";
    (void)signal;
    strcat(path, round_now.name);
    unlink(path);
    if (write(STDOUT_FILENO, hung, sizeof hung - 1) < 0)
        _exit(2);
    _exit(1);
}

static void show(uint64_t seconds)
{
    printf("%3" PRIu64 ":%02" PRIu64 "  %" PRIu64 " rounds, %" PRIu64 " kills (%" PRIu64
           " after steps into a call), %" PRIu64 " stops, %" PRIu64 " refusals, %" PRIu64
           " left; %" PRIu64 " messages, %" PRIu64
           " calls to receive died with some in hand, %" PRIu64 " messages lost there, %" PRIu64
           " redelivered, %" PRIu64 " dropped, %" PRIu64 " out of turn\n",
           seconds / 60, seconds % 60, totals.rounds, totals.kills, totals.inside, totals.stops,
           totals.refused, totals.leaves, totals.messages, totals.ambiguous, totals.lost_at_end,
           totals.redelivered, totals.dropped, totals.out_of_turn);
    fflush(stdout);
}

/* What this machine does not allow, so that it was not tested. */
static void show_skipped(void)
{
    if (totals.not_refused > 0)
        printf("SKIP: seccomp is not allowed here: no system call was refused\n");
    if (totals.kills > 100 && totals.inside == 0)
        printf("SKIP: no process could be stepped with ptrace here\n");
}

struct wish {
    uint64_t seconds, seed;
    int round; /* -1: one after the other */
};

static bool understand(int argc, char **argv, struct wish *wish)
{
    for (int i = 1; i < argc; i++) {
        const char *text = argv[i], *value = strchr(text, '=');
        char *end;
        uint64_t number = strtoull(value ? value + 1 : text, &end, 0);
        if (*end != 0 || end == text || (value && end == value + 1))
            return false;
        if (!value)
            wish->seconds = number * 60;
        else if (strncmp(text, "--seconds=", 10) == 0)
            wish->seconds = number;
        else if (strncmp(text, "--seed=", 7) == 0)
            wish->seed = number;
        else if (strncmp(text, "--round=", 8) == 0)
            wish->round = (int)number;
        else
            return false;
    }
    return wish->seconds > 0;
}

int main(int argc, char **argv)
{
    const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct wish wish = {.seconds = 3600, .round = -1};
    wish.seed = (uint64_t)time(NULL) << 16 ^ (uint64_t)getpid();
    if (!understand(argc, argv, &wish)) {
        fprintf(stderr, "usage: soak [MINUTES] [--seconds=N] [--seed=N] [--round=N]\n");
        return 2;
    }
    ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ledger == MAP_FAILED) {
        perror("soak: mmap");
        return 1;
    }
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction before;
        sigaction(signals[i], NULL, &before);
        if (before.sa_handler != SIG_IGN) /* as under nohup */
            sigaction(signals[i], &(struct sigaction){.sa_handler = interrupt}, NULL);
    }
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = give_up}, NULL);
    prctl(PR_SET_TIMERSLACK, 1);
    printf("seed %" PRIu64 "\n", wish.seed);
    fflush(stdout);
    uint64_t begun = now(), shown = 0, seconds = 0;
    bool well = true;
    for (unsigned number = 0; well && seconds < wish.seconds && !is_interrupted(); number++) {
        well = run_round(wish.seed, wish.round < 0 ? number : (unsigned)wish.round);
        seconds = (now() - begun) / 1000000000U;
        if (seconds / 60 != shown)
            show(seconds);
        shown = seconds / 60;
    }
    show(seconds);
    show_skipped();
    if (well)
        printf("%s0 lost, 0 duplicated, 0 out of turn beyond the promise; 0 hung, 0 left behind\n",
               is_interrupted() ? "interrupted: " : "");
    else
        printf("FAILED: once more with --seed=%" PRIu64 " --round=%u\n", wish.seed,
               round_now.number);
    return well ? 0 : 1;
}
