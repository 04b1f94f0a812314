/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* mutant.h: faults that the layer can make the library have, to see that they are found. */
#ifndef EXPLORE_MUTANT_H
#define EXPLORE_MUTANT_H

#include <stdbool.h>
#include <stdint.h>

enum mutant {
    NO_MUTANT,
    MUTANT_MESSAGE_AFTER_WORD,   /* M1: a message is stored after the word that publishes it */
    MUTANT_COPY_AFTER_WORD,      /* M2: and read after the word that frees its slot */
    MUTANT_INTENT_AFTER_TICKET,  /* M3: an intent is stored after the CAS of the index */
    MUTANT_WORD_AFTER_INTENT,    /* M4: a word is stored after the next intent */
    MUTANT_NO_MEMBARRIER,        /* B1: nobody fences for a sleeper */
    MUTANT_TORN_TICKET,          /* a CAS of an index looks first, and stores then */
    MUTANT_BLIND_REPAIR,         /* repair sees no intents of those who live */
    MUTANT_HASTY_REPAIR,         /* repair takes every sender for dead */
    MUTANT_CARELESS_REPAIR,      /* repair stores words, whatever they say by then */
    MUTANT_SILENT_ORPHANS,       /* nobody hears of orphans */
    MUTANT_LEAVER_SILENCES_BELL, /* who has slept for too long takes ASLEEP away */
    MUTANT_UNCOUNTED_BELL,       /* a bell does not count how often it has rung */
    MUTANT_BLIND_PUBLISH,        /* strict: a sender stores FULL, whatever the word says */
    MUTANT_EARLY_END,            /* a receiver takes head for tail: nothing more will come */
    MUTANTS
};

extern enum mutant mutant;

/* Whether this store is one to be kept for later; and keeps it. */
bool mutant_keeps(unsigned word, uint64_t value);
void mutant_keep(unsigned word, uint64_t value);
/* The word has been written: what was to come before it may come now. Or, whatever it is. */
void mutant_after(unsigned word);
void mutant_catch_up(void);

/* What the current thread sees of a word, and what it writes instead of this value. */
uint64_t mutant_sees(unsigned word, uint64_t value);
uint64_t mutant_stores(unsigned word, uint64_t value);
/* Whether a swap of the word stores though it says something else. */
bool mutant_stores_anyway(unsigned word, uint64_t value);

#endif
