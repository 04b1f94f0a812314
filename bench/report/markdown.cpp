/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "markdown.h"
#include "canvas.h"
#include "gallery.h"
#include "tables.h"
#include "text.h"

namespace report
{

namespace
{

std::string row(const std::vector<std::string> &cells)
{
    std::string text = "|";
    for (const std::string &cell : cells)
        text += " " + cell + " |";
    return text + "\n";
}

std::string code(const std::string &text)
{
    std::string safe = one_line(text);
    for (char &c : safe)
        if (c == '`')
            c = '\'';
    return "`" + safe + "`";
}

std::string source(const Results &results)
{
    std::string text = "Medians of up to " + std::to_string(rounds(results)) +
                       " rounds of one run of " + code(results.command) + ", begun " +
                       markdown_cell(results.began) + " at commit " +
                       markdown_cell(results.commit) + ", on " + markdown_cell(results.cpu);
    for (size_t i = 0; i < results.cores.size(); i++)
        text += (i ? " and " : ", cores ") + std::to_string(results.cores[i]);
    if (results.one_core)
        text += " (threads of one core)";
    text += ", " + markdown_cell(results.kernel) + ", " + markdown_cell(results.libc);
    for (size_t i = 0; i < results.builds.size() && i < 1; i++)
        text +=
            "; " + markdown_cell(results.builds[i].compiler) + " " + code(results.builds[i].flags);
    text += ".";
    if (results.floor.round_trip)
        text += " A word there and back took " + with_range(*results.floor.round_trip) + " ns.";
    if (results.floor.line)
        text += " A cache line in bulk took " + with_range(*results.floor.line) + " ns.";
    if (!results.complete)
        text += " **The run was interrupted, so this is not all.**";
    return text + "\n";
}

std::string table(const std::string &title, const Cases &cases)
{
    std::string unit = common_unit(cases);
    std::vector<std::string> names = contenders_of(cases), head = {""}, line;
    if (unit.empty())
        head.push_back("unit");
    for (const std::string &name : names)
        head.push_back(markdown_cell(name));
    head.push_back("times better than the best peer");
    std::string text = "\n" + markdown_cell(title + (unit.empty() ? "" : ", " + unit)) + ":\n\n" +
                       row(head) + row(std::vector<std::string>(head.size(), "---"));
    bool unordered = false;
    std::vector<std::string> titles = short_titles(cases);
    for (size_t i = 0; i < cases.size(); i++) {
        const Case *c = cases[i];
        Scale scale = unit_of(*c);
        line = {markdown_cell(titles[i])};
        if (unit.empty())
            line.push_back(markdown_cell(scale.unit));
        for (const std::string &name : names) {
            line.push_back("");
            for (const Contender &one : c->contenders)
                if (one.name == name) {
                    line.back() = number(one.median * scale.factor);
                    unordered = unordered || !one.keeps_order;
                }
        }
        line.push_back(c->ratio ? with_range(*c->ratio) + " " + markdown_cell(c->best_peer) : "");
        text += row(line);
    }
    if (unordered)
        text += "\n\\*: may deliver what one sender sent in another order.\n";
    return text;
}

} // namespace

std::string markdown(const Results &results, const std::vector<std::string> &wanted)
{
    std::vector<std::string> chosen = wanted;
    if (chosen.empty())
        chosen = {"stream", "many", "trip", "asleep"};
    std::string text = source(results);
    for (const std::string &group : chosen) {
        Cases cases = cases_of(results, group);
        if (cases.empty() && !wanted.empty())
            throw Complaint(one_line(results.file) + " has no group '" + one_line(group) + "'.");
        if (!cases.empty())
            text += table(about(group).title, cases);
    }
    return text;
}

} // namespace report
