/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* poll.h: what goes with an endpoint that has a descriptor. */
#ifndef RBX_RING_POLL_H
#define RBX_RING_POLL_H

struct rbx_poll;

/* The endpoint closes. NULL is fine. In a forked child this does nothing to the parent's. */
void rbx_poll_end(struct rbx_poll *poll);

#endif
