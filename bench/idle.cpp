/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What waiting costs that nobody ends: the core's time, and how often it wakes. */
#include "case.h"
#include "queues.h"

#include <cerrno>
#include <ctime>
#include <sys/resource.h>

namespace
{

double thread_cpu_ns()
{
    timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) * 1e9 + static_cast<double>(used.tv_nsec);
}

/* How often this thread has gone to sleep. */
double sleeps()
{
    rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return static_cast<double>(usage.ru_nvcsw);
}

constexpr uint64_t wait_ns = 1000000000;

template <class Count> double a_second(Count count, rbx_wait_how how)
{
    Ours<24> ring;
    ring.wait_by(how);
    Message24 message;
    const double begun = now_ns(), before = count();
    if (SpscCalls<24>::ring_recv_for(ring.receiver(), &message, wait_ns) != -ETIMEDOUT)
        give_up("idle", "a message came");
    return (count() - before) / (now_ns() - begun);
}

int added = [] {
    Case &cpu = add_case("idle", "idle/cpu", "a receiver for whom there is nothing", "% of a core");
    cpu.most_rounds = 3;
    cpu.is_quick = true;
    cpu.contend("ours", Role::ours, [] { return 100 * a_second(thread_cpu_ns, RBX_WAIT_SLEEP); });
    cpu.contend("ours, spinning", Role::variant,
                [] { return 100 * a_second(thread_cpu_ns, RBX_WAIT_SPIN); });
    aim("percent of a core that an idle receiver takes", cpu.name, "ours", itself, at_most(0.1));
    Case &wakes =
        add_case("idle", "idle/wakes", "a receiver for whom there is nothing", "sleeps a second");
    wakes.most_rounds = 3;
    wakes.contend("ours", Role::ours, [] { return 1e9 * a_second(sleeps, RBX_WAIT_SLEEP); });
    return 0;
}();

} // namespace
