/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * words.h: the words of the explorer's memory: those of the ring that were ever touched, messages
 * among them, and one for each lock. Each has a number, a name, and a meaning.
 */
#ifndef EXPLORE_WORDS_H
#define EXPLORE_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "world.h"

enum word_kind {
    WORD_OTHER,
    WORD_COUNTER, /* for people */
    WORD_TAIL,
    WORD_HEAD,
    WORD_ORPHANS,
    WORD_BELL,
    WORD_SLOT,
    WORD_MESSAGE,
    WORD_INTENT,
    WORD_OWED,
    WORD_LOCK,   /* says who holds it, + 1 */
    WORD_FENCES, /* no word: who stores reads it, who makes others fence writes it */
    WORD_ORDER,  /* no word: what fences have in common on the weak machine */
    WORD_LOOKS, /* no word: that a message's word has been read, which comes before it is written */
};

struct word {
    char name[32];
    enum word_kind kind;
    int owner;     /* thread whose seat it is; -1: nobody's */
    uint64_t lock; /* its byte; of looks: whose they are */
};

extern struct word word_table[WORDS_MAX];
extern unsigned word_count;

/* For another configuration. */
void words_forget(void);

unsigned word_at(const void *at, unsigned size);
unsigned word_of_lock(uint64_t byte);
unsigned word_of_repair_lock(void);
unsigned word_of_fences(void);
unsigned word_of_order(void);

/* For this thread's loads of this word of a message: one of each, since who has seen one's last
   look may not have seen another's. */
unsigned word_of_looks(unsigned word, unsigned thread);

/* Whether this lies in a message in the ring. */
bool is_in_message(const void *at);

/* What a value of the word means. The string is good for the next few calls. */
const char *word_says(unsigned word, uint64_t value);

static inline words set_of(unsigned word)
{
    return word == NO_WORD ? 0 : (words)1 << word;
}

#endif
