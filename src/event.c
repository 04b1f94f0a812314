/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <ringbox/event.h>

#include <errno.h>
#include <stdlib.h>

#include "error.h"
#include "event/handle.h"
#include "os/clock.h"
#include "os/eventfd.h"
#include "os/thread.h"
#include "wait.h"

/* Behind the header, and alone in its line. */
struct body {
    rbx_atomic32 bits;
    uint8_t reserved[60];
};

_Static_assert(sizeof(struct rbx_object_header) + sizeof(struct body) == RBX_EVENT_BYTES, "layout");

enum { BUSY = 1, MANUAL = 2 };

static const char *name_of(const rbx_event *event)
{
    return rbx_event_has_fd(event) ? "of a descriptor" : rbx_object_name(&event->object);
}

/* ---- Made and joined ----------------------------------------------------------------------- */

static int format(void *memory, const struct rbx_object_plan *plan)
{
    const rbx_event_options *options = plan->options;
    struct body *body = (void *)((char *)memory + sizeof(struct rbx_object_header));
    /* Relaxed: nobody has seen it yet. */
    rbx_store_relaxed(&body->bits, options && options->set ? RBX_EVENT_SET : 0);
    return 0;
}

static const char *how_noun(uint32_t flags)
{
    return flags & BUSY ? "a busy event" : "an event to sleep on";
}

static const char *reset_noun(uint32_t flags)
{
    return flags & MANUAL ? "manual" : "automatic";
}

static int check(const struct rbx_object_shape *shape, const struct rbx_object_plan *plan,
                 const char *name)
{
    uint32_t is = shape->flags, wanted = plan->shape.flags;
    if (shape->size < RBX_EVENT_BYTES || is & ~(uint32_t)(BUSY | MANUAL))
        return rbx_fail(-EPROTO, "the header of event '%s' is damaged", name);
    if (plan->options && is != wanted)
        return rbx_fail(-EPROTO,
                        "'%s' is %s with %s reset; this program asked for %s with %s reset", name,
                        how_noun(is), reset_noun(is), how_noun(wanted), reset_noun(wanted));
    return 0;
}

/* Without options: any, and a new one as if they were all zero. */
static struct rbx_object_plan plan_for(const rbx_event_options *options)
{
    uint32_t flags =
        options ? (options->how == RBX_EVENT_BUSY ? BUSY : 0U) | (options->manual ? MANUAL : 0U)
                : 0;
    return (struct rbx_object_plan){
        .noun = "event",
        .shape = {.kind = RBX_OBJECT_EVENT, .flags = flags, .size = RBX_EVENT_BYTES},
        .options = options,
        .format = format,
        .check = check};
}

static int check_options(const rbx_event_options *options)
{
    return options && (unsigned)options->how > RBX_EVENT_FD
               ? rbx_fail(-EINVAL, "there is no kind of event number %d", (int)options->how)
               : 0;
}

static bool wants_fd(const rbx_event_options *options)
{
    return options && options->how == RBX_EVENT_FD;
}

/* A handle, whose object is still to be opened; NULL: no memory. */
static rbx_event *new_handle(void)
{
    rbx_event *made = calloc(1, sizeof *made);
    if (!made)
        rbx_fail(-ENOMEM, "cannot allocate an event handle: %m");
    else
        made->fd = -1;
    return made;
}

static uint32_t longest_spin(const rbx_event_options *options)
{
    uint32_t asked = options ? options->spin_ns : 0;
    if (asked == RBX_NO_SPIN)
        return 0;
    if (asked == 0)
        return RBX_SPIN_NS;
    return asked < RBX_SLICE_NS / 2 ? asked : (uint32_t)(RBX_SLICE_NS / 2);
}

