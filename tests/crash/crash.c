/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * crash [--all] [--offset N] [--jobs N] [[--only] PATTERN] [--one KIND/CAPACITY/CALL/AT/HOW]
 *
 * What if a participant dies, or stops, before instruction k of a call? For every call in calls.c,
 * kind of ring and capacity, and for every k from 0 to the end, a victim joins a small ring, is
 * stepped with ptrace to k, and then
 *  - killed with SIGKILL; or first left there while survivors go on, and then killed;
 *  - or left there while survivors go on, and then it goes on as well.
 * ledger.c says what must hold for the messages, traffic.c what for the survivors, who find out
 * by rbx_ring_repair, by waiting, or by polling.
 *
 * In long calls it tries the instruction after each change of the ring and each system
 * call, and every so manieth of the others; which, depends on the offset: by default the day. With
 * --all it tries them all, and everything with each. Prints TAP, and a table.
 */
#include <errno.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash.h"
#include "plan.h"

const char *const kind_names[KINDS] = {"default", "strict", "drop", "spsc", "locked"};
static const unsigned capacities[] = {2, 4};

enum {
    ROWS_MAX = 512,
    JOBS_MAX = 64,
    SAMPLES = 40,     /* instructions of a call, besides those after its effects */
    FAILURES_MAX = 3, /* of one row */
};

/* One call, kind of ring and capacity. */
struct row {
    size_t scenario;
    enum kind kind;
    unsigned capacity;
    _Atomic int is_done;
    _Atomic int worker; /* who is at it */
    uint32_t instructions, kills, stops;
    uint32_t sent, not_sent, came_again, lost; /* after kills inside the call */
    uint32_t next;                             /* experiment, for who goes on after a failure */
    uint32_t failures;
    char failure[FAILURES_MAX][1200];
};

static struct {
    _Atomic uint32_t next_row;
    uint32_t rows;
    struct row row[ROWS_MAX];
} * shared;

struct page *page;
static struct world world;
static struct row *current;
static volatile sig_atomic_t stopped_by; /* a signal; 0: none */

/* --- One row --- */

static void name_row(const struct row *row, char *name, size_t size)
{
    snprintf(name, size, "%s/%u/%s", kind_names[row->kind], row->capacity,
             scenarios[row->scenario].name);
}

static void note_failure(struct row *row, const char *text)
{
    char name[128];
    name_row(row, name, sizeof name);
    if (row->failures < FAILURES_MAX)
        plan_report(row->failure[row->failures], sizeof *row->failure, text, name, world.at,
                    how_name(world.how));
    row->failures++;
}

static void give_up(int signal)
{
    if (current && signal == SIGALRM)
        note_failure(current, "it does not come to an end");
    experiment_clean_up(&world);
    _exit(1);
}

/* Outcomes: those of the same instruction must be the same, however the survivors find out. */
static struct {
    int16_t of[STEPS_MAX + 1];
    int last_sent, last_taken;
} outcome;

static void compare_outcomes(const struct scenario *s, struct how how, long at)
{
    int16_t now = (int16_t)(world.was_sent * 16 + world.was_lost);
    int16_t before = outcome.of[at];
    outcome.of[at] = now;
    if (before >= 0 && before != now)
        blame(&world, "%u were sent and %u lost; the last time %d and %d", world.was_sent,
              world.was_lost, before / 16, before % 16);
    if (how.late || how.asleep || how.way != BY_REPAIR || how.after)
        return;
    if ((int)world.was_sent < outcome.last_sent)
        blame(&world, "%u were sent, and earlier in the call already %d", world.was_sent,
              outcome.last_sent);
    int taken = (int)(world.was_lost + atomic_load(&page->taken));
    if (s->takes > 0 && taken < outcome.last_taken)
        blame(&world, "%d were taken, and earlier in the call already %d", taken,
              outcome.last_taken);
    outcome.last_sent = (int)world.was_sent;
    outcome.last_taken = taken;
}

static void fail_row(struct row *row)
{
    note_failure(row, world.failure);
    fflush(NULL);
    experiment_clean_up(&world);
    _exit(1); /* there may be threads, and endpoints that cannot be closed */
}

static void try_one(struct row *row, struct how how, long at)
{
    const struct scenario *s = &scenarios[row->scenario];
    world.known_sent = outcome.of[at] < 0 ? -1 : outcome.of[at] / 16;
    if (how.asleep && (!(s->flags & WAKES) || world.known_sent < 0))
        return;
    alarm(HANGS_AFTER_S);
    bool well = experiment(&world, s, row->kind, row->capacity, how, at);
    alarm(0);
    if (well && how.kills)
        compare_outcomes(s, how, at);
    if (world.failed)
        fail_row(row);
    if (!how.kills) {
        row->stops++;
        return;
    }
    row->kills++;
    if (atomic_load(&page->done) || how.late || how.asleep || how.way != BY_REPAIR || how.after)
        return;
    row->sent += s->sends > 0 && world.was_sent > 0;
    row->not_sent += s->sends > 0 && world.was_sent == 0;
    row->lost += s->takes > 0 && world.was_lost > 0;
    row->came_again += s->takes > 0 && world.was_lost == 0;
}

