/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sync [--all] [--offset N] [[--only] PATTERN] [--one ACT/AT/kill|stop|late]
 *
 * What if a process dies, or stops, before instruction k of a call on a lock, an event, a semaphore
 * or a cell? For every act (sync-*.c) and every k from 0 to the end, a victim joins, is stepped
 * with ptrace to k, and then is
 *  - killed with SIGKILL (kill);
 *  - left there while a survivor goes on, and killed then (late);
 *  - left there while a survivor goes on, and then it goes on as well (stop).
 *
 * In long calls it tries the instruction after each change of the object and each system call, and
 * in one of these ways every so manieth of the others; which, depends on the offset: by default the
 * day. With --all it tries them all. Prints TAP, and a table.
 */
#include "sync.h"

#include <errno.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plan.h"
#include "sync/object.h"

enum { SAMPLES = 40, SAMPLES_WITH_WAITER = 6, HANGS_AFTER_S = 30 };
enum fate { KILL, LATE, STOP, FATES };
static const char *const fate_names[FATES] = {"kill", "late", "stop"};

static struct stage stage;
static struct stepped victim;
static const struct act *act;
static long at;
static enum fate fate;
static volatile sig_atomic_t stopped_by; /* a signal; 0: none */
/* Of one call, besides the instructions after its effects. */
static unsigned samples;

void wrong(struct stage *s, const char *format, ...)
{
    if (s->is_victim) {
        int line = 1;
        const char *where = strchr(format, ':');
        if (where)
            sscanf(where, ":%d", &line);
        atomic_store(&s->page->problem, line);
        return;
    }
    if (s->failed)
        return;
    s->failed = true;
    va_list args;
    va_start(args, format);
    vsnprintf(s->failure, sizeof s->failure, format, args);
    va_end(args);
}

/* --- One experiment --- */

/* The child's stage is the parent's, without its handles. It gets no signals from the terminal. */
static void become_victim(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    stage.is_victim = true;
    memset(stage.handle, 0, sizeof stage.handle);
}

static void do_if(void (*part)(struct stage *s))
{
    if (part && !stage.failed)
        part(&stage);
}

static _Noreturn void live(void)
{
    become_victim();
    if (!stepper_accept())
        _exit(2);
    do_if(act->join);
    if (atomic_load(&stage.page->problem))
        _exit(3);
    STEPPER_MARK();
    int answer = act->call(&stage);
    atomic_store(&stage.page->answer, answer);
    atomic_store(&stage.page->done, 1);
    STEPPER_MARK();
    do_if(act->leave);
    _exit(atomic_load(&stage.page->problem) ? 4 : 0);
}

void somebody_dies(struct stage *s, void (*does)(struct stage *s))
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        become_victim();
        does(&stage);
        if (atomic_load(&stage.page->problem))
            _exit(1);
        kill(getpid(), SIGKILL);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
        wrong(s, "somebody who should die has wait status %#x", (unsigned)status);
}

void somebody_waits(struct stage *s, void (*does)(struct stage *s))
{
    pid_t pid = fork();
    if (pid == 0) {
        become_victim();
        does(&stage);
        _exit(atomic_load(&stage.page->problem) ? 1 : 0);
    }
    if (pid < 0)
        wrong(s, "there can be nobody who waits: %s", strerror(errno));
    else
        s->waiter = (int)pid;
}

void waiter_ends(struct stage *s)
{
    int status = 0;
    pid_t pid = s->waiter;
    s->waiter = 0;
    if (waitpid(pid, &status, 0) != pid || status != 0)
        wrong(s, "who waits should come to its end, and has wait status %#x", (unsigned)status);
}

static void kill_waiter(void)
{
    if (stage.waiter) {
        kill(stage.waiter, SIGKILL);
        waitpid(stage.waiter, NULL, 0);
        stage.waiter = 0;
    }
}

static bool well(bool did)
{
    if (!did)
        wrong(&stage, "%s", victim.failure);
    return !stage.failed;
}

static bool begin(void)
{
    memset(stage.page, 0, sizeof *stage.page);
    memset(stage.handle, 0, sizeof stage.handle);
    stage.failed = false;
    do_if(act->make);
    if (stage.failed)
        return false;
    fflush(NULL);
    victim = (struct stepped){.pid = fork(), .done = &stage.page->done};
    if (victim.pid == 0)
        live();
    if (victim.pid < 0 || !well(stepper_take(&victim)))
        return false;
    do_if(act->meanwhile);
    return !stage.failed;
}

static void let_go_on(void)
{
    if (!well(stepper_finish(&victim)))
        return;
    if (act->went_on)
        act->went_on(&stage);
    if (!stage.failed)
        well(stepper_let_exit(&victim));
}

static void end(void)
{
    char path[96];
    do_if(act->end);
    stepper_kill(&victim);
    kill_waiter();
    snprintf(path, sizeof path, "/dev/shm/ringbox.%s", stage.name);
    if (access(path, F_OK) == 0) {
        if (!stage.failed)
            wrong(&stage, "%s is left behind", path);
        unlink(path);
    }
}

/* Whether all was well. */
static bool experiment(void)
{
    alarm(HANGS_AFTER_S);
    if (begin() && well(stepper_run_to(&victim, at))) {
        if (fate != KILL)
            do_if(act->beside);
        if (fate == STOP) {
            if (!stage.failed)
                let_go_on();
        } else if (well(stepper_kill(&victim)) && act->killed) {
            act->killed(&stage, atomic_load(&stage.page->done));
        }
    }
    end();
    alarm(0);
    return !stage.failed;
}

