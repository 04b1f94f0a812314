/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "mutant.h"

#include <string.h>

#include "memory.h"
#include "scene.h"
#include "words.h"

enum mutant mutant;

/* --- Stored or copied too late --- */

void mutant_keep(unsigned word, uint64_t value)
{
    struct thread *self = &world.threads[current];
    mutant_catch_up();
    self->late = (struct store){.word = (uint8_t)word, .value = value};
}

void mutant_catch_up(void)
{
    struct thread *self = &world.threads[current];
    struct store late = self->late;
    self->late.word = NO_WORD;
    if (late.word != NO_WORD)
        memory_store(late.word, late.value, EXPLORE_RELAXED);
    void *to = self->late_copy;
    self->late_copy = NULL;
    if (to) {
        uint64_t value = memory_load(self->late_copied, EXPLORE_RELAXED);
        memcpy(to, &value, sizeof value);
    }
}

bool mutant_keeps(unsigned word, uint64_t value)
{
    enum word_kind kind = word_table[word].kind;
    if (!exploring || word_table[word].owner != (int)current)
        return exploring && ((mutant == MUTANT_MESSAGE_AFTER_WORD && kind == WORD_MESSAGE) ||
                             (mutant == MUTANT_WORD_AFTER_INTENT && kind == WORD_SLOT));
    return mutant == MUTANT_INTENT_AFTER_TICKET && kind == WORD_INTENT && value != 0;
}

/* The word has been written: what was to come before it comes now. */
void mutant_after(unsigned word)
{
    enum word_kind kind = word_table[word].kind;
    if (exploring &&
        ((mutant == MUTANT_MESSAGE_AFTER_WORD && kind == WORD_SLOT) ||
         (mutant == MUTANT_COPY_AFTER_WORD && kind == WORD_SLOT) ||
         (mutant == MUTANT_WORD_AFTER_INTENT && kind == WORD_INTENT) ||
         (mutant == MUTANT_INTENT_AFTER_TICKET && (kind == WORD_TAIL || kind == WORD_HEAD))))
        mutant_catch_up();
}

static uint64_t head_now(void)
{
    for (unsigned i = 0; i < word_count; i++)
        if (word_table[i].kind == WORD_HEAD)
            return world.memory[i];
    return 0;
}

/* Another's note, as the blind one reads it; tail, as one does who is in a hurry. */
uint64_t mutant_sees(unsigned word, uint64_t value)
{
    const struct word *w = &word_table[word];
    if (exploring && mutant == MUTANT_EARLY_END && w->kind == WORD_TAIL && is_receiver(current))
        return head_now();
    bool is_note = w->kind == WORD_INTENT || w->kind == WORD_OWED;
    bool is_anothers = w->owner >= 0 && w->owner != (int)current;
    return exploring && mutant == MUTANT_BLIND_REPAIR && is_note && is_anothers &&
                   world.threads[w->owner].state < THREAD_HALTED
               ? 0
               : value;
}

/* --- Other faults --- */

/* What a mutant stores though the word may have changed. */
bool mutant_stores_anyway(unsigned word, uint64_t value)
{
    if (!exploring || word_table[word].kind != WORD_SLOT)
        return false;
    return mutant == MUTANT_CARELESS_REPAIR ? word_table[word_of_repair_lock()].kind == WORD_LOCK &&
                                                  world.memory[word_of_repair_lock()] == current + 1
                                            : mutant == MUTANT_BLIND_PUBLISH && (value & 0xff) == 1;
}

uint64_t mutant_stores(unsigned word, uint64_t value)
{
    return exploring && mutant == MUTANT_UNCOUNTED_BELL && word_table[word].kind == WORD_BELL
               ? value & RBX_BELL_STATE
               : value;
}
