/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* messages.h: what all contenders carry, and how much of it. */
#ifndef RBX_BENCH_MESSAGES_H
#define RBX_BENCH_MESSAGES_H

#include <cstddef>
#include <cstdint>

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

/* For a lambda that is told a queue by its type. */
template <class T> struct Type {
    typedef T type;
};

#endif
