/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The shapes of rings of many, options that do not fit them, and headers that say nonsense. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../mpmc/many.h"
#include "../support/chance.h"

SUITES(shapes, 60);

Test(mpmc_shapes, slots_straddle_no_line_needlessly)
{
    for (size_t alignment = 1; alignment <= RBX_MESSAGE_ALIGNMENT_MAX; alignment *= 2)
        for (size_t size = 1; size <= 6000; size++) {
            struct rbx_frame f = rbx_mpmc_frame_for(size, alignment);
            cr_assert(f.message_size == size && f.per_frame == 1 && f.stride == f.bytes);
            cr_assert(f.offset >= 8 && f.offset % alignment == 0 && f.offset + size <= f.bytes);
            cr_assert(f.bytes == 16 || f.bytes == 32 || f.bytes % 64 == 0);
            size_t smaller = f.bytes > 64 ? f.bytes - 64 : f.bytes / 2;
            cr_assert(smaller < 16 || f.offset + size > smaller, "%zu on %zu", size, alignment);
            cr_assert(f.bytes >= alignment || alignment > size, "%zu on %zu", size, alignment);
        }
}

EACH(shapes, messages_of_every_size_and_alignment_survive)
{
    static uint8_t message[256], got[256];
    for (size_t alignment = 1; alignment <= RBX_MESSAGE_ALIGNMENT_MAX; alignment *= 2)
        for (size_t size = 1; size <= 200; size++) {
            rbx_ring_options options = options_for(v, size, 5);
            struct pair pair;
            void *place;
            const void *shown;
            options.alignment = alignment;
            options.senders = options.receivers = 1 + size % 3;
            many_open_at(&pair, &options, 0);
            for (uint64_t n = 0; n < 12; n += 3) {
                memset(got, 0xee, sizeof got);
                put_number(message, size, n);
                cr_assert_eq(rbx_try_send(&pair.tx, message), 0);
                cr_assert_eq(rbx_try_claim(&pair.tx, &place), 0);
                cr_assert_eq((uintptr_t)place % alignment, 0, "%zu on %zu", size, alignment);
                put_number(place, size, n + 1);
                cr_assert_eq(rbx_commit(&pair.tx), 0);
                put_number(message, size, n + 2);
                cr_assert_eq(rbx_try_send_n(&pair.tx, message, 1), 1);
                cr_assert_eq(rbx_try_recv(&pair.rx, got), 0);
                cr_assert(has_number(got, size, n) && got[size] == 0xee);
                cr_assert_eq(rbx_try_peek(&pair.rx, &shown), 0);
                cr_assert_eq((uintptr_t)shown % alignment, 0, "%zu on %zu", size, alignment);
                cr_assert(has_number(shown, size, n + 1));
                cr_assert_eq(rbx_release(&pair.rx), 0);
                cr_assert_eq(rbx_try_recv_n(&pair.rx, got, 1), 1);
                cr_assert(has_number(got, size, n + 2) && got[size] == 0xee);
            }
            pair_close(&pair);
        }
}

EACH(shapes, a_ring_is_as_large_as_what_is_in_it)
{
    for (size_t capacity = 1; capacity < 3000; capacity += 7)
        for (size_t size = 1; size < 200; size += 9) {
            struct rbx_ring_shape shape;
            rbx_ring_options options = options_for(v, size, capacity);
            uint64_t bytes;
            options.senders = 1 + (unsigned)(size % 256);
            succeeds(rbx_ring_plan(&shape, &options));
            succeeds(rbx_ring_bytes(&options, &bytes));
            cr_assert_eq(shape.frames, slots_for(v, capacity));
            cr_assert_eq(bytes, 1024 + (options.senders + RBX_SEATS) * 128 +
                                    shape.frames * shape.frame.bytes);
        }
}

/* --- Options --- */

static void refuse_options(const char *part, const rbx_ring_options *options)
{
    const char *name = own_name("refused");
    uint64_t bytes = 1;
    rbx_ring *ring;
    refuses(-EINVAL, part, rbx_ring_bytes(options, &bytes));
    cr_assert_eq(bytes, 0);
    refuses(-EINVAL, part, rbx_ring_open(&ring, NULL, options));
    refuses(-EINVAL, part, rbx_ring_open(&ring, name, options));
    cr_assert_null(ring);
    cr_assert_not(exists(shm_path(name)));
}

