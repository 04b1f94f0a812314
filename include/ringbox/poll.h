/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * poll.h: rings in an event loop. Each endpoint has a descriptor for poll, select and epoll that
 * turns readable when there is something to receive (room to send), once it has been armed.
 *
 *     #include <poll.h>
 *     struct tick { uint64_t id; double price; };
 *     RBX_RING_TYPE(ticks, struct tick, SPSC)
 *
 *     rbx_ring *ring;
 *     ticks_rx rx;
 *     if (ticks_open(&ring, "ticks", NULL) < 0 || ticks_rx_open(&rx, ring) < 0)
 *         return 1;
 *     struct pollfd ready = {.fd = ticks_rx_fd(&rx), .events = POLLIN}; // or any other loop's
 *     for (;;) {
 *         struct tick tick;
 *         int err = ticks_try_recv(&rx, &tick);
 *         if (err == 0)
 *             printf("%f\n", tick.price);
 *         else if (err != -EAGAIN && err != -EOWNERDEAD)
 *             break;
 *         else if (ticks_rx_arm(&rx) == 0) // nothing there, and from now on it tells
 *             poll(&ready, 1, -1);
 *     }
 *     ticks_rx_close(&rx);
 *     rbx_ring_close(ring);
 *
 * What holds:
 *  - Armed, it turns readable when a message (room) comes, the ring is shut down, or an end that
 *    matters dies; perhaps also for nothing, as for one that another receiver takes. It stays
 *    readable until it is armed again, whatever is received meanwhile: so it suits loops that look
 *    at levels, and (EPOLLET) those that wait for edges, of which there is one for each arming.
 *  - Always, not only for reading, it is POLLIN (EPOLLIN) that is waited for: for room as well.
 *  - An armed end of an idle ring wakes nobody (but once, a millisecond after it was armed, where
 *    the other end is in another process). One that is not armed costs the other end nothing.
 *  - Arm it last, after -EAGAIN. To arm it twice, not at all, or to wait in recv or send in between
 *    does no harm, but that without having been armed since it was last readable it tells nothing.
 *  - When the other end dies, the next try says so as a waiting call would: the messages that it
 *    has left, and then -EOWNERDEAD, once.
 *  - It belongs to the endpoint, which closes it: take it out of your loop first, and do not close
 *    it. After fork() it is closed in the child. (Where io_uring waits, the kernel may interrupt a
 *    system call of the thread once, with EINTR, soon after the endpoint is closed.)
 *  - The thread that has the endpoint arms it; any may poll.
 *
 * The kernel does the waiting, with io_uring where it can (Linux 6.7) and may; else a thread of the
 * library's own, one for up to 127 endpoints of the process, with futex_waitv (Linux 5.16), or else
 * by looking each millisecond while something is armed. That one lives as long as these endpoints.
 */
#ifndef RINGBOX_POLL_H
#define RINGBOX_POLL_H

#include <ringbox/api.h>
#include <ringbox/error.h>
#include <ringbox/ring.h>

RBX_BEGIN_DECLS

/* Who waits in the endpoint's stead. */
typedef enum rbx_poll_by {
    RBX_POLL_BY_ANY = 0, /* io_uring if possible, else a thread */
    RBX_POLL_BY_URING,
    RBX_POLL_BY_THREAD,
} rbx_poll_by;

/*
 * The descriptor, made by the first call. It is close-on-exec. -EINVAL: the endpoint is closed, or
 * another's; -EBADF: it was inherited through fork(); -EMFILE, -EAGAIN, ...: there is no room for
 * more descriptors, or threads; -ENOSYS, -EPERM: not by io_uring, which was asked for.
 */
RBX_API int rbx_rx_fd(rbx_rx *rx);
RBX_API int rbx_tx_fd(rbx_tx *tx);
/* Likewise, and by whom: -EBUSY when it is made already, and by another. */
RBX_API int rbx_rx_fd_by(rbx_rx *rx, rbx_poll_by by);
RBX_API int rbx_tx_fd_by(rbx_tx *tx, rbx_poll_by by);

/*
 * Makes it readable when there is something to do, and not before: 0. Or 1: there is something
 * already, try now; it is readable, too. Errors are those of rbx_rx_fd, which need not have been
 * called.
 */
RBX_API int rbx_rx_arm(rbx_rx *rx);
RBX_API int rbx_tx_arm(rbx_tx *tx);

RBX_END_DECLS

#endif
