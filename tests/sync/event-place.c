/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* event-place.c: where events live, how they are joined, and what is refused. */
#include <errno.h>
#include <string.h>

#include "../support/support.h"

TestSuite(event_place, .timeout = 60);

static rbx_event *event_of(int kind, bool manual)
{
    const rbx_event_options options = {.how = (rbx_event_how)kind, .manual = manual};
    rbx_event *event;
    succeeds(rbx_event_open(&event, NULL, &options));
    return event;
}

static rbx_event *named(const char *name, const rbx_event_options *options)
{
    rbx_event *event;
    succeeds(rbx_event_open(&event, name, options));
    return event;
}

static void closes(rbx_event *event)
{
    succeeds(rbx_event_close(event));
}

Test(event_place, keeps_a_box_open_that_it_is_attached_to)
{
    for (int kind = 0; kind < RBX_EVENT_FD; kind++) {
        const rbx_event_options options = {.how = (rbx_event_how)kind, .manual = true, .set = true};
        rbx_box *box = made(own_name("box"), 2 * RBX_EVENT_BYTES);
        char *memory = (char *)rbx_box_data(box) + RBX_EVENT_BYTES;
        rbx_event *event;
        succeeds(rbx_event_init(memory, RBX_EVENT_BYTES, &options));
        succeeds(rbx_event_attach(&event, box, memory, RBX_EVENT_BYTES));
        succeeds(rbx_event_wait(event));
        succeeds(rbx_event_wait(event));
        refuses(-EBUSY, "attached", rbx_box_close(box));
        closes(event);
        succeeds(rbx_box_close(box));
    }
}

Test(event_place, can_be_any_memory)
{
    _Alignas(64) char memory[RBX_EVENT_BYTES] = {0};
    rbx_event *event;
    succeeds(rbx_event_init(memory, sizeof memory, NULL));
    succeeds(rbx_event_attach(&event, NULL, memory, sizeof memory));
    succeeds(rbx_event_set(event));
    succeeds(rbx_event_wait(event));
    refuses(-ETIMEDOUT, "'in memory' was not set", rbx_event_wait_for(event, 1000));
    closes(event);
    closes(NULL);
}

Test(event_place, can_be_waited_for_by_spins_of_any_length)
{
    const uint32_t lengths[] = {1, RBX_SPIN_NS, RBX_NO_SPIN - 1, RBX_NO_SPIN};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        rbx_event *event = named(NULL, &(rbx_event_options){.spin_ns = lengths[i]});
        refuses(-ETIMEDOUT, "not set in time", rbx_event_wait_for(event, 1000000));
        succeeds(rbx_event_set(event));
        succeeds(rbx_event_wait(event));
        closes(event);
    }
}

Test(event_place, goes_with_its_last_user_and_leaves_nothing)
{
    const char *name = own_name("event");
    int descriptors = open_descriptors(), mappings = box_mappings();
    rbx_event *one = named(name, NULL), *other = named(name, NULL);
    closes(one);
    cr_assert(exists(shm_path(name)));
    succeeds(rbx_event_set(other));
    closes(other);
    cr_assert_not(exists(shm_path(name)));
    closes(event_of(RBX_EVENT_FD, false));
    cr_assert_eq(open_descriptors(), descriptors);
    cr_assert_eq(box_mappings(), mappings);
}

static int uses_what_it_inherited(void *event)
{
    return rbx_event_set(event) != -EBADF || rbx_event_reset(event) != -EBADF ||
           rbx_event_wait(event) != -EBADF || rbx_event_try_wait(event) != -EBADF ||
           rbx_event_wait_for(event, 1) != -EBADF || rbx_event_is_set(event) != -EBADF ||
           rbx_event_close(event) != 0;
}

Test(event_place, in_a_box_is_not_the_childs_after_fork)
{
    rbx_event *event = named(own_name("event"), NULL);
    cr_assert_eq(in_child(uses_what_it_inherited, event), 0);
    succeeds(rbx_event_set(event));
    closes(event);
}

Test(event_place, without_a_name_is_not_the_childs_after_fork)
{
    for (int kind = 0; kind < RBX_EVENT_FD; kind++) {
        rbx_event *event = event_of(kind, false);
        cr_assert_eq(in_child(uses_what_it_inherited, event), 0);
        succeeds(rbx_event_set(event));
        closes(event);
    }
}

/* ---- What is refused ----------------------------------------------------------------------- */

