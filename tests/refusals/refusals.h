/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* refusals.h: what is done while the system refuses one call after the other. */
#ifndef RBX_TESTS_REFUSALS_H
#define RBX_TESTS_REFUSALS_H

#include <stdbool.h>
#include <stddef.h>

/* Does something from beginning to end: 0, or the first error. What it has opened it closes. */
struct act {
    const char *name;
    int (*run)(void);
};

/* What an act answers that this system is not made for. */
enum { NOT_HERE = 1 };

extern const struct act box_acts[], ring_acts[], sync_acts[], loop_acts[];
extern const size_t box_act_count, ring_act_count, sync_act_count, loop_act_count;

/* What holds whatever is refused; for acts. As but one call is, the next attempt works. */
void must(bool holds, const char *promise);
/* In a child that an act has forked. */
void refuse_no_more(void);
/* Until the end of the act each sleep on several words is refused, to all threads, uncounted. */
void refuse_sleep_on_several(void);

/* The program has /dev/shm and System V keys of its own. */
#define OWN_NAME "refused"
#define OWN_KEY "0x52425801"
#define OWN_DIRECTORY "/dev/shm/files"
#define OWN_PATH OWN_DIRECTORY "/box"
#define OWN_LINK OWN_DIRECTORY "/link"

/* The first error of two. */
static inline int first(int err, int then)
{
    return err < 0 ? err : then < 0 ? then : 0;
}

#endif
