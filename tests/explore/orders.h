/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * orders.h: which orders the library's accesses name, and one of them weakened: a fault that the
 * weak machine must find, if the order is needed.
 */
#ifndef EXPLORE_ORDERS_H
#define EXPLORE_ORDERS_H

#include <stdbool.h>
#include <stdint.h>

#include "layer.h"

/* Takes these orders from all accesses and fences in this function, or in one line of it. NULL:
   from none. */
struct weakening {
    const char *function;
    uint32_t line;  /* 0: any */
    unsigned drops; /* bits of enum explore_order, and one of these if it is not both */
};
enum { FROM_ACCESSES = 256, FROM_FENCES = 512 };
extern struct weakening weakened;
extern const struct weakening nothing_weakened;

/* What the access orders; what it does when it is a swap that fails. */
unsigned order_of(struct explore_verb verb);
unsigned failing_order_of(struct explore_verb verb);
unsigned order_of_fence(struct explore_verb verb);

/* Takes from each access, as they are met on the weak machine, each order in turn, and prints what
   finds that. It is asked with `weakened` so, and answers with a name, or NULL. */
void orders_take_each(const char *(*finder)(void));

#endif
