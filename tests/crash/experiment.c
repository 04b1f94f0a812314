/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* experiment.c: one ring, one victim, and one death or stop before one of its instructions. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crash.h"

/* --- How --- */

static const char *const way_names[WAYS] = {"repair", "wait", "poll"};

const char *how_name(struct how how)
{
    static char text[64];
    if (how.kills)
        snprintf(text, sizeof text, "kill%s%s,%s%s", how.late ? ",late" : "",
                 how.asleep ? ",asleep" : "", way_names[how.way], how.after ? ",after" : "");
    else
        snprintf(text, sizeof text, "stop%s", how.full ? ",full" : "");
    return text;
}

bool parse_how(const char *text, struct how *how)
{
    *how = (struct how){.kills = true};
    const struct {
        const char *word;
        bool *flag;
    } words[] = {{"kill", &how->kills},
                 {"late", &how->late},
                 {"after", &how->after},
                 {"full", &how->full},
                 {"asleep", &how->asleep}};
    bool is_known = true;
    while (*text && is_known) {
        size_t length = strcspn(text, ",");
        is_known = length == 4 && strncmp(text, "stop", length) == 0;
        if (is_known)
            how->kills = false;
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (strlen(words[i].word) == length && strncmp(text, words[i].word, length) == 0)
                is_known = *words[i].flag = true;
        for (int i = 0; i < WAYS; i++)
            if (strlen(way_names[i]) == length && strncmp(text, way_names[i], length) == 0) {
                is_known = true;
                how->way = (enum way)i;
            }
        text += length + (text[length] == ',');
    }
    return is_known;
}

/* --- What holds about one that is stopped --- */

static void check_state(struct world *w, rbx_end_state wanted)
{
    int32_t tx = atomic_load(&w->page->seat[0]), rx = atomic_load(&w->page->seat[1]);
    rbx_end_info seat = {.state = wanted};
    if (w->scenario->flags & CLOSES)
        return;
    if (tx >= 0)
        rbx_ring_sender(w->ring, (unsigned)tx, &seat);
    if (rx >= 0)
        rbx_ring_receiver(w->ring, (unsigned)rx, &seat);
    if (seat.state != wanted)
        blame(w, "the victim's seat is in state %d, not %d", (int)seat.state, (int)wanted);
}

/* Nothing of its own has been reclaimed: only of those that have died before. */
static void check_untouched(struct world *w)
{
    check_state(w, RBX_END_ALIVE);
    if (!world_is_locked_by(w, w->victim.pid)) {
        int err = rbx_ring_repair(w->ring, NULL);
        bool may_be_at_it = w->scenario->flags & (REPAIRS | OPENS);
        if (err < 0 && !(err == -EAGAIN && may_be_at_it))
            blame(w, "rbx_ring_repair answered %d: %s", err, rbx_last_error());
    }
    rbx_ring_info info;
    rbx_ring_describe(w->ring, &info);
    const rbx_repaired *is = &info.repaired, *was = &w->before;
    unsigned tx = w->died[0], rx = w->died[1];
    unsigned places = w->died_holding[0], messages = w->died_holding[1];
    if (is->senders > was->senders + tx || is->receivers > was->receivers + rx ||
        is->tombstones > was->tombstones + places ||
        is->redelivered > was->redelivered + messages || is->dropped > was->dropped + messages ||
        is->returned > was->returned + places + messages)
        blame(w,
              "with nobody dead, %llu senders and %llu receivers were repaired: %llu tombstones, "
              "%llu redelivered, %llu dropped, %llu returned",
              (unsigned long long)is->senders, (unsigned long long)is->receivers,
              (unsigned long long)is->tombstones, (unsigned long long)is->redelivered,
              (unsigned long long)is->dropped, (unsigned long long)is->returned);
}

static void check_counts(struct world *w)
{
    rbx_ring_info info;
    rbx_ring_describe(w->ring, &info);
    bool may_be_closed = w->scenario->flags & (OPENS | CLOSES);
    unsigned victim[2] = {w->how.kills && w->scenario->end == TX_END,
                          w->how.kills && w->scenario->end == RX_END};
    uint64_t died[2] = {info.repaired.senders, info.repaired.receivers};
    for (int i = 0; i < 2; i++) {
        unsigned most = w->kind == SPSC ? 0 : w->died[i] + victim[i];
        unsigned least = most - (w->kind != SPSC && may_be_closed && victim[i]);
        if (died[i] < least || died[i] > most)
            blame(w, "the ring has counted %llu dead %s, not %u", (unsigned long long)died[i],
                  i == 0 ? "senders" : "receivers", most);
    }
    unsigned most = w->strays_allowed;
    if (info.repaired.redelivered > most || (w->kind == DROP && info.repaired.redelivered > 0))
        blame(w, "%llu messages were given to another, not %u at most",
              (unsigned long long)info.repaired.redelivered, most);
    unsigned tickets = w->died_holding[0] + (victim[0] ? BATCH : 0);
    if (info.repaired.tombstones > tickets)
        blame(w, "there were %llu tombstones, not %u at most",
              (unsigned long long)info.repaired.tombstones, tickets);
}

/* --- Kill --- */

static void open_again(struct world *w)
{
    for (int i = 0; i < 2; i++) {
        rbx_tx_close(&w->tx[i]);
        rbx_rx_close(&w->rx[i]);
    }
    world_open_ends(w);
}

/* The sleeper gets the victim's message, if that was sent, though the victim is stopped or dead; or
   else the next one. */
static void kill_beside_a_sleeper(struct world *w)
{
    if (w->known_sent > 0 && w->how.late && !world_is_locked_by(w, w->victim.pid))
        wake_up(w);
    victim_kill(w);
    if (w->known_sent == 0 && !w->failed)
        world_send(w, FIRST);
    if (is_anyone_waiting())
        wake_up(w);
}