static int finish(rbx_event **event, rbx_event *made, int err, const rbx_event_options *options)
{
    if (err < 0) {
        free(made);
        return err;
    }
    struct rbx_event_view *view = &made->view;
    view->bits = &((struct body *)rbx_object_body(&made->object))->bits;
    view->manual = made->object.shape.flags & MANUAL;
    view->busy = made->object.shape.flags & BUSY;
    view->in_process = made->object.in_process;
    view->single_core = rbx_thread_only_core() >= 0;
    view->most_ns = longest_spin(options) / (view->single_core ? RBX_SPIN_SHARE : 1);
    atomic_init(&view->spin_ns, view->most_ns);
    *event = made;
    return 0;
}

int rbx_event_of_fd(rbx_event **event, int fd, bool manual)
{
    rbx_event *made = new_handle();
    if (!made)
        return -ENOMEM;
    made->object = (struct rbx_object){.noun = "event", .locks = RBX_FD_CLOSED};
    made->view.manual = manual;
    made->fd = fd;
    *event = made;
    return 0;
}

static int open_fd(rbx_event **event, const rbx_event_options *options)
{
    int fd = rbx_eventfd_make(options->set);
    if (fd < 0)
        return rbx_fail(fd, "cannot make an eventfd: %m");
    int err = rbx_event_of_fd(event, fd, options->manual);
    if (err < 0)
        rbx_eventfd_close(fd);
    return err;
}

int rbx_event_open(rbx_event **event, const char *name, const rbx_event_options *options)
{
    *event = NULL;
    int err = check_options(options);
    if (err < 0)
        return err;
    if (wants_fd(options))
        return !name ? open_fd(event, options)
                     : rbx_fail(-EINVAL,
                                "an fd event has no name ('%s'): others get it by rbx_event_send",
                                name);
    const struct rbx_object_plan plan = plan_for(options);
    const rbx_box_options defaults = {.policy = RBX_LAST_ONE_OUT};
    rbx_event *made = new_handle();
    if (!made)
        return -ENOMEM;
    err = rbx_object_open(&made->object, name, &plan, options ? &options->box : &defaults);
    return finish(event, made, err, options);
}

int rbx_event_init(void *memory, size_t size, const rbx_event_options *options)
{
    int err = check_options(options);
    if (err < 0)
        return err;
    if (wants_fd(options))
        return rbx_fail(-EINVAL, "an fd event lives in no memory: others get it by rbx_event_send");
    const struct rbx_object_plan plan = plan_for(options);
    return rbx_object_init(memory, size, &plan);
}

int rbx_event_attach(rbx_event **event, rbx_box *box, void *memory, size_t size)
{
    *event = NULL;
    const struct rbx_object_plan plan = plan_for(NULL);
    rbx_event *made = new_handle();
    if (!made)
        return -ENOMEM;
    return finish(event, made, rbx_object_attach(&made->object, box, memory, size, &plan), NULL);
}

int rbx_event_close(rbx_event *event)
{
    if (!event)
        return 0;
    if (rbx_event_has_fd(event))
        rbx_eventfd_close(event->fd);
    int err = rbx_object_close(&event->object);
    free(event);
    return err;
}

/* ---- Set and reset ------------------------------------------------------------------------- */

/* An answer of the kernel's about the descriptor. */
static int of_fd(int err)
{
    return err < 0 ? rbx_fail(err, "cannot use the descriptor of an event: %m") : 0;
}

int rbx_event_set(rbx_event *event)
{
    if (rbx_event_has_fd(event))
        return of_fd(rbx_eventfd_set(event->fd));
    int err = rbx_object_check(&event->object);
    if (err == 0)
        rbx_event_word_set(&event->view);
    return err;
}

int rbx_event_reset(rbx_event *event)
{
    if (rbx_event_has_fd(event)) {
        int err = rbx_eventfd_take(event->fd);
        return err == -EAGAIN ? 0 : of_fd(err);
    }
    int err = rbx_object_check(&event->object);
    if (err == 0)
        rbx_event_word_reset(&event->view);
    return err;
}