/* What is tried at one instruction, as far as it is this run's turn. */
static void try_all_at(struct row *row, long at, uint32_t *number)
{
    static const struct {
        struct how how;
        unsigned every, every_of_all; /* so many instructions */
    } tries[] = {
        {{.kills = true}, 1, 1},
        {{.kills = true, .after = true}, 2, 1},
        {{.kills = true, .late = true}, 2, 1},
        {{.kills = true, .late = true, .after = true}, 16, 2},
        {{.kills = true, .way = BY_WAITING}, 16, 1},
        {{.kills = true, .way = BY_WAITING, .after = true}, 32, 4},
        {{.kills = true, .way = BY_WAITING, .late = true}, 32, 2},
        {{.kills = true, .way = BY_POLLING}, 32, 4},
        {{.kills = true, .way = BY_POLLING, .late = true}, 64, 8},
        {{.kills = true, .asleep = true}, 4, 1},
        {{.kills = true, .asleep = true, .late = true}, 4, 1},
        {{.kills = false}, 2, 1},
        {{.kills = false, .full = true}, 2, 1},
    };
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        unsigned every = plan.all ? tries[i].every_of_all : tries[i].every;
        if (((unsigned long)at + plan.offset + i) % every != 0)
            continue;
        if ((*number)++ < row->next)
            continue;
        row->next = *number;
        try_one(row, tries[i].how, at);
    }
}

static bool is_turn_of(long at, unsigned long stride)
{
    return plan_must(at) || ((unsigned long)at + plan.offset) % stride == 0;
}

static void run_row(struct row *row)
{
    const struct scenario *s = &scenarios[row->scenario];
    uint32_t number = 0;
    current = row;
    atomic_store(&row->worker, (int)getpid());
    memset(&outcome, 0xff, sizeof outcome);
    alarm(HANGS_AFTER_S);
    bool well = rehearse(&world, s, row->kind, row->capacity);
    alarm(0);
    if (!well && row->failures < FAILURES_MAX) {
        row->failures = FAILURES_MAX - 1; /* the rest makes no sense */
        fail_row(row);
    }
    row->instructions = trace.count;
    unsigned long stride = trace.count / SAMPLES + 1;
    for (long at = 0; at <= (long)trace.count && row->failures < FAILURES_MAX; at++)
        if (is_turn_of(at, stride))
            try_all_at(row, at, &number);
    current = NULL;
    atomic_store(&row->is_done, 1);
}

/* --- Workers --- */

static _Noreturn void work(struct row *unfinished)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGALRM, give_up);
    signal(SIGTERM, give_up);
    signal(SIGINT, SIG_IGN);
    if (stopped_by)
        _exit(0);
    page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        _exit(1);
    if (unfinished && unfinished->failures < FAILURES_MAX)
        run_row(unfinished);
    for (;;) {
        uint32_t next = atomic_fetch_add(&shared->next_row, 1);
        if (next >= shared->rows)
            _exit(0);
        run_row(&shared->row[next]);
    }
}

static pid_t workers[JOBS_MAX];
static long jobs;

static void stop_all(int signal)
{
    stopped_by = signal;
    for (long i = 0; i < jobs; i++)
        if (workers[i] > 0)
            kill(workers[i], SIGTERM);
}

/* False: there is none. */
static bool start_worker(long i, struct row *unfinished)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        work(unfinished);
    workers[i] = pid;
    if (stopped_by && pid > 0)
        kill(pid, SIGTERM); /* which stop_all did not know yet */
    return pid > 0;
}

/* What worker `pid` has left undone. */
static struct row *unfinished_row(pid_t pid, int status)
{
    for (uint32_t i = 0; i < shared->rows; i++) {
        struct row *row = &shared->row[i];
        if (atomic_load(&row->worker) != (int)pid || atomic_load(&row->is_done))
            continue;
        if (WIFSIGNALED(status) && row->failures < FAILURES_MAX)
            snprintf(row->failure[row->failures++], sizeof *row->failure,
                     "the harness died of signal %d", WTERMSIG(status));
        if (row->failures >= FAILURES_MAX)
            atomic_store(&row->is_done, 1);
        return row;
    }
    return NULL;
}

static void remove_ring_of(pid_t pid)
{
    char path[96];
    snprintf(path, sizeof path, "/dev/shm/ringbox.t.%d.crash", (int)pid);
    unlink(path);
}

static void run_workers(void)
{
    long running = 0;
    for (long i = 0; i < jobs; i++)
        running += start_worker(i, NULL);
    while (running > 0) {
        int status;
        pid_t pid = waitpid(-1, &status, 0);
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid < 0)
            break;
        long i = 0;
        while (i < jobs && workers[i] != pid)
            i++;
        if (i == jobs)
            continue;
        remove_ring_of(pid);
        bool is_through = stopped_by || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
        workers[i] = 0;
        running -= is_through || !start_worker(i, unfinished_row(pid, status));
    }
}