static void run_kill(struct world *w)
{
    rbx_ring_info info;
    ledger_settle_takes(w);
    if (w->how.asleep)
        kill_beside_a_sleeper(w);
    else if (w->how.late && !world_is_locked_by(w, w->victim.pid)) {
        check_untouched(w);
        run_beside(w);
        check_untouched(w);
    }
    ledger_note_gone(w);
    if (w->failed)
        return;
    if (w->how.way == BY_WAITING && !w->how.after && world_has_rx(w))
        start_waiting(w);
    victim_kill(w);
    if (!is_anyone_waiting() && !w->how.asleep)
        check_state(w, RBX_END_DEAD);
    rbx_ring_describe(w->ring, &info);
    if (info.shut) {
        run_out(w);
    } else {
        if (w->how.after) {
            world_release_kept(w);
            open_again(w);
        }
        world_open_ends(w);
        if (!w->failed || is_anyone_waiting())
            run_after(w);
        if (!w->failed)
            check_capacity(w);
    }
}

/* --- Stop --- */

static void *run_beside_in_thread(void *world)
{
    run_beside(world);
    return NULL;
}

static void check_answer(struct world *w)
{
    const struct scenario *s = w->scenario;
    int answer = atomic_load(&w->page->answer);
    bool full = w->filled > 0, refused = s->flags & REFUSED;
    if (answer != 0 && answer != -EAGAIN && answer != -ETIMEDOUT)
        blame(w, "the call answered %d", answer);
    if (s->sends > 0 && !w->how.full && !refused && atomic_load(&w->page->sent) == 0)
        blame(w, "the ring was empty, and nothing was sent (%d)", answer);
    if (s->takes > 0 && full && !refused && atomic_load(&w->page->taken) == 0)
        blame(w, "the ring was full, and nothing was taken (%d)", answer);
}

static void run_stop(struct world *w)
{
    pthread_t thread;
    bool is_locked = world_is_locked_by(w, w->victim.pid), is_running = false;
    check_untouched(w);
    w->goes_on = is_locked;
    for (unsigned i = 0; is_locked && i < w->scenario->sends; i++) /* it will */
        w->entries[w->out + i].fate = FLIGHT;
    if (is_locked) /* they must wait for it */
        is_running = pthread_create(&thread, NULL, run_beside_in_thread, w) == 0;
    else
        run_beside(w);
    if (!is_running && !w->failed) {
        check_untouched(w);
        if (w->how.full && world_has_tx(w))
            w->filled = world_fill(w);
    }
    if ((!w->failed || is_running) && victim_finish(w) && !is_running)
        check_answer(w);
    if (is_running)
        pthread_join(thread, NULL);
    ledger_settle_sends(w);
    ledger_settle_takes(w);
    if (w->failed)
        return;
    victim_leave(w);
    rbx_ring_info info;
    rbx_ring_describe(w->ring, &info);
    if (info.shut) {
        run_out(w);
        return;
    }
    world_open_ends(w);
    world_release_kept(w);
    world_drain(w);
    check_untouched(w);
    if (ledger_outstanding(w) > 0 && w->died[1] == 0)
        blame(w, "all goes on, and %zu messages are missing", ledger_outstanding(w));
    if (!w->failed)
        check_capacity(w);
}

/* --- Both --- */

static void check_problem(struct world *w)
{
    int problem = atomic_load(&w->page->problem);
    if (problem != 0)
        blame(w, "the victim has met with something that must not be: calls.c:%d (%d)", problem,
              (int)atomic_load(&w->page->answer));
}

static void begin(struct world *w, const struct scenario *s, enum kind kind, unsigned capacity)
{
    w->scenario = s;
    w->kind = kind;
    w->capacity = capacity;
    w->failed = w->goes_on = false;
    w->page = page;
    world_begin(w);
    if (w->how.asleep && !w->failed)
        fall_asleep(w);
    if (w->failed || !victim_start(w))
        return;
    ledger_settle_sends(w);
    if (s->meanwhile)
        s->meanwhile(w);
    ledger_note_waiting(w);
    w->strays_allowed += s->holds;
    w->deaths++;
    rbx_ring_info info;
    rbx_ring_describe(w->ring, &info);
    w->before = info.repaired;
}

static bool end(struct world *w)
{
    check_problem(w);
    if (!w->failed) {
        check_seats(w);
        ledger_verdict(w);
        check_counts(w);
    }
    if (!w->failed)
        world_end(w);
    if (w->failed)
        experiment_clean_up(w);
    return !w->failed;
}

bool experiment(struct world *w, const struct scenario *s, enum kind kind, unsigned capacity,
                struct how how, long at)
{
    w->how = how;
    w->at = at;
    begin(w, s, kind, capacity);
    if (!w->failed && victim_run_to(w, at)) {
        check_problem(w);
        ledger_settle_sends(w);
        if (how.kills)
            run_kill(w);
        else
            run_stop(w);
    }
    return end(w);
}

bool rehearse(struct world *w, const struct scenario *s, enum kind kind, unsigned capacity)
{
    w->how = (struct how){.kills = false};
    w->at = -1;
    begin(w, s, kind, capacity);
    if (!w->failed && victim_record(w)) {
        ledger_settle_sends(w);
        run_stop(w);
    }
    return end(w);
}

void experiment_clean_up(struct world *w)
{
    char path[96];
    struct world unwanted = *w; /* keeps the first failure as it is */
    victim_kill(&unwanted);
    w->victim.pid = 0;
    snprintf(path, sizeof path, "/dev/shm/ringbox.t.%d.crash", (int)getpid());
    unlink(path);
}