Test(mpmc_shapes, options_that_make_no_sense_are_refused)
{
    const struct {
        const char *part;
        rbx_ring_options options;
    } bad[] = {
        {"are for rings of kind RBX_MPMC", {.kind = RBX_SPSC, .flags = RBX_STRICT}},
        {"are for rings of kind RBX_MPMC", {.kind = RBX_SPSC, .flags = RBX_DROP}},
        {"are for rings of kind RBX_MPMC", {.kind = RBX_LOCKED, .flags = RBX_STRICT}},
        {"are for rings of kind RBX_MPMC", {.kind = RBX_LOCKED, .flags = RBX_DROP}},
        {"no flags 0x4", {.kind = RBX_MPMC, .flags = 4 | RBX_STRICT}},
        {"no flags 0xfffffffc", {.kind = RBX_MPMC, .flags = UINT32_MAX}},
        {"one sender and one receiver", {.kind = RBX_SPSC, .senders = 2}},
        {"one sender and one receiver", {.kind = RBX_SPSC, .receivers = 2}},
        {"at most 256 senders, not 257", {.kind = RBX_MPMC, .senders = 257}},
        {"at most 256 receivers, not 257", {.kind = RBX_LOCKED, .receivers = 257}},
        {"more than any ring can hold", {.kind = RBX_MPMC, .capacity = SIZE_MAX}},
        {"more than any ring can hold", {.kind = RBX_MPMC, .capacity = ~(SIZE_MAX >> 1) + 1}},
        {"more than any ring can hold", {.kind = RBX_MPMC, .capacity = (size_t)RBX_BOX_SIZE_MAX}},
        {"more than any ring can hold", {.kind = RBX_LOCKED, .capacity = SIZE_MAX}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rbx_ring_options options = bad[i].options;
        options.message_size = 8;
        options.capacity = options.capacity ? options.capacity : 4;
        refuse_options(bad[i].part, &options);
    }
}

EACH(shapes, a_ring_that_is_not_what_was_asked_for_is_refused)
{
    const char *name = own_name("other");
    rbx_ring_options options = options_for(v, 8, 20);
    options.senders = 3;
    options.receivers = 5;
    const unsigned lacks = RBX_DROP | (v->flags ? 0 : RBX_STRICT);
    rbx_ring *ring, *other = NULL;
    succeeds(rbx_ring_open(&ring, name, &options));
    for (int how = 0; how < 2; how++) {
        rbx_ring_options asks = options;
        asks.box.how = how ? RBX_OPEN_ONLY : RBX_OPEN_OR_CREATE;
        asks.senders = 4;
        refuses(-EPROTO, "seats for 3 senders and 5 receivers; this program asked for 4 and 5",
                rbx_ring_open(&other, name, &asks));
        asks.senders = 3;
        asks.receivers = 6;
        refuses(-EPROTO, "asked for 3 and 6", rbx_ring_open(&other, name, &asks));
        asks.receivers = 5;
        asks.capacity = 21;
        refuses(-EPROTO, "holds 20 messages; this program asked for 21",
                rbx_ring_open(&other, name, &asks));
        asks.capacity = 20;
        for (int kind = RBX_SPSC; kind <= RBX_LOCKED; kind++) {
            const rbx_ring_options wrong = {.kind = (rbx_ring_kind)kind,
                                            .message_size = 8,
                                            .capacity = 20,
                                            .box.how = asks.box.how};
            if (kind != (int)v->kind)
                refuses(-EPROTO, "this program asked for kind",
                        rbx_ring_open(&other, name, &wrong));
        }
        if (!is_locked(v)) {
            asks.flags |= lacks;
            refuses(-EPROTO, "was made ", rbx_ring_open(&other, name, &asks));
        }
        cr_assert_null(other);
    }
    rbx_ring_options asks_less = {.kind = v->kind, .box.how = RBX_OPEN_ONLY};
    succeeds(rbx_ring_open(&other, name, &asks_less)); /* without flags: any */
    cr_assert_eq(described(other).flags, v->flags);
    cr_assert_eq(described(other).senders, 3);
    succeeds(rbx_ring_close(other));
    asks_less.senders = 1;
    asks_less.receivers = 5;
    succeeds(rbx_ring_open(&other, name, &asks_less));
    succeeds(rbx_ring_close(other));
    succeeds(rbx_ring_close(ring));
}

/* --- Headers --- */

static struct pair pair;

static void refuse_header(size_t at, const void *bytes, size_t size)
{
    char kept[8];
    char *header = pair.memory;
    rbx_ring *ring;
    memcpy(kept, header + at, size);
    memcpy(header + at, bytes, size);
    refuses(-EPROTO, "damaged", rbx_ring_attach(&ring, pair.memory, pair.size, NULL));
    cr_assert_null(ring);
    memcpy(header + at, kept, size);
}

#define AT(field) (offsetof(struct rbx_ring_header, shape) + offsetof(struct rbx_ring_shape, field))

EACH(shapes, a_header_that_is_not_sound_is_refused)
{
    const struct {
        size_t at;
        uint32_t values[8]; /* up to a 0 that is not the first */
    } bad[] = {
        {AT(kind), {0, 3, UINT32_MAX}},
        {AT(alignment), {0, 3, 128, UINT32_MAX, 1U << 31}},
        {AT(frame.message_size), {0, 1U << 20, (1U << 20) + 1, UINT32_MAX}},
        {AT(frame.stride), {0, 7, 9, 1U << 21, UINT32_MAX, 0x80000000U}},
        {AT(frame.offset), {1, 7, 9, 72, UINT32_MAX, 0xfffffff8U}},
        {AT(frame.per_frame), {0, 2, 8, 255, 256, UINT32_MAX}},
        {AT(frame.bytes), {0, 1, 63, 65, 128, 0xffffffc0U, UINT32_MAX}},
        {AT(flags), {4, 0x80000000U, UINT32_MAX}},
        {AT(seats[0]), {0, 256, 257, UINT32_MAX}},
        {AT(seats[1]), {0, 256, 257, UINT32_MAX}},
    };
    const uint64_t no_frames[] = {
        0, 3, 5, 16, 1 << 20, UINT64_MAX, UINT64_MAX / 64 + 2, (uint64_t)1 << 63};
    const uint64_t no_capacity[] = {0, 9, UINT64_MAX, (uint64_t)1 << 63};
    pair_of(&pair, v, 8, 8);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (size_t j = 0; j < 8 && (j == 0 || bad[i].values[j] != 0); j++)
            refuse_header(bad[i].at, &bad[i].values[j], 4);
    for (size_t i = 0; i < sizeof no_frames / sizeof *no_frames; i++)
        refuse_header(AT(frames), &no_frames[i], 8);
    for (size_t i = 0; i < sizeof no_capacity / sizeof *no_capacity; i++)
        refuse_header(AT(capacity), &no_capacity[i], 8);
    if (is_locked(v))
        refuse_header(AT(flags), &(uint32_t){RBX_STRICT}, 4);
    pair_close(&pair);
}

/* Whatever a header says, what is attached stays inside its memory (which the address sanitizer and
   the allocator watch). */
EACH(shapes, no_header_leads_out_of_the_memory)
{
    uint64_t state = 1, random = 0, attached = 0;
    for (int round = 0; round < 40000; round++) {
        if (round % 64 == 0) {
            if (round > 0)
                free(pair.memory);
            pair_of(&pair, v, 1 + random % 100, 1 + random % 40);
            rbx_tx_close(&pair.tx);
            rbx_rx_close(&pair.rx);
            succeeds(rbx_ring_close(pair.ring));
        }
        char kept[sizeof pair.shape], *shape = (char *)pair.memory + 16;
        memcpy(kept, shape, sizeof kept);
        for (unsigned changes = 1 + round % 3; changes > 0; changes--) {
            random = next_random(&state);
            size_t at = random % sizeof kept;
            shape[at] = (char)(random >> 32 & 1 ? random >> 40
                                                : (uint8_t)shape[at] + (random >> 40) % 3 - 1);
        }
        rbx_ring *ring;
        int err = rbx_ring_attach(&ring, pair.memory, pair.size, NULL);
        cr_assert(err == 0 || err == -EPROTO, "%d", err);
        if (err == 0) {
            static char message[2 << 20];
            rbx_ring_info info = described(ring);
            rbx_tx tx;
            rbx_rx rx;
            attached++;
            cr_assert_leq(info.message_size, sizeof message);
            if (rbx_tx_open(&tx, ring) == 0)
                for (int i = 0; i < 50 && rbx_try_send(&tx, message) == 0; i++)
                    ;
            if (rbx_rx_open(&rx, ring) == 0)
                for (int i = 0; i < 50 && rbx_try_recv(&rx, message) == 0; i++)
                    ;
            rbx_tx_close(&tx);
            rbx_rx_close(&rx);
            succeeds(rbx_ring_close(ring));
        }
        memcpy(shape, kept, sizeof kept);
    }
    free(pair.memory);
    cr_assert_gt(attached, 100);
}
