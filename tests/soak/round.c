/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* round.c: one round: what is played, what happens to the players, and how it ends. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "soak.h"

enum { HANG_S = 30, TOO_LONG_S = 300, NAP_NS = 300000 };

static volatile sig_atomic_t interrupted;

void interrupt_rounds(void)
{
    interrupted = 1;
}

bool is_interrupted(void)
{
    return interrupted;
}

/* Rings more often than what one synchronises by: there is more to them. */
static const struct {
    const struct game *game;
    unsigned kind;
} games[] = {{&ring_game, 0}, {&mutex_game, 0},  {&ring_game, 1}, {&event_game, 0},
             {&ring_game, 2}, {&rwlock_game, 0}, {&ring_game, 3}, {&gate_game, 0},
             {&ring_game, 5}, {&sem_game, 0},    {&ring_game, 2}, {&cell_game, 0},
             {&ring_game, 1}, {&event_game, 1},  {&ring_game, 0}, {&gate_game, 1},
             {&ring_game, 4}, {&event_game, 2},  {&ring_game, 5}, {&gate_game, 2}};
enum { GAMES = sizeof games / sizeof *games };

static bool decide(uint64_t seed, unsigned number)
{
    uint64_t state = mix(seed ^ mix(number));
    unsigned cycle = number / GAMES;
    round_now = (struct round){.game = games[number % GAMES].game,
                               .kind = games[number % GAMES].kind,
                               .seed = mix(seed ^ mix(number)),
                               .number = number,
                               .is_calm = (number % GAMES + cycle) % 3 == 0,
                               .tempo = draw_from(&state, 4)};
    round_now.ends_by_signal = round_now.game == &ring_game && !round_now.is_calm && cycle % 2;
    snprintf(round_now.name, sizeof round_now.name, "t.%d.soak", (int)getpid());
    memset((void *)ledger, 0, offsetof(struct ledger, stream));
    crew_begin();
    return round_now.game->begin();
}

/* --- What happens to the players --- */

/* As much is drawn whoever is there: so the same seed decides the same. */
static void disturb(uint64_t *state)
{
    static const uint32_t lengths_us[] = {100, 2000, 20000, 300000};
    unsigned slot = draw_from(state, round_now.slots);
    unsigned what = draw_from(state, 16);
    uint32_t depth = draw_from(state, 2) ? 20 : 150;
    uint32_t inside = 1 + draw_from(state, depth);
    bool aims = draw_from(state, 2);
    uint32_t most_us = lengths_us[draw_from(state, 4)];
    uint64_t ns = (uint64_t)draw_from(state, most_us) * 1000;
    if (what < 9) {
        if (!round_now.is_calm && ring_can_bury())
            crew_kill(slot, aims ? inside : 0);
    } else if (what < 13)
        crew_stop(slot, ns);
    else if (what == 13)
        for (unsigned i = 0; i < round_now.slots; i += 2)
            crew_stop(i, ns);
    else if (what == 14)
        crew_signal(slot);
    else if (round_now.game->help)
        round_now.game->help();
}

static void run(void)
{
    static const uint32_t pauses_us[] = {200, 1000, 5000, 30000};
    uint64_t state = mix(round_now.seed ^ 2);
    uint64_t ends = now() + (400 + draw_from(&state, 1200)) * UINT64_C(1000000), next = 0;
    crew_start_from(0);
    for (uint64_t time = now(); time < ends && is_well() && !interrupted; time = now()) {
        if (time >= next) {
            if (next != 0)
                disturb(&state);
            next = now() + (uint64_t)draw_from(&state, pauses_us[draw_from(&state, 4)]) * 1000;
        }
        crew_look();
        pass(NAP_NS);
    }
}

/* --- The end --- */

static uint64_t progress(void)
{
    uint64_t sum = crew_alive(0, SLOTS);
    for (unsigned i = 0; i < SLOTS; i++)
        sum += atomic_load(&ledger->slot[i].moved);
    return sum;
}

