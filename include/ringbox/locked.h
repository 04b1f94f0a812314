/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * locked.h: the ring under a lock, with the same calls: a robust mutex that processes share, and a
 * condition for each end. It is what the others are measured against, and a choice where an
 * endpoint must never run ahead of another. Use it through message.h.
 *
 * What is under the lock: two counts, and messages in between. A message counts when the count
 * goes up, which is one store: who dies before it has sent (received) nothing, whose lock the next
 * one gets. A claim holds the lock until commit or abort, a peek until release.
 */
#ifndef RINGBOX_LOCKED_H
#define RINGBOX_LOCKED_H

#include <stddef.h>
#include <stdint.h>

#include <ringbox/api.h>
#include <ringbox/hot.h>
#include <ringbox/ring.h>

RBX_BEGIN_DECLS

/* Messages one after the other. */
RBX_INLINE struct rbx_frame rbx_locked_frame_for(size_t size, size_t alignment)
{
    size_t stride = (size + alignment - 1) / alignment * alignment;
    struct rbx_frame frame = {(uint32_t)size, (uint32_t)stride, 0, 1, (uint32_t)stride};
    return frame;
}

RBX_API int rbx_locked_try_send(rbx_tx *tx, const void *message, struct rbx_frame g);
RBX_API ptrdiff_t rbx_locked_try_send_n(rbx_tx *tx, const void *messages, size_t count,
                                        struct rbx_frame g);
RBX_API int rbx_locked_try_claim(rbx_tx *tx, void **place, struct rbx_frame g);
RBX_API int rbx_locked_commit(rbx_tx *tx, struct rbx_frame g);
RBX_API int rbx_locked_abort(rbx_tx *tx, struct rbx_frame g);
RBX_API int rbx_locked_try_recv(rbx_rx *rx, void *message, struct rbx_frame g);
RBX_API ptrdiff_t rbx_locked_try_recv_n(rbx_rx *rx, void *messages, size_t most,
                                        struct rbx_frame g);
RBX_API ptrdiff_t rbx_locked_try_peek_n(rbx_rx *rx, const void **messages, size_t most,
                                        struct rbx_frame g);
RBX_API int rbx_locked_release_n(rbx_rx *rx, size_t count, struct rbx_frame g);
RBX_API int rbx_locked_wait_for_room(rbx_tx *tx, uint64_t timeout_ns, uint64_t *deadline);
RBX_API int rbx_locked_wait_for_message(rbx_rx *rx, uint64_t timeout_ns, uint64_t *deadline);

RBX_WAITING_CALLS(locked)

RBX_END_DECLS

#endif
