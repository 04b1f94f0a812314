/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How fast many threads can send to many, on two cores: ns a message. */
#include "case.h"
#include "crowd.h"
#include "many-bare.h"
#include "many.h"
#include "rivals.h"

#include <string>

namespace
{

constexpr uint64_t most_messages = 400000;
constexpr Shape shapes[] = {{1, 1}, {2, 2}, {4, 4}, {4, 1}, {1, 4}, {8, 8}};

/* As many as can be divided among eight. */
constexpr uint64_t messages_of(size_t size)
{
    return worth_of(size, most_messages) / 8 * 8;
}

template <class Queue, size_t size, size_t batch = 1>
double ordered_ns(const char *name, Shape shape, uint64_t total = messages_of(size))
{
    const Crossing crossing = cross<Queue, Message<size>, batch>(name, shape, total);
    if (crossing.behind > 0)
        fail(name, "messages overtook others of the same sender");
    return crossing.ns;
}

Case &add_many(const std::string &group, const std::string &name, const std::string &title,
               Shape shape, size_t size)
{
    const std::string bytes = std::to_string(size);
    Case &one =
        add_case(group, name, "MPMC, " + shape_name(shape) + " threads, " + title, "ns/message");
    one.kind = "mpmc";
    one.size = size;
    one.senders = shape.senders;
    one.receivers = shape.receivers;
    return one;
}

template <size_t size> Case &add_table(Shape shape)
{
    const std::string bytes = std::to_string(size);
    Case &one = add_many("many", "many/" + bytes + "/" + shape_name(shape),
                         bytes + "-byte messages", shape, size);
    auto ours = [&](const char *name, Role role, auto type) {
        typedef typename decltype(type)::type Queue;
        one.contend(name, role, [=] { return ordered_ns<Queue, size>(name, shape); });
    };
    ours("ours", Role::ours, Type<many::Ours<size>>());
    rivals::for_each<size>(
        shape.senders, shape.receivers, [&](const char *name, bool keeps_order, auto type) {
            typedef typename decltype(type)::type Queue;
            auto run = [=]() -> Sample {
                return keeps_order ? ordered_ns<Queue, size>(name, shape)
                                   : cross<Queue, Message<size>>(name, shape, messages_of(size)).ns;
            };
            one.contend(name, Role::peer, run, keeps_order);
        });
    ours("ours, polling", Role::variant, Type<many::Polled<size>>());
    ours("ours, strict", Role::variant, Type<many::Strict<size>>());
    ours("mutex ring", Role::baseline, Type<many::Mutex<size>>());
    return one;
}

void add_8(Shape shape)
{
    Case &one = add_table<8>(shape);
    const std::string what = "MPMC, " + shape_name(shape) + ", 8 bytes: ";
    one.is_quick = shape.senders == shape.receivers && shape.senders < 8;
    one.in_builds = true;
    if (shape.senders == 8 || shape.senders < shape.receivers)
        return;
    aim(what + "best peer / ours", one.name, best_peer, "ours", at_least(1.3));
    aim(what + "messages a second, strict / default", one.name, "ours", "ours, strict",
        at_least(0.4));
    aim(what + "mutex ring / ours", one.name, "mutex ring", "ours", at_least(5));
}

template <size_t size> void add_larger()
{
    for (Shape shape : {Shape{1, 1}, Shape{2, 2}, Shape{4, 4}, Shape{4, 1}}) {
        const Case &one = add_table<size>(shape);
        if (size <= 56)
            aim("MPMC, " + shape_name(shape) + ", " + std::to_string(size) +
                    " bytes: best peer that keeps the order / ours",
                one.name, best_in_order, "ours", at_least(1));
    }
}

template <size_t batch> void contend_batches(Case &one, Shape shape, Role role)
{
    one.contend(std::to_string(batch) + " a call", role,
                [=] { return ordered_ns<many::Ours<8>, 8, batch>("batches", shape); });
}

void add_batches(Shape shape)
{
    Case &one = add_many("batches", "batches/mpmc/" + shape_name(shape),
                         "8-byte messages, some a call", shape, 8);
    one.batch = 16;
    one.contend("one a call", Role::note,
                [=] { return ordered_ns<many::Ours<8>, 8>("ours", shape); });
    contend_batches<4>(one, shape, Role::variant);
    contend_batches<16>(one, shape, Role::ours);
    contend_batches<64>(one, shape, Role::variant);
    aim("MPMC, " + shape_name(shape) + ", 8 bytes: one by one / 16 a call", one.name, "one a call",
        "16 a call", at_least(2));
}

/* What the intent costs: little beside what one run differs from the next by, so there are many, by
   turns; the figure is the ratio of their sums. */
double intent_costs(Shape shape)
{
    constexpr int pairs = 41;
    constexpr uint64_t some = most_messages;
    double ours = 0, bare = 0;
    for (int i = 0; i < 2 * pairs; i++)
        if (i % 4 == 0 || i % 4 == 3)
            ours += ordered_ns<many::Ours<8>, 8>("ours", shape, some);
        else
            bare += cross_bare(shape, some).ns;
    return ours / bare;
}

void add_intent(Shape shape)
{
    Case &one = add_many("intent", "intent/" + shape_name(shape),
                         "8-byte messages: the store that makes a death harmless", shape, 8);
    one.unit = "times without it";
    one.contend("with the intent", Role::note, [=] { return intent_costs(shape); });
    aim("MPMC, " + shape_name(shape) + ", 8 bytes: with the intent / without", one.name,
        "with the intent", itself, at_most(1.05));
}

int added = [] {
    for (Shape shape : shapes)
        add_8(shape);
    add_larger<24>();
    add_larger<56>();
    add_larger<248>();
    add_larger<1024>();
    add_batches({1, 1});
    add_batches({2, 2});
    add_intent({1, 1});
    add_intent({2, 2});
    return 0;
}();

} // namespace
