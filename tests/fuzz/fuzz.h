/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz.h: what the fuzzed programs share: how they read their input, and how they complain.
 *
 * Each is one file with fuzz_one(). Built with clang's libFuzzer (./dev fuzz) it is given inputs
 * that reach ever more of the code; built with replay.c it goes through those that are kept, as an
 * ordinary test with any compiler.
 */
#ifndef RBX_TESTS_FUZZ_H
#define RBX_TESTS_FUZZ_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One input. Whatever it says, this returns; and the memory stays whole, which the address
   sanitizer watches. */
void fuzz_one(const uint8_t *data, size_t size);

/* Puts away what outlives the process; before it dies of a complaint, too. */
void fuzz_clean_up(void);

#define must(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fuzz_complain(__FILE__, __LINE__, #condition, 0);                                      \
    } while (0)

static inline _Noreturn void fuzz_complain(const char *file, int line, const char *what,
                                           long long answer)
{
    fprintf(stderr, "%s:%d: %s does not hold (%lld)\n", file, line, what, answer);
    fuzz_clean_up();
    abort();
}

/* --- The input --- */

struct bytes {
    const uint8_t *at;
    size_t left;
};

/* Past its end there are zeros. */
static inline uint64_t take(struct bytes *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size && bytes->left > 0; i++, bytes->left--)
        value |= (uint64_t)*bytes->at++ << 8 * i;
    return value;
}

static inline uint8_t take_byte(struct bytes *bytes)
{
    return (uint8_t)take(bytes, 1);
}

static inline size_t take_below(struct bytes *bytes, size_t limit)
{
    return limit == 0 ? 0 : (size_t)(take(bytes, limit > 256 ? 2 : 1) % limit);
}

/* --- What a peer writes --- */

/* Memory that a peer can write to, but for some bytes: of what the C library keeps a mutex in, the
   library itself says that a peer can make it crash who uses it (docs/sync.md). */
struct prey {
    char *memory;
    size_t size;
    size_t spared, spared_size;
};

static inline bool is_spared(const struct prey *prey, size_t at, size_t size)
{
    return at < prey->spared + prey->spared_size && at + size > prey->spared;
}

/* Whole words by one store, as who reads them takes them to be. */
static inline void overwrite(const struct prey *prey, size_t at, uint64_t value)
{
    if (at + 8 <= prey->size && !is_spared(prey, at, 8))
        *(volatile uint64_t *)(void *)(prey->memory + at) = value;
}

static inline uint64_t word_at(const struct prey *prey, size_t at)
{
    return at + 8 <= prey->size ? *(volatile const uint64_t *)(const void *)(prey->memory + at) : 0;
}

/*
 * Overwrites something, as the input says: which word; and with what, made of what stands there or
 * elsewhere, as positions and words are that nearly make sense.
 */
static inline void vandalise(const struct prey *prey, struct bytes *input)
{
    enum { ANY, SMALL, MORE, LESS, BIT, COPY, LOW_BYTE, HIGH_HALF, HOWS };
    unsigned how = take_byte(input);
    size_t at = take_below(input, prey->size / 8) * 8;
    uint64_t was = word_at(prey, at);
    switch (how % HOWS) {
    case ANY:
        overwrite(prey, at, take(input, 8));
        break;
    case SMALL:
        overwrite(prey, at, take(input, 2));
        break;
    case MORE:
        overwrite(prey, at, was + (take(input, 2) << how / HOWS));
        break;
    case LESS:
        overwrite(prey, at, was - (take(input, 2) << how / HOWS));
        break;
    case BIT:
        overwrite(prey, at, was ^ UINT64_C(1) << take_byte(input) % 64);
        break;
    case COPY:
        overwrite(prey, at, word_at(prey, take_below(input, prey->size / 8) * 8));
        break;
    case LOW_BYTE:
        overwrite(prey, at, (was & ~UINT64_C(0xff)) | take_byte(input));
        break;
    case HIGH_HALF:
        overwrite(prey, at, (was & UINT32_MAX) | take(input, 4) << 32);
        break;
    default:
        break;
    }
}

/* --- Answers --- */

/*
 * A call answers 0 or a count, or fails with one of these, which end with 0, and a sentence; but
 * -EAGAIN is plain. And with -EINTR, since libFuzzer's own alarm ends waits.
 */
static inline void check_answer(const char *file, int line, const char *call, long long answer,
                                const int *errors, const char *sentence)
{
    bool allowed = answer >= 0 || answer == -EINTR;
    for (; !allowed && *errors != 0; errors++)
        allowed = answer == -*errors;
    if (!allowed || (answer < 0 && answer != -EAGAIN && !*sentence))
        fuzz_complain(file, line, call, answer);
}

#define answers(call, ...)                                                                         \
    check_answer(__FILE__, __LINE__, #call, (call), (const int[]){__VA_ARGS__, 0}, rbx_last_error())

#endif