/* Runs the call once, from beginning to end, into `trace`. */
static bool rehearse(void)
{
    const struct rbx_object *object;
    alarm(HANGS_AFTER_S);
    at = 0;
    fate = STOP;
    if (begin()) {
        /* Who sleeps finds out after a slice. */
        samples = stage.waiter ? SAMPLES_WITH_WAITER : SAMPLES;
        object = stage.handle[0]; /* which every handle begins with */
        if (well(stepper_record(&victim, object->memory, (size_t)object->shape.size)))
            let_go_on();
    }
    end();
    alarm(0);
    return !stage.failed;
}

/* --- All of them --- */

struct row {
    const struct act *act;
    uint32_t instructions, tries[FATES];
};

static bool is_turn(long k, enum fate wanted)
{
    unsigned long stride = trace.count / samples + 1, turn = (unsigned long)k + plan.offset;
    if (plan_must(k) || stride == 1)
        return true;
    return turn % stride == 0 && turn / stride % FATES == wanted;
}

static void tell_failure(void)
{
    char text[1200];
    plan_report(text, sizeof text, stage.failure, act->name, at, fate_names[fate]);
    printf("# %s\n", text);
    if (stage.page->problem)
        printf("#   another process complains of line %d of its act\n", (int)stage.page->problem);
}

static bool run_row(struct row *row)
{
    act = row->act;
    if (!rehearse())
        return false;
    row->instructions = trace.count;
    for (at = 0; at <= (long)trace.count; at++)
        for (fate = KILL; fate < FATES; fate++) {
            if (stopped_by || !is_turn(at, fate) || (fate != KILL && !act->beside))
                continue;
            row->tries[fate]++;
            if (!experiment())
                return false;
        }
    return true;
}

/* After the experiment that is under way, so that nothing is left behind. */
static void stop(int signal)
{
    stopped_by = signal;
}

/* From a signal handler: the experiment is a hang, and nothing can be trusted any more. */
static void give_up(int signal)
{
    (void)signal;
    stage.failed = true;
    snprintf(stage.failure, sizeof stage.failure, "it does not come to an end");
    tell_failure();
    printf("not ok - %s\n", act->name);
    fflush(NULL);
    stepper_kill(&victim);
    kill_waiter();
    char path[96];
    snprintf(path, sizeof path, "/dev/shm/ringbox.%s", stage.name);
    unlink(path);
    _exit(1);
}

enum { ROWS_MAX = 128 };
static struct row rows[ROWS_MAX];
static size_t row_count;

static void add_rows(const char *pattern)
{
    for (size_t p = 0; plays[p]; p++)
        for (const struct act *a = plays[p]; a->name; a++)
            if (fnmatch(pattern, a->name, 0) == 0 && row_count < ROWS_MAX)
                rows[row_count++].act = a;
}

static int run_all(void)
{
    int code = 0;
    printf("1..%zu\n# offset %lu%s\n", row_count, plan.offset, plan.all ? ", all" : "");
    for (size_t i = 0; i < row_count; i++) {
        struct row *row = &rows[i];
        bool did = run_row(row);
        if (stopped_by) {
            printf("Bail out! signal %d\n", (int)stopped_by);
            return 128 + (int)stopped_by;
        }
        printf("%sok %zu - %s\n", did ? "" : "not ", i + 1, row->act->name);
        if (!did) {
            tell_failure();
            code = 1;
        }
        fflush(stdout);
    }
    uint32_t kills = 0, stops = 0;
    printf("# %-36s %7s %7s %7s %7s\n", "object/call", "instr.", "kills", "late", "stops");
    for (size_t i = 0; i < row_count; i++) {
        const struct row *row = &rows[i];
        printf("# %-36s %7u %7u %7u %7u\n", row->act->name, row->instructions, row->tries[KILL],
               row->tries[LATE], row->tries[STOP]);
        kills += row->tries[KILL] + row->tries[LATE];
        stops += row->tries[STOP];
    }
    printf("# %u kills and %u stops\n", kills, stops);
    return code;
}

/* ACT/AT/FATE, where ACT has slashes of its own. */
static int run_one(char *what)
{
    char *last = strrchr(what, '/');
    if (!last)
        plan_usage();
    *last = '\0';
    char *middle = strrchr(what, '/');
    if (!middle)
        plan_usage();
    *middle = '\0';
    add_rows(what);
    enum fate wanted = KILL;
    while (wanted < FATES && strcmp(fate_names[wanted], last + 1) != 0)
        wanted++;
    if (row_count != 1 || wanted == FATES)
        plan_usage();
    act = rows[0].act;
    bool did = rehearse();
    at = strtol(middle + 1, NULL, 10);
    fate = wanted;
    did = did && experiment();
    printf("1..1\n%sok 1 - %s\n", did ? "" : "not ", act->name);
    if (!did)
        tell_failure();
    return did ? 0 : 1;
}

int main(int argc, char **argv)
{
    plan_begin(argc, argv, "ACT/AT/kill|late|stop");
    stage.page =
        mmap(NULL, sizeof *stage.page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (stage.page == MAP_FAILED)
        return 1;
    snprintf(stage.name, sizeof stage.name, "t.%d.sync", (int)getpid());
    signal(SIGALRM, give_up);
    signal(SIGHUP, stop);
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    if (plan.one)
        return run_one(plan.one);
    add_rows(plan.pattern);
    return run_all();
}
