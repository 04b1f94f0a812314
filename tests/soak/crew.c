/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* crew.c: those that take part, as the controller sees them: it starts, stops, kills and buries. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "soak.h"

static struct one {
    pid_t pid;          /* 0: nobody */
    uint32_t life, nth; /* in this round, and in this slot */
    uint64_t come_at;   /* when the next one is due */
    uint64_t go_on_at;  /* when it is stopped */
    uint64_t random_state;
} crew[SLOTS];
static uint32_t lives;

void crew_begin(void)
{
    lives = 0;
    for (unsigned i = 0; i < SLOTS; i++)
        crew[i] = (struct one){.random_state = mix(round_now.seed ^ (100 + i))};
}

static void start(unsigned slot)
{
    struct one *one = &crew[slot];
    sigset_t all, before;
    pid_t parent = getpid();
    if (lives + 1 >= LIVES)
        return;
    one->life = ++lives;
    one->nth++;
    atomic_store(&ledger->slot[slot].life, one->life);
    atomic_store(&ledger->slot[slot].leaves, 0);
    if (round_now.game->hand_over)
        round_now.game->hand_over();
    fflush(stdout);
    sigfillset(&all); /* until it ignores what is for the controller */
    sigprocmask(SIG_BLOCK, &all, &before);
    one->pid = fork();
    if (one->pid == 0)
        live(slot, one->life, one->nth, parent);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (round_now.game->handed_over)
        round_now.game->handed_over();
    if (one->pid < 0) {
        one->pid = 0;
        fail("no process could be made: %s", strerror(errno));
    }
}

void crew_start_from(unsigned slot)
{
    for (unsigned i = slot; i < round_now.slots; i++)
        if (crew[i].pid == 0)
            start(i);
}

/* It is dead, or has left. */
static void has_gone(unsigned slot, int status)
{
    struct one *one = &crew[slot];
    bool was_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && is_doomed(one->life);
    one->pid = 0;
    one->go_on_at = 0;
    one->come_at = now();
    if (draw_from(&one->random_state, 4) == 0) /* its seat stays empty for a while */
        one->come_at += draw_from(&one->random_state, 100000000);
    if (was_killed) {
        totals.kills++;
        if (round_now.game->bury)
            round_now.game->bury(slot, one->life);
    } else if (status == 0)
        totals.leaves += phase() == RUN;
    else
        fail("life %u ended by itself, with status %#x", one->life, (unsigned)status);
}

void crew_look(void)
{
    uint64_t time = now();
    for (unsigned i = 0; i < round_now.slots; i++) {
        struct one *one = &crew[i];
        int status;
        if (one->pid > 0 && waitpid(one->pid, &status, WNOHANG) == one->pid)
            has_gone(i, status);
        if (one->pid > 0 && one->go_on_at != 0 && one->go_on_at <= time) {
            kill(one->pid, SIGCONT);
            one->go_on_at = 0;
        }
        if (one->pid == 0 && phase() == RUN && one->come_at <= time)
            start(i);
    }
}

void crew_kill(unsigned slot, uint32_t inside)
{
    struct one *one = &crew[slot];
    pid_t gone;
    int status = 0;
    if (one->pid == 0)
        return;
    atomic_store(&ledger->doomed[one->life], 1);
    enum aim aim = inside % 2 ? AT_CALL : AT_HOLD;
    if (inside % 4 == 1 && round_now.game == &ring_game && slot >= round_now.first_out)
        aim = AT_MESSAGE;
    if (inside > 0 && one->go_on_at == 0)
        totals.inside += step_inside(one->pid, &ledger->slot[slot], inside - 1, aim);
    kill(one->pid, SIGKILL);
    do
        gone = waitpid(one->pid, &status, __WALL);
    while (gone < 0 ? errno == EINTR : WIFSTOPPED(status));
    has_gone(slot, status);
}

void crew_stop(unsigned slot, uint64_t ns)
{
    struct one *one = &crew[slot];
    if (one->pid == 0)
        return;
    kill(one->pid, SIGSTOP);
    one->go_on_at = now() + ns;
    totals.stops++;
}

void crew_signal(unsigned slot)
{
    if (crew[slot].pid > 0)
        kill(crew[slot].pid, SIGUSR1);
}

void crew_continue_all(void)
{
    for (unsigned i = 0; i < round_now.slots; i++) {
        if (crew[i].pid > 0)
            kill(crew[i].pid, SIGCONT);
        crew[i].go_on_at = 0;
    }
}

unsigned crew_alive(unsigned from, unsigned to)
{
    unsigned alive = 0;
    for (unsigned i = from; i < to; i++)
        alive += crew[i].pid > 0;
    return alive;
}

bool crew_has_others(void)
{
    bool has = round_now.first_out == round_now.slots;
    for (unsigned i = round_now.first_out; i < round_now.slots; i++)
        has |= crew[i].pid > 0 && !atomic_load(&ledger->slot[i].leaves);
    return has;
}

void crew_kill_all(void)
{
    for (unsigned i = 0; i < SLOTS; i++)
        if (crew[i].pid > 0) {
            kill(crew[i].pid, SIGKILL);
            waitpid(crew[i].pid, NULL, 0);
            crew[i].pid = 0;
        }
}

/* --- For people --- */

/* The first line of a file in /proc of this process that begins so. */
static void show_line(pid_t pid, const char *file, const char *beginning)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    FILE *stream = fopen(path, "re");
    bool found = false;
    while (stream && !found && fgets(line, sizeof line, stream))
        found = strncmp(line, beginning, strlen(beginning)) == 0;
    if (stream)
        fclose(stream);
    if (found)
        printf(", %s: %.*s", file, (int)strcspn(line, "\n"), line);
}

void crew_tell(void)
{
    for (unsigned i = 0; i < round_now.slots; i++) {
        const struct slot *slot = &ledger->slot[i];
        const char *doing = atomic_load(&slot->doing);
        printf("  slot %u, life %u, process %d: %s; moved %llu, word %#llx, in hand %#x", i,
               crew[i].life, (int)crew[i].pid, doing ? doing : "nothing yet",
               (unsigned long long)atomic_load(&slot->moved),
               (unsigned long long)atomic_load(&slot->word), atomic_load(&slot->in_hand));
        if (crew[i].pid > 0) {
            show_line(crew[i].pid, "status", "State");
            show_line(crew[i].pid, "wchan", "");
            show_line(crew[i].pid, "syscall", "");
        }
        printf("\n");
    }
}