Test(event_place, is_joined_only_as_what_it_is)
{
    const char *name = own_name("event");
    rbx_event *second;
    for (unsigned is = 0; is < 4; is++) {
        const rbx_event_options made_as = {.how = (rbx_event_how)(is & 1), .manual = is >> 1};
        rbx_event *event = named(name, &made_as);
        for (unsigned asked = 0; asked < 4; asked++) {
            const rbx_event_options asks = {.how = (rbx_event_how)(asked & 1),
                                            .manual = asked >> 1};
            if (asked != is)
                refuses(-EPROTO, "this program asked for", rbx_event_open(&second, name, &asks));
            else
                closes(named(name, &asks));
        }
        closes(named(name, NULL)); /* who asks for nothing joins any */
        closes(event);
    }
}

Test(event_place, refuses_what_makes_no_sense)
{
    const char *name = own_name("event");
    rbx_event *event;
    _Alignas(64) char memory[RBX_EVENT_BYTES] = {0};
    const rbx_event_options strange = {.how = (rbx_event_how)7}, fd = {.how = RBX_EVENT_FD};
    refuses(-EINVAL, "number 7", rbx_event_open(&event, name, &strange));
    cr_assert_null(event);
    refuses(-EINVAL, "number 7", rbx_event_init(memory, sizeof memory, &strange));
    refuses(-EINVAL, "has no name", rbx_event_open(&event, name, &fd));
    cr_assert_null(event);
    refuses(-EINVAL, "lives in no memory", rbx_event_init(memory, sizeof memory, &fd));
    refuses(-EINVAL, "128 bytes", rbx_event_init(memory, 64, NULL));
    refuses(-EPROTO, "no event", rbx_event_attach(&event, NULL, memory, sizeof memory));
    const rbx_event_options sized = {.box = {.size = 4096}};
    refuses(-EINVAL, "not yours to say", rbx_event_open(&event, name, &sized));
    const rbx_event_options joins = {.box = {.how = RBX_OPEN_ONLY}};
    refuses(-ENOENT, "there is no box", rbx_event_open(&event, name, &joins));

    rbx_mutex *mutex;
    succeeds(rbx_mutex_open(&mutex, name, NULL));
    refuses(-EPROTO, "no event", rbx_event_open(&event, name, NULL));
    succeeds(rbx_mutex_close(mutex));

    event = event_of(RBX_EVENT_FUTEX, false);
    refuses(-ENOTSUP, "no fd event", rbx_event_fd(event));
    refuses(-ENOTSUP, "no fd event", rbx_event_send(0, event));
    closes(event);
}

Test(event_place, refuses_a_damaged_header)
{
    _Alignas(64) char memory[RBX_EVENT_BYTES] = {0}, bad[RBX_EVENT_BYTES];
    rbx_event *event;
    succeeds(rbx_event_init(memory, sizeof memory, NULL));
    static const struct {
        size_t at;
        const char *says;
    } faults[] = {{0, "is no event"},     {8, "byte order"}, {12, "version"},
                  {16, "something else"}, {20, "damaged"},   {40, "damaged"}};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        memcpy(bad, memory, sizeof bad);
        bad[faults[i].at] ^= 0x7e;
        refuses(-EPROTO, faults[i].says, rbx_event_attach(&event, NULL, bad, sizeof bad));
    }
}

Test(event_place, with_nonsense_in_its_word_neither_hangs_nor_crashes)
{
    static const uint32_t nonsense[] = {0xffffffffU, 0xfffffffeU, 0xfffffffdU,
                                        0xfffffffcU, 0x80000002U, 0xdeadbeefU};
    for (int kind = 0; kind < RBX_EVENT_FD; kind++)
        for (size_t i = 0; i < 2 * sizeof nonsense / sizeof *nonsense; i++) {
            const rbx_event_options options = {.how = (rbx_event_how)kind, .manual = i & 1};
            _Alignas(64) char memory[RBX_EVENT_BYTES] = {0};
            rbx_event *event;
            succeeds(rbx_event_init(memory, sizeof memory, &options));
            succeeds(rbx_event_attach(&event, NULL, memory, sizeof memory));
            *(_Atomic uint32_t *)(void *)(memory + 64) = nonsense[i / 2];
            cr_assert_eq((uint32_t)rbx_event_is_set(event), nonsense[i / 2] & 1);
            int err = rbx_event_wait_for(event, 1000000);
            cr_assert_eq(err, nonsense[i / 2] & 1 ? 0 : -ETIMEDOUT);
            /* It goes on from there, also where the count of its resets passes 2^30. */
            for (int n = 0; n < 3; n++) {
                succeeds(rbx_event_reset(event));
                cr_assert_eq(rbx_event_is_set(event), 0);
                succeeds(rbx_event_set(event));
                succeeds(rbx_event_wait(event));
            }
            closes(event);
        }
}