int rbx_event_is_set(rbx_event *event)
{
    if (rbx_event_has_fd(event)) {
        int err = rbx_eventfd_wait(event->fd, 0);
        return err == -ETIMEDOUT ? 0 : err < 0 ? of_fd(err) : 1;
    }
    int err = rbx_object_check(&event->object);
    /* Acquire: as a wait that it would let through. E1. */
    return err < 0 ? err : (int)(rbx_load_acquire(event->view.bits) & RBX_EVENT_SET);
}

/* ---- Waiting ------------------------------------------------------------------------------- */

static int try_fd(const rbx_event *event)
{
    if (!event->view.manual)
        return rbx_eventfd_take(event->fd);
    int err = rbx_eventfd_wait(event->fd, 0);
    return err == -ETIMEDOUT ? -EAGAIN : err;
}

static int wait_for_fd(const rbx_event *event, uint64_t deadline)
{
    int err = try_fd(event);
    while (err == -EAGAIN) {
        err = rbx_eventfd_wait(event->fd, deadline);
        if (err < 0)
            return err;
        bool over = rbx_clock_monotonic() >= deadline;
        err = try_fd(event); /* another may have been faster to take it, again and again */
        if (err == -EAGAIN && over)
            return -ETIMEDOUT;
    }
    return err;
}

/* Why a wait has not got through. */
static int refused(const rbx_event *event, int err)
{
    switch (err) {
    case -ETIMEDOUT:
        return rbx_fail(err, "event '%s' was not set in time", name_of(event));
    case -EINTR:
        return rbx_fail(err, "a signal handler ran during the wait for event '%s'", name_of(event));
    default:
        return of_fd(err);
    }
}

int rbx_event_try_wait(rbx_event *event)
{
    if (rbx_event_has_fd(event)) {
        int err = try_fd(event);
        return err == -EAGAIN ? err : of_fd(err);
    }
    int err = rbx_object_check(&event->object);
    if (err < 0)
        return err;
    return rbx_event_word_take(&event->view) ? 0 : -EAGAIN;
}

static inline int answer(const rbx_event *event, int err)
{
    return err == 0 ? 0 : refused(event, err);
}

static int wait_until(rbx_event *event, uint64_t deadline)
{
    if (rbx_event_has_fd(event))
        return answer(event, wait_for_fd(event, deadline));
    int err = rbx_object_check(&event->object);
    return err < 0 ? err : answer(event, rbx_event_word_wait(&event->view, deadline));
}

int rbx_event_wait(rbx_event *event)
{
    return wait_until(event, RBX_FOREVER);
}

int rbx_event_wait_for(rbx_event *event, uint64_t timeout_ns)
{
    return wait_until(event, rbx_wait_deadline(timeout_ns));
}

/* ---- Descriptors --------------------------------------------------------------------------- */

int rbx_event_check_fd(const rbx_event *event)
{
    return rbx_event_has_fd(event)
               ? 0
               : rbx_fail(-ENOTSUP, "event '%s' is no fd event, and has no descriptor",
                          name_of(event));
}

int rbx_event_fd(const rbx_event *event)
{
    int err = rbx_event_check_fd(event);
    return err < 0 ? err : event->fd;
}

static int not_adopted(int fd, int err)
{
    if (err == -EINVAL)
        return rbx_fail(err, "descriptor %d is no eventfd", fd);
    if (err == -ENOTSUP)
        return rbx_fail(err, "cannot tell whether descriptor %d is an eventfd: there is no /proc",
                        fd);
    return rbx_fail(err, "cannot use descriptor %d: %m", fd);
}

int rbx_event_from_fd(rbx_event **event, int fd, const rbx_event_options *options)
{
    *event = NULL;
    rbx_event *made;
    int err = rbx_event_of_fd(&made, fd, options && options->manual);
    if (err < 0)
        return err;
    err = rbx_eventfd_adopt(fd);
    if (err == 0 && options && options->set)
        err = rbx_eventfd_set(fd);
    if (err < 0) {
        free(made);
        return not_adopted(fd, err);
    }
    *event = made;
    return 0;
}
