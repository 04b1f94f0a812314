/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* handle.h: a process's handle on an event. */
#ifndef RBX_EVENT_HANDLE_H
#define RBX_EVENT_HANDLE_H

#include <ringbox/event.h>

#include "../sync/object.h"
#include "word.h"

struct rbx_event {
    struct rbx_object object; /* of an fd event: none */
    struct rbx_event_view view;
    int fd; /* -1: not such an event */
};

static inline bool rbx_event_has_fd(const struct rbx_event *event)
{
    return event->fd >= 0;
}

/* Makes a handle for an eventfd that is this process's to close. */
int rbx_event_of_fd(rbx_event **event, int fd, bool manual);

/* -ENOTSUP and a sentence, unless it has a descriptor. */
int rbx_event_check_fd(const rbx_event *event);

#endif
