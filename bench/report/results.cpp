/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "results.h"
#include "text.h"

#include <algorithm>
#include <set>

namespace report
{

void name_for_people(Results &results)
{
    for (Case &c : results.cases)
        for (Contender &one : c.contenders) {
            bool is_called_ours =
                one.name.compare(0, 4, "ours") == 0 &&
                (one.name.size() == 4 || one.name[4] == ',' || one.name[4] == ' ');
            if (is_called_ours &&
                (one.role == Role::ours || one.role == Role::variant || one.role == Role::note))
                one.name.replace(0, 4, "ringbox");
            if (!one.keeps_order)
                one.name += "*";
        }
}

const Contender *ours(const Case &c)
{
    for (const Contender &contender : c.contenders)
        if (contender.role == Role::ours)
            return &contender;
    return nullptr;
}

std::vector<std::string> groups(const Results &results)
{
    std::vector<std::string> all;
    for (const Case &c : results.cases)
        if (std::find(all.begin(), all.end(), c.group) == all.end())
            all.push_back(c.group);
    return all;
}

std::vector<const Case *> cases_of(const Results &results, const std::string &group)
{
    std::vector<const Case *> all;
    for (const Case &c : results.cases)
        if (c.group == group)
            all.push_back(&c);
    return all;
}

bool is_time_a_message(const Case &c)
{
    return c.unit == "ns/message" && c.better == Better::less;
}

std::vector<std::string> short_titles(const std::vector<const Case *> &cases)
{
    std::vector<std::string> brief, whole;
    for (const Case *c : cases) {
        std::string size = plain(c->size) + (c->size == 1 ? " byte" : " bytes");
        whole.push_back(c->title);
        if (c->group == "stream" && c->size > 0)
            brief.push_back(size);
        else if (c->group == "many" && c->senders > 0)
            brief.push_back(plain(c->senders) + " x " + plain(c->receivers) +
                            (c->size > 0 ? ", " + size : ""));
        else
            brief.push_back(c->title);
    }
    bool differ = std::set<std::string>(brief.begin(), brief.end()).size() == brief.size();
    return differ ? brief : whole;
}

size_t rounds(const Results &results)
{
    size_t most = 0;
    for (const Case &c : results.cases)
        for (const Contender &contender : c.contenders)
            most = std::max(most, contender.values.size());
    return most;
}

} // namespace report
