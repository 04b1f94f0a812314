/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* messages.h: what all contenders carry, and how much of it. */
#ifndef RBX_BENCH_MESSAGES_H
#define RBX_BENCH_MESSAGES_H

#include "fail.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

constexpr size_t queue_capacity = 4096;

/* Its number is its first word, in the first eight bytes. */
template <size_t size> struct Message {
    uint64_t number;
    char rest[size - sizeof(uint64_t)];
};
template <> struct Message<8> {
    uint64_t number;
};

typedef Message<8> Message8;
typedef Message<24> Message24;
typedef Message<56> Message56;
typedef Message<64> Message64;
typedef Message<120> Message120;
typedef Message<248> Message248;
typedef Message<1024> Message1024;
typedef Message<4096> Message4096;

/* What is timed puts a number at either end of a message, and looks at both: cheap, and shows one
   that is mixed up with another. */
template <size_t size> void set_number(Message<size> &message, uint64_t number)
{
    message.number = number;
    if constexpr (size > sizeof number)
        std::memcpy(&message.rest[size - 2 * sizeof number], &number, sizeof number);
}
template <size_t size> bool is_whole(const Message<size> &message)
{
    uint64_t last = message.number;
    if constexpr (size > sizeof last)
        std::memcpy(&last, &message.rest[size - 2 * sizeof last], sizeof last);
    return last == message.number;
}

/* What the rest of message `number` is: no two messages are the same in any word. */
inline uint64_t word_of(uint64_t number, size_t index)
{
    return (number + 1) * UINT64_C(0x9e3779b97f4a7c15) + index * UINT64_C(0xd1b54a32d192ed03);
}

template <size_t size> void fill(Message<size> &message, uint64_t number)
{
    message.number = number;
    if constexpr (size > sizeof number)
        for (size_t i = 0; i < sizeof message.rest / sizeof(uint64_t); i++) {
            const uint64_t word = word_of(number, i);
            std::memcpy(message.rest + i * sizeof word, &word, sizeof word);
        }
}

[[noreturn]] inline void wrong_number(uint64_t got, uint64_t wanted)
{
    fail("message " + std::to_string(got), "came where " + std::to_string(wanted) + " should have");
}
[[noreturn]] inline void wrong_contents(uint64_t number)
{
    fail("message " + std::to_string(number), "came with other contents than it was sent with");
}

inline void check_number(uint64_t got, uint64_t wanted)
{
    if (got != wanted)
        wrong_number(got, wanted);
}

/* `written`: which message the rest is of. */
template <size_t size> void check(const Message<size> &message, uint64_t number, uint64_t written)
{
    check_number(message.number, number);
    if constexpr (size > sizeof number) {
        Message<size> expected;
        fill(expected, written);
        if (std::memcmp(message.rest, expected.rest, sizeof message.rest) != 0)
            wrong_contents(number);
    }
}

/* So many messages that every size takes about as long. */
constexpr uint64_t worth_of(size_t size, uint64_t most)
{
    constexpr uint64_t bytes = uint64_t{48} << 20;
    return std::min<uint64_t>(most, bytes / size);
}

/* For a lambda that is told a queue by its type. */
template <class T> struct Type {
    typedef T type;
};

#endif
