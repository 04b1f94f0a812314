/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * event.h: a flag that some set and others wait for, in one process or in many.
 *
 *     rbx_event *event;
 *     if (rbx_event_open(&event, "ready", NULL) < 0) {
 *         fprintf(stderr, "%s\n", rbx_last_error());
 *         return 1;
 *     }
 *     rbx_event_set(event); // here or elsewhere
 *     int err = rbx_event_wait_for(event, 1000000000);
 *     if (err == -ETIMEDOUT)
 *         fprintf(stderr, "%s\n", rbx_last_error());
 *     rbx_event_close(event);
 *
 * What holds:
 *  - With automatic reset, the default, an event that is set lets exactly one wait through, and is
 *    not set any more. Set twice with no wait in between it still lets one through: it is a flag,
 *    and no count (that is sem.h). With manual reset it lets all through until it is reset, and
 *    whoever waited when it was set also after that. (But not from an fd event: one that is reset
 *    at once may let through none of them.)
 *  - What was written before a set is seen by whoever it lets through.
 *  - No wake-up is lost: whoever waits returns when the event is set for it. A death in the middle
 *    of a call leaves nothing half done; at worst others look up at the end of their slice
 *    (RBX_SLICE_NS): when a process is killed between setting the event and waking who sleeps, or
 *    woken and killed before it has gone through.
 *  - It lives as long as somebody has it open: when all have died the next one makes a new event,
 *    unless it was kept (.box.policy = RBX_KEEP).
 *  - A handle may be used by all threads of its process.
 *
 * An event says nothing of who was to set it: who waits for one that may have died waits in short
 * times, and looks in between.
 *
 * Which kind to use:
 *  - RBX_EVENT_FUTEX, as a rule: set and try_wait stay out of the kernel as long as nobody sleeps.
 *    Waits spin a little first, as long as that has paid lately.
 *  - RBX_EVENT_BUSY where an answer comes within microseconds and there is a core to spend: waits
 *    never sleep, but yield now and then; set never enters the kernel.
 *  - RBX_EVENT_FD where it must be waited for with poll or epoll, together with other things. It is
 *    an eventfd: it has no name and lives in no box. Other processes get it over a Unix socket
 *    (rbx_event_send) or inherit it.
 *
 * After fork() the child opens its own; but an fd event goes on to work in the child, where it is
 * to be closed as well. Its descriptor is close-on-exec: to hand it to another program, let that
 * have a copy (dup, or posix_spawn_file_actions_adddup2), and adopt it there with
 * rbx_event_from_fd.
 */
#ifndef RINGBOX_EVENT_H
#define RINGBOX_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ringbox/api.h>
#include <ringbox/box.h>
#include <ringbox/error.h>
#include <ringbox/wait.h>

RBX_BEGIN_DECLS

typedef struct rbx_event rbx_event;

typedef enum rbx_event_how {
    RBX_EVENT_FUTEX = 0, /* who waits sleeps on a word in shared memory */
    RBX_EVENT_BUSY,      /* who waits looks at it, again and again */
    RBX_EVENT_FD,        /* an eventfd */
} rbx_event_how;

/* All zero is the default. */
typedef struct rbx_event_options {
    rbx_event_how how;   /* the event's, as is `manual`: when joining, it must be so */
    bool manual;         /* lets all through until it is reset, rather than one */
    bool set;            /* a new one is set from the beginning */
    uint32_t spin_ns;    /* RBX_EVENT_FUTEX: through this handle waits spin at most this long before
                            they sleep; 0 means RBX_SPIN_NS, and RBX_NO_SPIN not at all. Opened
                            by a thread that may use one core only they spin less, and yield */
    rbx_box_options box; /* where a named event lives; `size`, `tag`, `raw` and `init` are not
                            yours */
} rbx_event_options;

/*
 * Opens the event `name`: makes it or joins it, as options->box.how says; without options it joins
 * whatever event has that name, or makes one. With the name NULL it is a new one for the threads of
 * this process. The box goes when the last one closes it (RBX_LAST_ONE_OUT, which RBX_OWNER_UNLINKS
 * means here, too), or stays (RBX_KEEP). Errors are those of rbx_box_open; -EPROTO also when what
 * has that name is no event, or one of another `how` or `manual`; -EINVAL also for an RBX_EVENT_FD
 * with a name.
 */
RBX_API int rbx_event_open(rbx_event **event, const char *name, const rbx_event_options *options);

/*
 * An event in memory of your own, as part of something larger: zeroed, RBX_EVENT_BYTES long and
 * aligned to 64 bytes. Make it before anybody else can see it, say in rbx_box_options.init. Then
 * each process attaches to it: in `box`, which cannot be closed before the handle; or wherever it
 * is, when that is NULL, and then the memory is yours to keep until the handle is closed.
 */
#define RBX_EVENT_BYTES 128U
RBX_API int rbx_event_init(void *memory, size_t size, const rbx_event_options *options);
RBX_API int rbx_event_attach(rbx_event **event, rbx_box *box, void *memory, size_t size);

/* No thread may be in a call on it. NULL is fine. Else as rbx_box_close. */
RBX_API int rbx_event_close(rbx_event *event);

/* These answer -EBADF on a handle inherited through fork(), but for an fd event, and one attached
   in no box. */
RBX_API int rbx_event_set(rbx_event *event);
RBX_API int rbx_event_reset(rbx_event *event);
/* 1 or 0: what it was at that moment. */
RBX_API int rbx_event_is_set(rbx_event *event);

/*
 * 0: through. Else
 *   -EAGAIN     it is not set (try only; plain as this is, rbx_last_error() stays as it was)
 *   -ETIMEDOUT  it was not set in time
 *   -EINTR      a signal handler ran while it slept (a busy wait goes on)
 * A handler that must be sure to end a wait sets a flag, and the waiter looks at it between
 * time-outs: a signal that comes just before it falls asleep does not wake it, nor one that comes
 * just as it looks up (each RBX_SLICE_NS). (Or the handler sets the event: rbx_event_set may be
 * called there.)
 */
RBX_API int rbx_event_wait(rbx_event *event);
RBX_API int rbx_event_wait_for(rbx_event *event, uint64_t timeout_ns);
RBX_API int rbx_event_try_wait(rbx_event *event);

/* ---- RBX_EVENT_FD; -ENOTSUP for others ----------------------------------------------------- */

/*
 * The descriptor, which is readable (POLLIN, level-triggered) while the event is set. Then get
 * through with rbx_event_try_wait: another may have been faster. It belongs to the event: do not
 * close it. It is non-blocking.
 */
RBX_API int rbx_event_fd(const rbx_event *event);

/*
 * Hands it over a connected Unix socket (stream, seqpacket or datagram), with what it is. Both
 * follow the socket's blocking mode (-EAGAIN) and its receive time-out; a signal is -EINTR, a
 * closed peer -EPIPE. rbx_event_recv refuses, with -EPROTO, a message that is no event.
 */
RBX_API int rbx_event_send(int sock, const rbx_event *event);
RBX_API int rbx_event_recv(int sock, rbx_event **event);

/*
 * Makes an event of a descriptor that this program inherited; of the options only `manual` and
 * `set` matter. From then on it is the event's, which closes it, close-on-exec, and non-blocking
 * for everybody who shares it. -EINVAL when it is no eventfd, -ENOTSUP without /proc; then it is
 * left as it was. One made with EFD_SEMAPHORE counts instead: each wait takes one of its sets, and
 * so does a reset.
 */
RBX_API int rbx_event_from_fd(rbx_event **event, int fd, const rbx_event_options *options);

RBX_END_DECLS

#endif
