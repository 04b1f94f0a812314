/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ring-judge.c: what became of every message. One whose send had returned was received, once; or it
 * was in the hands of a receiver that died inside the call that took it: there it lies in the
 * ledger, whole, and of a batch the first so many are lost. In a ring with RBX_DROP it may have
 * been dropped, and the ring has counted that.
 */
#include <stdio.h>
#include <string.h>

#include "soak.h"

enum { LOST = UINT16_MAX, DOUBTS = 1 << 17, NOT_WHOLE = 0 };

/* A message in the hands of a receiver that died in the call. */
static struct doubt {
    uint16_t stream; /* NOT_WHOLE: which one is not known */
    uint32_t number;
    uint32_t call; /* the messages of one call stand together, in order */
} doubts[DOUBTS];
static unsigned doubt_count, call_count;

void ring_forget(void)
{
    unsigned streams = atomic_load(&ledger->streams);
    for (unsigned i = 1; i <= streams && i < STREAMS; i++)
        memset((void *)&ledger->stream[i], 0, sizeof ledger->stream[i]);
    atomic_store(&ledger->streams, 0);
    doubt_count = call_count = 0;
}

bool ring_can_bury(void)
{
    return doubt_count + SLOTS * BATCH < DOUBTS;
}

/* --- When a receiver has died --- */

/* It may have been killed while it copied the message out: so that one, and those behind it, it
   leaves to others. */
static void note_doubt(const char *message)
{
    uint64_t word;
    unsigned stream;
    uint32_t number;
    memcpy(&word, message, sizeof word);
    if (word == 0)
        return;
    if (!read_message(message, &stream, &number))
        stream = number = NOT_WHOLE;
    doubts[doubt_count++] = (struct doubt){(uint16_t)stream, number, call_count};
}

/* It had received this, and perhaps said so. */
static void finish_mark(const char *message, uint32_t life)
{
    unsigned stream;
    uint32_t number;
    if (!read_message(message, &stream, &number)) {
        fail("TORN: a receiver died when it had received a message that is not whole");
        return;
    }
    uint32_t before = atomic_exchange(&ledger->stream[stream].got[number], (uint16_t)life);
    if (before != 0 && before != life)
        fail("DUPLICATE: message %u of stream %u came to life %u, which died, and to life %u",
             number, stream, life, before);
}

void ring_bury(unsigned number, uint32_t life)
{
    struct slot *slot = &ledger->slot[number];
    if (number < round_now.first_out)
        return;
    uint64_t word = atomic_load(&slot->word);
    size_t n = (uint32_t)word;
    for (size_t i = 0; i < n && is_well(); i++) {
        const char *message = slot->buffer + i * ring_shape.message_size;
        if (word >> 32 == CALLING || word >> 32 == RELEASING)
            note_doubt(message);
        else if (word >> 32 == RETURNED)
            finish_mark(message, life);
    }
    call_count++;
    atomic_store(&slot->word, 0);
}

/* --- When all have gone --- */

static uint16_t state_of(const struct doubt *doubt)
{
    return atomic_load(&ledger->stream[doubt->stream].got[doubt->number]);
}

static bool is_in_another_call(const struct doubt *doubt)
{
    for (unsigned i = 0; i < doubt_count; i++)
        if (doubts[i].call != doubt->call && doubts[i].stream == doubt->stream &&
            doubts[i].number == doubt->number)
            return true;
    return false;
}

/* What is lost lay there whole, and came before what the same call has left to others. */
static uint64_t judge_the_dead(void)
{
    uint64_t lost = 0;
    bool left = false;
    for (unsigned i = 0; i < doubt_count; i++) {
        struct doubt *doubt = &doubts[i];
        _Atomic uint16_t *got = &ledger->stream[doubt->stream].got[doubt->number];
        if (i == 0 || doubt->call != doubts[i - 1].call) {
            left = false;
            totals.ambiguous++;
        }
        if (doubt->stream == NOT_WHOLE || (state_of(doubt) != 0 && state_of(doubt) != LOST)) {
            left = true;
            continue;
        }
        if (left && !is_in_another_call(doubt) && !(ring_shape.flags & RBX_DROP))
            fail(
                "LOST: message %u of stream %u, which a receiver that died had behind what it left",
                doubt->number, doubt->stream);
        lost += state_of(doubt) == 0;
        atomic_store(got, LOST);
    }
    return lost;
}

/* Whose, so many, and the first of those that are missing. */
struct missing {
    uint64_t certain, perhaps;
    unsigned stream;
    uint32_t number;
};

static void judge_stream(unsigned number, struct missing *missing)
{
    const struct stream *stream = &ledger->stream[number];
    uint64_t word = atomic_load(&stream->word);
    uint32_t certain = (uint32_t)(word >> 16), may = (uint32_t)(word & 0xffff), holes = 0;
    for (uint32_t i = 0; i < STREAM; i++) {
        bool is_there = atomic_load_explicit(&stream->got[i], memory_order_relaxed) != 0;
        if (is_there && i >= certain + may)
            fail("message %u of stream %u was received, and never sent", i, number);
        if (is_there && holes > 0 && !(ring_shape.flags & RBX_DROP))
            fail("a sender died in a batch, and message %u of stream %u was sent, but %u before it "
                 "were not",
                 i, number, holes);
        if (is_there || i >= certain + may)
            continue;
        if (i >= certain) {
            holes++;
            missing->perhaps++;
        } else if (missing->certain++ == 0) {
            missing->stream = number;
            missing->number = i;
        }
    }
}

void ring_judge(void)
{
    rbx_ring_info info;
    struct missing missing = {0};
    unsigned streams = atomic_load(&ledger->streams);
    rbx_ring_describe(ring_now, &info);
    uint64_t lost = judge_the_dead();
    for (unsigned i = 1; i <= streams && i < STREAMS; i++)
        judge_stream(i, &missing);
    if (info.repaired.dropped > 0 && !(ring_shape.flags & RBX_DROP))
        fail("LOST: %llu messages were dropped, in a ring that drops none",
             (unsigned long long)info.repaired.dropped);
    if (missing.certain > info.repaired.dropped)
        fail(
            "LOST: %llu messages that were sent, and %llu were dropped; the first is message %u of "
            "stream %u",
            (unsigned long long)missing.certain, (unsigned long long)info.repaired.dropped,
            missing.number, missing.stream);
    if (info.repaired.dropped > missing.certain + missing.perhaps + lost)
        fail("%llu messages were dropped, but only %llu are missing",
             (unsigned long long)info.repaired.dropped,
             (unsigned long long)(missing.certain + missing.perhaps + lost));
    uint64_t allowed = info.repaired.redelivered + atomic_load(&ledger->put_back);
    if (atomic_load(&ledger->out_of_turn) > allowed)
        fail("OUT OF TURN: %llu messages, and %llu were put back",
             (unsigned long long)atomic_load(&ledger->out_of_turn), (unsigned long long)allowed);
    totals.lost_at_end += lost;
    totals.redelivered += info.repaired.redelivered;
    totals.dropped += info.repaired.dropped;
    totals.out_of_turn += atomic_load(&ledger->out_of_turn);
    for (unsigned i = round_now.first_out; i < round_now.slots; i++)
        totals.messages += atomic_load(&ledger->slot[i].moved);
}
