/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the slowest messages take when eight threads send to eight others on two cores. */
#include "case.h"
#include "many.h"
#include "rivals.h"
#include "tail.h"

#include <memory>
#include <string>

namespace
{

constexpr Shape shape = {8, 8};
constexpr std::chrono::milliseconds duration{500};
constexpr double slowest = 0.9999;

template <class Queue> Sample delays_of(const char *name)
{
    return {std::make_shared<Histogram>(delays<Queue>(name, shape, duration)), slowest};
}

int added = [] {
    Case &one = add_case("tail", "tail/8x8",
                         "MPMC, 8x8 threads on two cores, 8-byte messages: 99.99th percentile from "
                         "send to receive",
                         "ns");
    one.kind = "mpmc";
    one.size = 8;
    one.senders = shape.senders;
    one.receivers = shape.receivers;
    one.contend("ours", Role::ours, [] { return delays_of<many::Ours<8>>("ours"); });
    rivals::for_each<8>(
        shape.senders, shape.receivers, [&](const char *name, bool keeps_order, auto type) {
            typedef typename decltype(type)::type Queue;
            one.contend(
                name, Role::peer, [=] { return delays_of<Yielding<Queue>>(name); }, keeps_order);
        });
    one.contend("ours, strict", Role::variant, [] { return delays_of<many::Strict<8>>("strict"); });
    one.contend("mutex ring", Role::baseline, [] { return delays_of<many::Mutex<8>>("mutex"); });
    aim("MPMC, 8x8, 99.99th percentile: strict / default", one.name, "ours, strict", "ours",
        at_most(0.5));
    return 0;
}();

} // namespace
