/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* messages.h: what all contenders carry, and how much of it. */
#ifndef RBX_BENCH_MESSAGES_H
#define RBX_BENCH_MESSAGES_H

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

/* All of it says its number: for what is not timed. */
template <size_t size> void fill(Message<size> &message, uint64_t number)
{
    uint64_t words[size / sizeof number];
    std::fill_n(words, size / sizeof number, number);
    std::memcpy(static_cast<void *>(&message), words, size);
}
template <size_t size> bool is_filled(const Message<size> &message)
{
    uint64_t words[size / sizeof(uint64_t)];
    std::memcpy(words, static_cast<const void *>(&message), size);
    return std::all_of(words, words + size / sizeof(uint64_t),
                       [&](uint64_t word) { return word == message.number; });
}

/* A size, for a lambda that is told one. */
template <size_t size> struct Size {
    static constexpr size_t value = size;
};

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
