/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chance.h: random numbers of the tests, which follow from a word that the caller keeps. */
#ifndef RBX_TESTS_SUPPORT_CHANCE_H
#define RBX_TESTS_SUPPORT_CHANCE_H

#include <stdint.h>

/* What looks random, and always follows from x: each bit of x may change each bit of it. */
static inline uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline uint64_t next_random(uint64_t *state)
{
    uint64_t drawn = mix(*state);
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return drawn;
}

static inline uint32_t draw_from(uint64_t *state, uint32_t below)
{
    return (uint32_t)((next_random(state) >> 32) % below);
}

#endif
