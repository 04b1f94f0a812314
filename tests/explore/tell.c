/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "tell.h"

#include <stdio.h>

#include "scene.h"
#include "words.h"

bool telling;

const char *thread_name(unsigned thread)
{
    static char names[4][24];
    static unsigned turn;
    unsigned number = 1;
    if (thread >= THREADS_MAX)
        return "the observer";
    char end = scene->roles[thread].end;
    for (unsigned t = 0; t < thread; t++)
        number += scene->roles[t].end == end;
    char *name = names[turn++ % 4];
    snprintf(name, sizeof *names, "%s %u",
             end == 's'   ? "sender"
             : end == 'r' ? "receiver"
                          : "bystander",
             number);
    return name;
}

void tell_line(const char *who, const char *does, const char *what, const char *says)
{
    printf("#     %-13s %-27s %-20s %s\n", who, does, what, says);
}

void tell(const char *does, unsigned word, uint64_t value)
{
    if (word != NO_WORD && word_table[word].kind == WORD_COUNTER)
        return;
    if (word == NO_WORD)
        tell_line(thread_name(current), does, "", "");
    else
        tell_line(thread_name(current), does, word_table[word].name, word_says(word, value));
}
