/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "case.h"

#include "about.h"

/* Files add to these before main(): so they are made when first needed. */
std::deque<Case> &cases()
{
    static std::deque<Case> all;
    return all;
}

static std::deque<Aim> &all_aims()
{
    static std::deque<Aim> all;
    return all;
}

const std::deque<Aim> &aims()
{
    return all_aims();
}

Case &add_case(const std::string &group, const std::string &name, const std::string &title,
               const std::string &unit)
{
    Case one;
    one.group = group;
    one.name = name;
    one.title = title;
    one.unit = unit;
    cases().push_back(std::move(one));
    return cases().back();
}

void aim(const std::string &what, const std::string &of, const std::string &over,
         const std::string &under, Bound bound)
{
    all_aims().push_back({what, of, over, under, bound});
}

const std::vector<Peer> &peers()
{
    static const std::vector<Peer> all = {BENCH_PEERS};
    return all;
}
