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

/* Takes these orders from all accesses in this function, or in one line of it. NULL: from none. */
struct weakening {
    const char *function;
    uint32_t line;  /* 0: any */
    unsigned drops; /* bits of enum explore_order */
};
extern struct weakening weakened;

/* What the access orders; what it does when it is a swap that fails. */
unsigned order_of(struct explore_verb verb);
unsigned failing_order_of(struct explore_verb verb);

/* Accesses that order anything, as they were met on the weak machine. */
struct order_site {
    const char *function;
    uint32_t line;
    unsigned order;
};
extern struct order_site order_sites[256];
extern unsigned order_site_count;

#endif
