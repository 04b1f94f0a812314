/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "header.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "../error.h"
#include "../os/file.h"

static uint32_t swapped(uint32_t word)
{
    return word >> 24 | (word >> 8 & 0xff00U) | (word << 8 & 0xff0000U) | word << 24;
}

static int check_maker(const struct rbx_box_header *header, const char *name)
{
    if (memcmp(header->magic, RBX_HEADER_MAGIC, sizeof header->magic) != 0)
        return rbx_fail(-EPROTO, "'%s' is not a ringbox box: something else has that name", name);
    if (header->byte_order == swapped(RBX_HEADER_BYTE_ORDER))
        return rbx_fail(-EPROTO, "box '%s' was made on a machine of the other byte order", name);
    if (header->version != RBX_HEADER_VERSION)
        return rbx_fail(-EPROTO,
                        "box '%s' was made by a%s ringbox: it has layout %u, this program knows %u",
                        name, header->version > RBX_HEADER_VERSION ? " newer" : "n older",
                        header->version, RBX_HEADER_VERSION);
    const uint32_t own_bits = sizeof(void *) * CHAR_BIT;
    if (header->word_bits != own_bits)
        return rbx_fail(-EPROTO, "box '%s' was made by a %u-bit program; this one has %u bits",
                        name, header->word_bits, own_bits);
    return 0;
}

static int check_geometry(const struct rbx_box_header *header, uint64_t file_size, const char *name)
{
    const uint32_t page = header->page_size;
    uint32_t policy = atomic_load_explicit(&header->policy, memory_order_relaxed); /* a copy */
    if (header->byte_order != RBX_HEADER_BYTE_ORDER || header->header_size != RBX_HEADER_SIZE ||
        header->backing > RBX_SYSV || policy > RBX_KEEP || page < RBX_HEADER_SIZE ||
        (page & (page - 1)) != 0 || header->size == 0 || header->size > RBX_BOX_SIZE_MAX ||
        !memchr(header->link, '\0', sizeof header->link))
        return rbx_fail(-EPROTO, "the header of box '%s' is damaged", name);
    uint64_t payload_here = header->backing == RBX_SYSV ? 0 : header->size;
    uint64_t expected = rbx_header_file_size(payload_here, page);
    if (file_size < expected)
        return rbx_fail(-EPROTO, "box '%s' is truncated: it has %llu of its %llu bytes", name,
                        (unsigned long long)file_size, (unsigned long long)expected);
    return 0;
}

int rbx_header_check(const struct rbx_box_header *header, uint64_t file_size, const char *name)
{
    int err = check_maker(header, name);
    return err < 0 ? err : check_geometry(header, file_size, name);
}

int rbx_header_read(struct rbx_box_header *copy, int fd, uint64_t file_size, const char *name)
{
    if (file_size < RBX_HEADER_SIZE)
        return rbx_fail(
            -EPROTO, "'%s' is not a ringbox box: it is too short, with %llu bytes of at least %u",
            name, (unsigned long long)file_size, RBX_HEADER_SIZE);
    int err = rbx_file_read(fd, copy, sizeof *copy, 0);
    if (err < 0)
        return rbx_fail(err, "cannot read the header of box '%s': %m", name);
    return rbx_header_check(copy, file_size, name);
}
