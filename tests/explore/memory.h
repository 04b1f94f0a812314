/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* memory.h: loads and stores (those of layer.h, which memory.c makes), and the store buffers. */
#ifndef EXPLORE_MEMORY_H
#define EXPLORE_MEMORY_H

#include <stdint.h>

#include "world.h"

/* The current thread's. */
uint64_t memory_load(unsigned word);
void memory_store(unsigned word, uint64_t value);
void buffer_append(struct store store);

/* A thread's first store reaches memory. */
void buffer_flush(unsigned thread);

#endif