/* --- What came out --- */

static void print_table(void)
{
    printf("# %-44s %7s %7s %7s | %6s %6s | %6s %6s\n", "kind/capacity/call", "instr.", "kills",
           "stops", "unsent", "sent", "again", "gone");
    unsigned long kills = 0, stops = 0;
    for (uint32_t i = 0; i < shared->rows; i++) {
        const struct row *row = &shared->row[i];
        const struct scenario *s = &scenarios[row->scenario];
        char name[128];
        name_row(row, name, sizeof name);
        printf("# %-44s %7u %7u %7u |", name, row->instructions, row->kills, row->stops);
        if (s->sends > 0)
            printf(" %6u %6u |", row->not_sent, row->sent);
        else
            printf(" %6s %6s |", "", "");
        if (s->takes > 0)
            printf(" %6u %6u", row->came_again, row->lost);
        printf("\n");
        kills += row->kills;
        stops += row->stops;
    }
    printf(
        "# %lu kills and %lu stops; the last four columns are of kills inside the call that a\n"
        "# repair followed at once: was its message sent, and was what it took received again?\n",
        kills, stops);
}

static unsigned print_results(void)
{
    unsigned failed = 0;
    for (uint32_t i = 0; i < shared->rows; i++) {
        const struct row *row = &shared->row[i];
        char name[128];
        name_row(row, name, sizeof name);
        bool well = atomic_load(&row->is_done) && row->failures == 0;
        failed += !well;
        printf("%sok %u - %s: %u instructions, %u kills, %u stops\n", well ? "" : "not ", i + 1,
               name, row->instructions, row->kills, row->stops);
        for (uint32_t f = 0; f < row->failures && f < FAILURES_MAX; f++)
            printf("# %s\n", row->failure[f]);
    }
    return failed;
}

static void add_rows(const char *pattern)
{
    for (size_t s = 0; s < scenario_count; s++)
        for (enum kind kind = DEFAULT; kind < KINDS; kind++)
            for (size_t c = 0; c < sizeof capacities / sizeof *capacities; c++) {
                struct row row = {.scenario = s, .kind = kind, .capacity = capacities[c]};
                char name[128];
                name_row(&row, name, sizeof name);
                if (scenarios[s].kinds & ON(kind) && fnmatch(pattern, name, 0) == 0 &&
                    shared->rows < ROWS_MAX)
                    shared->row[shared->rows++] = row;
            }
}

/* KIND/CAPACITY/CALL/AT/HOW */
static int run_one(const char *what)
{
    char name[128];
    size_t length = 0;
    for (int slashes = 0; what[length] && slashes < 3; length++)
        slashes += what[length] == '/';
    snprintf(name, sizeof name, "%.*s", (int)length - 1, what);
    char *rest = NULL;
    long at = strtol(what + length, &rest, 10);
    struct how how;
    add_rows(name);
    if (shared->rows != 1 || *rest != '/' || !parse_how(rest + 1, &how))
        plan_usage();
    current = &shared->row[0];
    page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    signal(SIGALRM, give_up);
    alarm(HANGS_AFTER_S);
    const struct scenario *s = &scenarios[current->scenario];
    bool well = rehearse(&world, s, current->kind, current->capacity);
    if (well) {
        printf("# %u instructions; %d-byte messages\n", trace.count, (int)message_size(&world));
        if (how.asleep) { /* first find out whether it is sent */
            const struct how plainly = {.kills = true};
            well = experiment(&world, s, current->kind, current->capacity, plainly, at);
            world.known_sent = (int)world.was_sent;
        }
        well = well && experiment(&world, s, current->kind, current->capacity, how, at);
        printf("# of its messages %u were sent; %u were lost\n", world.was_sent, world.was_lost);
    }
    printf("1..1\n%sok 1 - %s\n", well ? "" : "not ", what);
    if (!well)
        printf("# %s\n", world.failure);
    return well ? 0 : 1;
}

int main(int argc, char **argv)
{
    plan_begin(argc, argv, "KIND/CAPACITY/CALL/AT/HOW");
    jobs = plan.jobs < 1 ? 1 : plan.jobs > JOBS_MAX ? JOBS_MAX : plan.jobs;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    if (plan.one)
        return run_one(plan.one);
    add_rows(plan.pattern);
    signal(SIGINT, stop_all);
    signal(SIGTERM, stop_all);
    signal(SIGHUP, stop_all);
    uint64_t begun = now();
    printf("1..%u\n# offset %lu%s\n", shared->rows, plan.offset, plan.all ? ", all" : "");
    run_workers();
    if (stopped_by) {
        printf("Bail out! signal %d\n", (int)stopped_by);
        return 128 + (int)stopped_by;
    }
    unsigned failed = print_results();
    print_table();
    printf("# %.1f s\n", (double)(now() - begun) / 1e9);
    return failed ? 1 : 0;
}
