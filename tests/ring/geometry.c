/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How messages are framed, how large a ring is, and headers that say nonsense. */
#include <errno.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../spsc/pair.h"
#include "../support/chance.h"

TestSuite(geometry, .timeout = 60);

static void check_frame(size_t size, size_t alignment)
{
    struct rbx_frame f = rbx_spsc_frame_for(size, alignment);
    cr_assert_eq(f.message_size, size);
    cr_assert(f.stride >= size && f.stride - size < alignment && f.stride % alignment == 0);
    cr_assert(f.offset >= 8 && f.offset <= 64 && f.offset % alignment == 0);
    cr_assert(f.bytes > 0 && f.bytes % 64 == 0);
    uint64_t used = f.offset + (uint64_t)f.per_frame * f.stride;
    cr_assert(f.per_frame >= 1 && f.per_frame <= 255);
    cr_assert_leq(used, f.bytes, "%zu bytes on %zu", size, alignment);
    cr_assert_lt(f.bytes - used, f.stride, "%zu bytes on %zu: one more fits", size, alignment);
    cr_assert(f.bytes <= 192 || f.per_frame == 1, "%zu bytes on %zu", size, alignment);
}

Test(geometry, messages_lie_inside_their_frame_and_on_their_alignment)
{
    for (size_t alignment = 1; alignment <= RBX_MESSAGE_ALIGNMENT_MAX; alignment *= 2) {
        for (size_t size = 1; size <= 6000; size++)
            check_frame(size, alignment);
        for (size_t size = 6001; size <= RBX_MESSAGE_SIZE_MAX; size += 997)
            check_frame(size, alignment);
        check_frame(RBX_MESSAGE_SIZE_MAX - 1, alignment);
        check_frame(RBX_MESSAGE_SIZE_MAX, alignment);
    }
}

/* What a program was built with must frame as what it meets: a change is a new layout version. */
Test(geometry, frames_are_what_they_were)
{
    const struct {
        uint32_t size, alignment, per_frame, bytes;
    } known[] = {{1, 1, 56, 64},    {2, 2, 28, 64},   {3, 1, 40, 128},  {4, 4, 14, 64},
                 {8, 8, 7, 64},     {12, 4, 10, 128}, {16, 8, 7, 128},  {24, 8, 5, 128},
                 {32, 8, 3, 128},   {40, 8, 3, 128},  {48, 8, 1, 64},   {56, 8, 1, 64},
                 {64, 8, 2, 192},   {72, 8, 2, 192},  {120, 8, 1, 128}, {16, 16, 7, 128},
                 {128, 8, 1, 192},  {32, 32, 3, 128}, {64, 64, 2, 192}, {248, 8, 1, 256},
                 {4096, 8, 1, 4160}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct rbx_frame f = rbx_spsc_frame_for(known[i].size, known[i].alignment);
        cr_expect(f.per_frame == known[i].per_frame && f.bytes == known[i].bytes,
                  "%u bytes on %u: %u in %u", known[i].size, known[i].alignment, f.per_frame,
                  f.bytes);
    }
}

Test(geometry, an_alignment_that_is_not_given_is_what_the_size_suggests)
{
    const struct {
        size_t size, alignment;
    } known[] = {{1, 1}, {2, 2},  {3, 1},  {4, 4},  {6, 2},
                 {8, 8}, {12, 4}, {16, 8}, {64, 8}, {5001, 1}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct rbx_ring_shape shape;
        const rbx_ring_options options = {.message_size = known[i].size, .capacity = 1};
        succeeds(rbx_ring_plan(&shape, &options));
        cr_assert_eq(shape.alignment, known[i].alignment, "size %zu", known[i].size);
    }
}

Test(geometry, a_ring_holds_its_capacity_and_at_most_a_third_more_frames)
{
    const size_t sizes[] = {1, 3, 8, 24, 56, 64, 120, 5000, RBX_MESSAGE_SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t capacity = 1; capacity < 5000; capacity++) {
            struct rbx_ring_shape shape;
            const rbx_ring_options options = {.message_size = sizes[i], .capacity = capacity};
            uint64_t bytes;
            if (capacity > RBX_BOX_SIZE_MAX / 2 / sizes[i])
                break; /* too large for a machine of 32 bits */
            succeeds(rbx_ring_plan(&shape, &options));
            succeeds(rbx_ring_bytes(&options, &bytes));
            cr_assert_eq(bytes, 1024 + shape.frames * shape.frame.bytes);
            uint64_t full = shape.frames - shape.lazy, per_frame = shape.frame.per_frame;
            cr_assert(shape.lazy >= 1 && (shape.lazy == 1 || shape.lazy * 4 <= full));
            cr_assert_geq(full * per_frame, capacity);
            cr_assert_lt((full - 1) * per_frame, capacity);
        }
}

