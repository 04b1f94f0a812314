/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ledger.c: every message of an experiment, and the verdict.
 *
 * A message is sent once its send has returned 0. It must be received once: by a survivor, or by a
 * call of the victim's that has returned. What a killed victim's call had in flight is sent or not,
 * the first so many of a batch. What that call may have received is received again, once; or it is
 * gone with the call, the first so many of a batch: exactly as many as the ring says.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../support/chance.h"
#include "crash.h"

void blame(struct world *w, const char *format, ...)
{
    if (w->failed)
        return;
    w->failed = true;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(w->failure, sizeof w->failure, format, arguments);
    va_end(arguments);
}

/* --- Messages --- */

/* All of a message follows from its first word. */
static void write_message(void *message, size_t size, uint64_t first)
{
    for (size_t i = 0; i < size / 8; i++) {
        uint64_t word = i == 0 ? first : mix(first + i);
        memcpy((char *)message + 8 * i, &word, 8);
    }
}

void ledger_begin(struct world *w)
{
    static uint64_t experiments;
    w->nonce = ++experiments & 0xffffff;
    w->count = 0;
    memset(w->last, 0, sizeof w->last);
    w->strays = w->strays_allowed = 0;
    w->waits = 0;
    w->gone = w->gone_at_most = 0;
}

size_t ledger_make(struct world *w, enum sender sender, void *message)
{
    size_t number = w->count++;
    if (number >= MESSAGES) {
        blame(w, "this harness is prepared for %d messages only", (int)MESSAGES);
        number = w->count = 0;
    }
    w->entries[number] = (struct entry){.sender = (uint8_t)sender};
    write_message(message, message_size(w), w->nonce << 40 | (uint64_t)number << 8 | sender);
    return number;
}

bool ledger_check(struct world *w, const void *message, size_t *number)
{
    char whole[MESSAGE_MAX];
    size_t size = message_size(w);
    uint64_t first;
    memcpy(&first, message, 8);
    *number = (size_t)(first >> 8) & 0xffffffff;
    write_message(whole, size, first);
    if (first >> 40 != w->nonce || *number >= w->count ||
        w->entries[*number].sender != (first & 0xff)) {
        blame(w, "a message came that nobody has sent: %#llx", (unsigned long long)first);
        return false;
    }
    if (memcmp(whole, message, size) != 0) {
        blame(w, "message %zu came damaged", *number);
        return false;
    }
    return true;
}

void ledger_received(struct world *w, const void *message, bool by_victim)
{
    size_t number;
    if (!ledger_check(w, message, &number))
        return;
    struct entry *entry = &w->entries[number];
    if (entry->received++ > 0)
        blame(w, "message %zu came twice%s", number, by_victim ? ", now to the victim" : "");
    if (entry->fate == NOT_SENT)
        blame(w, "message %zu came, and was not sent", number);
    if (by_victim)
        return;
    size_t *last = &w->last[entry->sender];
    if (number + 1 > *last)
        *last = number + 1;
    else if (++w->strays > w->strays_allowed)
        blame(w, "message %zu of a sender came after its message %zu", number, *last - 1);
}

size_t ledger_outstanding(const struct world *w)
{
    size_t outstanding = 0;
    for (size_t i = 0; i < w->count; i++)
        outstanding += w->entries[i].fate == SENT && !w->entries[i].received;
    return outstanding;
}

/* --- What the victim did --- */

void ledger_note_waiting(struct world *w)
{
    w->waits = 0;
    for (size_t i = 0; i < w->count && w->waits < sizeof w->waiting / sizeof *w->waiting; i++)
        if (w->entries[i].fate == SENT && !w->entries[i].received)
            w->waiting[w->waits++] = i;
}

