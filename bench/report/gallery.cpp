/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "gallery.h"

#include <map>

namespace report
{

About about(const std::string &group)
{
    static const std::map<std::string, About> known = {
        {"stream",
         {"One sender, one receiver",
          "Messages from one thread to another as fast as both can, one message a call. The tables "
          "say how long a message takes, the bars how many that is in a second."}},
        {"many",
         {"Many senders, many receivers",
          "All send and receive at once, senders x receivers. Where there are more of them than "
          "cores, they take turns, and a queue in which one waits for another that is not running "
          "is slow."}},
        {"batches", {"Batches", "Several messages a call, which share what a call costs."}},
        {"place", {"In place", "Written where they are read, beside copied there."}},
        {"processes",
         {"From process to process", "The same through shared memory, between two processes."}},
        {"trip",
         {"There and back, awake",
          "One message there, one back; both sides poll. Half of it is one way."}},
        {"rate",
         {"Late messages at a steady rate",
          "Messages are due at fixed times, and each is counted from when it was due: what a late "
          "one "
          "holds up is late as well (that is the correction for coordinated omission)."}},
        {"asleep",
         {"There and back, asleep",
          "Each side falls asleep before its message comes, and has to be woken; but ringbox by "
          "default spins a little first, which the one compared here does not."}},
        {"poll", {"In an event loop", "Waiting on many at once, or beside other descriptors."}},
        {"intent",
         {"What it costs that a death is harmless",
          "The ring, over the same without the one store that repair goes by."}},
        {"idle", {"Idle", "What it costs to wait for what does not come."}},
        {"tail",
         {"More threads than cores",
          "How long the slowest take when the scheduler may stop anybody at any time."}},
        {"box", {"Opening and closing", "Beside the bare system calls."}},
        {"sync", {"Locks, events, semaphores, shared values", "Beside what does the same."}},
        {"memory", {"Memory", "Counted in bytes, headers and seats included."}},
        {"builds", {"Compilers and their flags", "The same code, built otherwise."}}};
    auto found = known.find(group);
    return found == known.end() ? About{group, ""} : found->second;
}

std::vector<Hanging> gallery(const Results &results)
{
    std::vector<Hanging> all;
    all.push_back({"headline", "", [&](Width width) { return headline(results, width); }});
    all.push_back({"strip", "", [&](Width width) { return strip(results, width); }});
    for (const std::string &group : groups(results)) {
        Cases cases = cases_of(results, group);
        std::string title = about(group).title;
        if (group == "many")
            all.push_back({group + "/scaling", group,
                           [=](Width width) { return scaling(title, cases, width); }});
        all.push_back({group, group, [=](Width width) {
                           return std::optional<Picture>(bars(title, cases, width));
                       }});
        all.push_back({group + "/percentiles", group,
                       [=](Width width) { return percentiles(title, cases, width); }});
    }
    return all;
}

} // namespace report