/* Nobody is killed or stopped any more. So something must come about, until they have gone. */
static bool comes_about(bool (*is_over)(void), void (*meanwhile)(void))
{
    uint64_t begun = now(), last = begun, seen = progress();
    while (is_well() && !is_over()) {
        crew_look();
        if (phase() == DRAIN && !crew_has_others())
            crew_start_from(round_now.first_out);
        uint64_t by_now = progress(), time = now();
        if (by_now != seen)
            last = time;
        seen = by_now;
        if (time - last > HANG_S * UINT64_C(1000000000))
            fail("HUNG: nothing has come about for %d s", HANG_S);
        if (time - begun > TOO_LONG_S * UINT64_C(1000000000))
            fail("HUNG: it has come to no end within %d s", TOO_LONG_S);
        if (meanwhile)
            meanwhile();
        pass(NAP_NS);
    }
    return is_well();
}

static bool have_first_gone(void)
{
    return crew_alive(0, round_now.first_out) == 0 && crew_has_others();
}

static bool have_all_gone(void)
{
    return crew_alive(0, round_now.slots) == 0;
}

static bool may_others_go(void)
{
    return !round_now.game->turn || round_now.game->turn();
}

static void nudge(void)
{
    if (round_now.game->nudge)
        round_now.game->nudge();
    for (unsigned i = 0; i < round_now.slots && round_now.ends_by_signal; i++)
        crew_signal(i);
    pass(2000000);
}

/* One receiver more dies, with a message in hand if that can be; and nobody who comes anew, and so
   looks everywhere, takes what the dead have left, unless there is nobody else. Of other games
   all are there: whoever has died leaves nothing undone that the next would not do. */
static void last_death(void)
{
    crew_look();
    if (round_now.game != &ring_game || round_now.is_calm) {
        crew_start_from(0);
        return;
    }
    crew_kill(round_now.slots - 1, 2 + 2 * (uint32_t)(round_now.seed % 8)); /* AT_HOLD */
}

static void come_to_an_end(void)
{
    last_death();
    atomic_store(&ledger->phase, DRAIN);
    crew_continue_all();
    if (!comes_about(have_first_gone, NULL) || !comes_about(may_others_go, NULL))
        return;
    atomic_store(&ledger->phase, STOP);
    if (comes_about(have_all_gone, nudge))
        round_now.game->judge();
}

/* --- What is left behind --- */

static void look_for_litter(unsigned descriptors_before)
{
    DIR *directory = opendir("/dev/shm");
    const struct dirent *entry;
    while (directory && (entry = readdir(directory)))
        if (strstr(entry->d_name, round_now.name)) {
            fail("LITTER: /dev/shm/%s", entry->d_name);
            unlinkat(dirfd(directory), entry->d_name, 0);
        }
    if (directory)
        closedir(directory);
    if (descriptors() != descriptors_before)
        fail("LITTER: the controller had %u descriptors open, and has %u", descriptors_before,
             descriptors());
    if (waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD)
        fail("LITTER: a process");
}

static void tell(void)
{
    printf("FAILED: %s\n  round %u, %s%s, tempo %u, phase %d\n", ledger->first_failure,
           round_now.number, round_now.game->noun, round_now.is_calm ? ", calm" : "",
           round_now.tempo, (int)phase());
    if (round_now.game->tell)
        round_now.game->tell();
    crew_tell();
    fflush(stdout);
}

bool run_round(uint64_t seed, unsigned number)
{
    unsigned before = descriptors();
    bool has_begun = decide(seed, number);
    alarm(2 * TOO_LONG_S); /* should the controller itself hang */
    if (has_begun) {
        run();
        come_to_an_end();
    }
    bool was_well = is_well();
    if (!was_well)
        tell();
    crew_kill_all();
    if (has_begun)
        round_now.game->end();
    look_for_litter(before);
    if (was_well && !is_well())
        tell();
    totals.rounds++;
    totals.refused += atomic_load(&ledger->refused);
    totals.not_refused += atomic_load(&ledger->not_refused);
    return is_well();
}
