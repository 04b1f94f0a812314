/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sync-event.c: who dies or stops inside a call on an event. */
#include <errno.h>

#include "sync.h"

enum { MOMENT_NS = 2000000, TAKEN = 0, SETS = 1 };

static void open_event(struct stage *s)
{
    /* It sleeps at once: a spin is as long as a moment, instruction by instruction. */
    const rbx_event_options options = {.spin_ns = RBX_NO_SPIN};
    rbx_event *event = NULL;
    ANSWERS(s, 0, rbx_event_open(&event, s->name, &options));
    s->handle[0] = event;
}

static void set_it(struct stage *s)
{
    ANSWERS(s, 0, rbx_event_set(s->handle[0]));
}

static void set_once(struct stage *s)
{
    set_it(s);
    atomic_store(&s->page->word[SETS], 1);
}

static void open_set(struct stage *s)
{
    open_event(s);
    set_once(s);
}

/* Somebody has slept on it: SLEEPERS is on, and the next set calls the kernel. */
static void open_after_a_sleep(struct stage *s)
{
    open_event(s);
    ANSWERS(s, -ETIMEDOUT, rbx_event_wait_for(s->handle[0], 1000000));
}

static void close_event(struct stage *s)
{
    ANSWERS(s, 0, rbx_event_close(s->handle[0]));
    s->handle[0] = NULL;
}

static int call_set(struct stage *s)
{
    return rbx_event_set(s->handle[0]);
}

static int call_reset(struct stage *s)
{
    return rbx_event_reset(s->handle[0]);
}

static int call_wait(struct stage *s)
{
    return rbx_event_wait(s->handle[0]);
}

static int call_wait_for(struct stage *s)
{
    return rbx_event_wait_for(s->handle[0], MOMENT_NS);
}

static int call_try_wait(struct stage *s)
{
    return rbx_event_try_wait(s->handle[0]);
}

static int call_open(struct stage *s)
{
    rbx_event *event = NULL;
    int err = rbx_event_open(&event, s->name, NULL);
    s->handle[0] = event;
    return err;
}

static int call_close(struct stage *s)
{
    int err = rbx_event_close(s->handle[0]);
    s->handle[0] = NULL;
    return err;
}

/* --- The survivor --- */

/* Each set lets one through, as often as one likes. */
static void use(struct stage *s)
{
    for (int i = 0; i < 2; i++) {
        set_it(s);
        ANSWERS(s, 0, rbx_event_wait(s->handle[0]));
        ANSWERS(s, -EAGAIN, rbx_event_try_wait(s->handle[0]));
    }
}

/* Whether it lets the survivor through now. */
static bool takes(struct stage *s)
{
    int err = rbx_event_try_wait(s->handle[0]);
    HOLDS(s, err == 0 || err == -EAGAIN);
    return err == 0;
}

static bool was_taken(struct stage *s)
{
    return atomic_load(&s->page->word[TAKEN]);
}

static void take_beside(struct stage *s)
{
    if (takes(s))
        atomic_store(&s->page->word[TAKEN], 1);
}

static void look_beside(struct stage *s)
{
    int is = rbx_event_is_set(s->handle[0]);
    HOLDS(s, is == 0 || is == 1);
}

static void dead_setter(struct stage *s, bool returned)
{
    bool taken_now = takes(s);
    HOLDS(s, !returned || taken_now || was_taken(s));
    use(s);
}

/* It was set once: nobody else got through if the victim did. */
static void dead_waiter(struct stage *s, bool returned)
{
    bool taken_now = takes(s);
    HOLDS(s, !(taken_now && was_taken(s)));
    if (returned && atomic_load(&s->page->answer) == 0)
        HOLDS(s, !taken_now && !was_taken(s));
    use(s);
}

static void dead_visitor(struct stage *s, bool returned)
{
    (void)returned;
    use(s);
}

static void has_set_it(struct stage *s)
{
    ANSWERS(s, 0, atomic_load(&s->page->answer));
    bool taken_now = takes(s);
    HOLDS(s, taken_now || was_taken(s));
    use(s);
}

/* If it was set one of the two got through, whoever it was. */
static void may_have_got_through(struct stage *s)
{
    int32_t answer = atomic_load(&s->page->answer);
    HOLDS(s, answer == 0 || answer == -EAGAIN || answer == -ETIMEDOUT);
    bool taken_now = takes(s);
    HOLDS(s, (answer == 0) + taken_now + was_taken(s) == (int)atomic_load(&s->page->word[SETS]));
    use(s);
}

static void has_done_it(struct stage *s)
{
    ANSWERS(s, 0, atomic_load(&s->page->answer));
    use(s);
}

static void has_reset_it(struct stage *s)
{
    ANSWERS(s, 0, atomic_load(&s->page->answer));
    ANSWERS(s, -EAGAIN, rbx_event_try_wait(s->handle[0]));
    use(s);
}

/* clang-format off */
const struct act event_acts[] = {
    {"event/set", open_event, open_event, NULL, call_set,
     take_beside, dead_setter, has_set_it, close_event, close_event},
    {"event/set-after-a-sleep", open_after_a_sleep, open_event, NULL, call_set,
     take_beside, dead_setter, has_set_it, close_event, close_event},
    {"event/reset", open_set, open_event, NULL, call_reset,
     look_beside, dead_visitor, has_reset_it, close_event, close_event},
    {"event/wait", open_set, open_event, NULL, call_wait,
     look_beside, dead_waiter, may_have_got_through, close_event, close_event},
    {"event/try_wait", open_set, open_event, NULL, call_try_wait,
     take_beside, dead_waiter, may_have_got_through, close_event, close_event},
    {"event/wait_for", open_event, open_event, NULL, call_wait_for,
     set_once, dead_waiter, may_have_got_through, close_event, close_event},
    {"event/open", open_event, NULL, NULL, call_open,
     look_beside, dead_visitor, has_done_it, close_event, close_event},
    {"event/close", open_event, open_event, NULL, call_close,
     look_beside, dead_visitor, has_done_it, NULL, close_event},
    {0},
};
/* clang-format on */
