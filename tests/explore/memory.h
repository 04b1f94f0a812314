/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * memory.h: loads and stores (those of layer.h, which memory.c makes), on one of two machines: with
 * store buffers, or weak (views.h). Which of the two is a matter of machine.h's is_weak.
 */
#ifndef EXPLORE_MEMORY_H
#define EXPLORE_MEMORY_H

#include <stdint.h>

#include "world.h"

/* The current thread's. The order is made of the bits of enum explore_order. */
uint64_t memory_load(unsigned word, unsigned order);
void memory_store(unsigned word, uint64_t value, unsigned order);
/* The newest value is another from now on; or is only looked at. When its turn has come. */
void memory_change(unsigned word, uint64_t value, unsigned order);
uint64_t memory_newest(unsigned word, unsigned order);
void buffer_append(struct store store);

/* A thread's first store reaches memory. */
void buffer_flush(unsigned thread);

#endif