/* --- Options --- */

static void refuse_options(const char *part, const rbx_ring_options *options)
{
    uint64_t bytes = 1;
    rbx_ring *ring;
    alignas(64) static char memory[4096];
    refuses(-EINVAL, part, rbx_ring_bytes(options, &bytes));
    cr_assert_eq(bytes, 0);
    refuses(-EINVAL, part, rbx_ring_init(memory, sizeof memory, options));
    cr_assert_eq(memory[0], 0);
    refuses(-EINVAL, part, rbx_ring_open(&ring, NULL, options));
    cr_assert_null(ring);
    const char *name = own_name("refused");
    refuses(-EINVAL, part, rbx_ring_open(&ring, name, options));
    cr_assert_null(ring);
    cr_assert_not(exists(shm_path(name)));
}

Test(geometry, options_that_make_no_sense_are_refused)
{
    const struct {
        const char *part;
        rbx_ring_options options;
    } bad[] = {
        {"needs a capacity", {.message_size = 8}},
        {"needs a message size", {.capacity = 8}},
        {"at most 1048576 bytes, not 1048577", {.message_size = (1 << 20) + 1, .capacity = 1}},
        {"at most 1048576 bytes", {.message_size = SIZE_MAX, .capacity = 1}},
        {"not to 3", {.message_size = 8, .capacity = 1, .alignment = 3}},
        {"not to 128", {.message_size = 8, .capacity = 1, .alignment = 128}},
        {"not to", {.message_size = 8, .capacity = 1, .alignment = SIZE_MAX}},
        {"no ring of kind 3", {.message_size = 8, .capacity = 1, .kind = (rbx_ring_kind)3}},
        {"no ring of kind -1", {.message_size = 8, .capacity = 1, .kind = (rbx_ring_kind)-1}},
        {"more than any ring can hold", {.message_size = 8, .capacity = SIZE_MAX}},
        {"more than any ring can hold", {.message_size = 1, .capacity = SIZE_MAX}},
        {"more than any ring can hold", {.message_size = 8, .capacity = SIZE_MAX - 7}},
        {"more than any ring can hold", {.message_size = 8, .capacity = (size_t)RBX_BOX_SIZE_MAX}},
        {"more than any ring can hold", {.message_size = 1, .capacity = (size_t)RBX_BOX_SIZE_MAX}},
        {"more than any ring can hold", {.message_size = 1 << 20, .capacity = (size_t)1 << 26}},
        {"more than any ring can hold",
         {.message_size = 1 << 20, .capacity = (size_t)RBX_BOX_SIZE_MAX / 4}},
        {"more than any ring can hold", {.message_size = 1 << 20, .capacity = ~(SIZE_MAX >> 1)}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuse_options(bad[i].part, &bad[i].options);
}

Test(geometry, the_largest_ring_has_a_size_that_a_box_can_have)
{
    size_t least = 1, most = (size_t)RBX_BOX_SIZE_MAX;
    uint64_t bytes;
    while (most - least > 1) {
        size_t capacity = least + (most - least) / 2;
        const rbx_ring_options options = {.message_size = 8, .capacity = capacity};
        if (rbx_ring_bytes(&options, &bytes) == 0)
            least = capacity;
        else
            most = capacity;
    }
    succeeds(rbx_ring_bytes(&(rbx_ring_options){.message_size = 8, .capacity = least}, &bytes));
    cr_assert_leq(bytes, RBX_BOX_SIZE_MAX);
    cr_assert_gt(bytes, RBX_BOX_SIZE_MAX - 4096);
}

Test(geometry, memory_that_is_too_small_or_not_aligned_is_refused)
{
    const rbx_ring_options options = {.message_size = 8, .capacity = 9};
    uint64_t bytes;
    rbx_ring *ring;
    succeeds(rbx_ring_bytes(&options, &bytes));
    char *memory = aligned_alloc(64, bytes + 64);
    memset(memory, 0, bytes + 64);
    refuses(-EINVAL, "needs", rbx_ring_init(memory, bytes - 1, &options));
    refuses(-EINVAL, "needs", rbx_ring_init(memory, 0, &options));
    refuses(-EINVAL, "aligned to 64", rbx_ring_init(memory + 8, bytes, &options));
    refuses(-EPROTO, "no ring", rbx_ring_attach(&ring, memory, bytes, &options));
    succeeds(rbx_ring_init(memory, bytes, &options));
    refuses(-EINVAL, "aligned to 64", rbx_ring_attach(&ring, memory + 8, bytes - 8, &options));
    cr_assert_null(ring);
    refuses(-EPROTO, "damaged", rbx_ring_attach(&ring, memory, bytes - 1, &options));
    refuses(-EPROTO, "damaged", rbx_ring_attach(&ring, memory, 1023, &options));
    refuses(-EPROTO, "only 255 bytes", rbx_ring_attach(&ring, memory, 255, &options));
    refuses(-EPROTO, "only 0 bytes", rbx_ring_attach(&ring, memory, 0, &options));
    cr_assert_null(ring);
    succeeds(rbx_ring_attach(&ring, memory, bytes, NULL));
    succeeds(rbx_ring_close(ring));
    free(memory);
}

/* --- Headers --- */

static struct pair pair;

static void refuse_header(const char *part, size_t at, const void *bytes, size_t size)
{
    char kept[8];
    char *header = pair.memory;
    rbx_ring *ring;
    memcpy(kept, header + at, size);
    memcpy(header + at, bytes, size);
    refuses(-EPROTO, part, rbx_ring_attach(&ring, pair.memory, pair.size, NULL));
    cr_assert_null(ring);
    memcpy(header + at, kept, size);
}

#define AT(field) (offsetof(struct rbx_ring_header, shape) + offsetof(struct rbx_ring_shape, field))

Test(geometry, a_header_that_is_not_sound_is_refused)
{
    const struct {
        size_t at;
        uint32_t values[8]; /* up to a 0 that is not the first */
    } bad[] = {
        {AT(kind), {1, 2, UINT32_MAX}},
        {AT(alignment), {0, 3, 128, 16, UINT32_MAX, 1U << 31}},
        {AT(frame.message_size), {0, 9, 1U << 20, (1U << 20) + 1, UINT32_MAX}},
        {AT(frame.stride), {0, 7, 9, 16, 1U << 21, UINT32_MAX, 0x80000000U}},
        {AT(frame.offset), {0, 1, 7, 9, 16, 72, UINT32_MAX, 0xfffffff8U}},
        {AT(frame.per_frame), {0, 8, 255, 256, UINT32_MAX}},
        {AT(frame.bytes), {0, 1, 63, 65, 32, 128, 0xffffffc0U, UINT32_MAX}},
    };
    pair_open(&pair, 8, 14);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (size_t j = 0; j < 8 && (j == 0 || bad[i].values[j] != 0); j++)
            refuse_header("damaged", bad[i].at, &bad[i].values[j], 4);
    const uint64_t no_frames[] = {
        0, 1, 4, 1 << 20, UINT64_MAX, UINT64_MAX / 64 + 2, (uint64_t)1 << 63};
    for (size_t i = 0; i < sizeof no_frames / sizeof *no_frames; i++)
        refuse_header("damaged", AT(frames), &no_frames[i], 8);
    const uint64_t no_lazy[] = {0, 2, 3, 4, UINT64_MAX, (uint64_t)1 << 63};
    for (size_t i = 0; i < sizeof no_lazy / sizeof *no_lazy; i++)
        refuse_header("damaged", AT(lazy), &no_lazy[i], 8);
    const uint64_t no_capacity[] = {15, UINT64_MAX, (uint64_t)1 << 63};
    for (size_t i = 0; i < sizeof no_capacity / sizeof *no_capacity; i++)
        refuse_header("damaged", AT(capacity), &no_capacity[i], 8);
    refuse_header("is no ring", 0, "rbxrinG", 8);
    refuse_header("is no ring", 7, "g", 1);
    refuse_header("other byte order", 8, &(uint32_t){0x04030201U}, 4);
    refuse_header("layout version 2; this program knows version 1", 12, &(uint32_t){2}, 4);
    refuse_header("layout version 0", 12, &(uint32_t){0}, 4);
    pair_close(&pair);
}

/* Whatever a header says, what is attached stays inside its memory (which the address sanitizer and
   the allocator watch). */
Test(geometry, no_header_leads_out_of_the_memory)
{
    uint64_t state = 1, random = 0, attached = 0;
    for (int round = 0; round < 200000; round++) {
        if (round % 64 == 0) {
            if (round > 0)
                free(pair.memory);
            pair_open(&pair, 1 + random % 100, 1 + random % 40);
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
