/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* send.h: what travels over a Unix socket with the descriptor of a box. */
#ifndef RBX_BOX_SEND_H
#define RBX_BOX_SEND_H

#include <stdint.h>

#include <ringbox/box.h>

#define RBX_SEND_MAGIC "rbx-box"
#define RBX_SEND_VERSION 1U

struct rbx_box_message {
    char magic[8];
    uint32_t version;
    uint32_t reserved;
    char label[RBX_NAME_MAX + 8]; /* NUL-terminated */
};

_Static_assert(sizeof(struct rbx_box_message) == 16 + RBX_NAME_MAX + 8, "no padding on the wire");

#endif