void ledger_settle_sends(struct world *w)
{
    uint32_t sent = atomic_load(&w->page->sent), may_send = atomic_load(&w->page->may_send);
    for (uint32_t i = 0; i < BATCH; i++) {
        struct entry *entry = &w->entries[w->out + i];
        entry->fate = i < sent ? SENT : i < may_send ? FLIGHT : NOT_SENT;
        if (entry->fate == NOT_SENT && entry->received)
            blame(w, "the victim's message %u came, and was not sent", i);
    }
}

void ledger_settle_takes(struct world *w)
{
    uint32_t taken = atomic_load(&w->page->taken);
    for (uint32_t i = 0; i < taken && i < BATCH; i++)
        ledger_received(w, w->page->in + i * message_size(w), true);
}

void ledger_note_gone(struct world *w)
{
    uint32_t may_take = atomic_load(&w->page->may_take), taken = atomic_load(&w->page->taken);
    uint32_t most = may_take > taken ? may_take - taken : 0;
    size_t outstanding = ledger_outstanding(w);
    uint64_t held = world_held(w);
    w->gone = w->gone_at_most = 0;
    if (most == 0)
        return;
    /* What the ring says is not there any more. Places without a message are there, too. */
    if (outstanding > held)
        w->gone = (unsigned)(outstanding - held);
    w->gone_at_most = outstanding + w->voids > held ? (unsigned)(outstanding + w->voids - held) : 0;
    if (w->gone_at_most > most)
        w->gone_at_most = most;
    if (w->gone > most)
        blame(w,
              "%zu messages should be there, %u of them in the victim's hands at most; the ring "
              "says %llu are",
              outstanding, most, (unsigned long long)held);
}

/* --- The verdict --- */

/* Of the messages that the victim's call may have had in hand the first so many are lost. */
static void check_lost(struct world *w, unsigned lost)
{
    bool may_be_any = w->how.late || !w->how.kills;
    for (unsigned i = 0; i < lost && !may_be_any; i++) {
        unsigned later = 0;
        for (unsigned j = i; j < w->waits; j++)
            later += w->entries[w->waiting[j]].received == 0;
        if (i >= w->waits || later != lost - i)
            blame(w, "%u messages are lost, and they are not the first that waited", lost);
    }
}

static unsigned count_in_flight(struct world *w)
{
    unsigned sent = 0;
    for (unsigned i = 0; i < BATCH; i++) {
        struct entry *entry = &w->entries[w->out + i];
        if (entry->fate != FLIGHT && entry->fate != SENT)
            continue;
        if (entry->received && sent < i)
            blame(w, "message %u of a batch was sent, and message %u was not", i, sent);
        sent += entry->received;
    }
    unsigned room = w->slots > w->waits ? w->slots - (unsigned)w->waits : 0;
    if (w->kind == LOCKED && w->how.kills && sent > 0 && sent < BATCH && sent < room &&
        w->scenario->sends == BATCH)
        blame(w, "%u messages of a batch were sent under the lock", sent);
    return sent;
}

void ledger_verdict(struct world *w)
{
    rbx_ring_info info;
    rbx_ring_describe(w->ring, &info);
    unsigned lost = 0;
    for (size_t i = 0; i < w->count; i++)
        lost += w->entries[i].fate == SENT && !w->entries[i].received;
    uint64_t dropped = info.repaired.dropped;
    if (lost < w->gone + dropped || lost > w->gone_at_most + dropped)
        blame(w,
              "%u messages never came; the ring said that %u (or up to %u) had been received, and "
              "%llu dropped",
              lost, w->gone, w->gone_at_most, (unsigned long long)dropped);
    if (dropped > (w->kind == DROP ? w->scenario->holds + w->died_holding[1] : 0))
        blame(w, "%llu messages were dropped", (unsigned long long)dropped);
    check_lost(w, lost);
    w->was_sent = count_in_flight(w);
    w->was_lost = lost;
    if (info.sent != info.received)
        blame(w, "the ring is empty, and says that it has sent %llu and received %llu",
              (unsigned long long)info.sent, (unsigned long long)info.received);
}
