/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "tables.h"
#include "canvas.h"
#include "text.h"

#include <algorithm>
#include <map>
#include <set>

namespace report
{

namespace
{

/* As they are in the file, to six digits or to the unit. */
std::string raw(double value)
{
    char text[64];
    std::snprintf(text, sizeof text, value < 1e6 ? "%.6g" : "%.0f", value);
    return text;
}

std::string head(const std::vector<std::string> &cells)
{
    std::string row = "<thead><tr>";
    for (const std::string &cell : cells)
        row += "<th scope=\"col\">" + html(cell) + "</th>";
    return row + "</tr></thead>\n";
}

std::string first(const std::string &text)
{
    return "<th scope=\"row\">" + html(text) + "</th>";
}

std::string cell(const std::string &text, const char *kind = "")
{
    return std::string("<td") + (*kind ? std::string(" class=\"") + kind + "\"" : "") + ">" + text +
           "</td>";
}

const Contender *named(const Case &c, const std::string &name)
{
    for (const Contender &contender : c.contenders)
        if (contender.name == name)
            return &contender;
    return nullptr;
}

std::string shown(const Spread &spread, double factor)
{
    return number(spread.median * factor) + " <small>" + number(spread.min * factor) + "&#8211;" +
           number(spread.max * factor) + "</small>";
}

/* The least (or most) of those that are compared with each other. */
const Contender *best_of(const Case &c)
{
    const Contender *best = nullptr;
    for (const Contender &one : c.contenders) {
        if ((one.role != Role::ours && one.role != Role::peer) || !one.keeps_order ||
            c.better == Better::neither)
            continue;
        if (!best || (c.better == Better::less) == (one.median < best->median))
            best = &one;
    }
    return best;
}

std::string values_of(const Spread &spread)
{
    std::string text;
    for (double value : spread.values)
        text += (text.empty() ? "" : " ") + raw(value);
    return text;
}

std::string every_number_row(const Case &c, const std::string &of, const std::string &role,
                             const std::string &unit, const Spread &spread)
{
    return "<tr>" + first(c.name) + cell(html(of)) + cell(html(role)) + cell(html(unit)) +
           cell(raw(spread.median), "n") + cell(raw(spread.min), "n") + cell(raw(spread.max), "n") +
           cell(values_of(spread)) + "</tr>\n";
}

typedef std::map<double, std::string> Ranks; /* by how rare what lies beyond is */

std::string percentiles_row(const std::string &whose, const Percentiles &all, const Ranks &ranks)
{
    const std::map<double, double> points(all.points.begin(), all.points.end());
    std::string row = "<tr>" + first(whose);
    for (const auto &rank : ranks) {
        const auto at = points.find(rank.first);
        const bool few = all.count < rank.first;
        row += at == points.end()
                   ? cell("", "n")
                   : cell(raw(at->second) + (few ? " \xE2\x80\xA0" : ""), few ? "n few" : "n");
    }
    return row + cell(raw(all.max), "n") + cell(plain(all.count), "n") + "</tr>\n";
}

} // namespace

std::vector<std::string> contenders_of(const Cases &cases)
{
    std::vector<std::string> names;
    for (const Case *c : cases)
        for (const Contender &contender : c->contenders)
            if (std::find(names.begin(), names.end(), contender.name) == names.end())
                names.push_back(contender.name);
    return names;
}

std::string framed(const std::string &title, const std::string &rows)
{
    return "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"" + html(title) +
           "\"><table>\n<caption>" + html(title) + "</caption>\n" + rows + "</table></div>\n";
}

std::string with_range(const Spread &spread)
{
    return number(spread.median) + " (" + number(spread.min) + " to " + number(spread.max) + ")";
}

std::string medians_table(const std::string &title, const Cases &cases)
{
    std::vector<std::string> names = contenders_of(cases), titles = short_titles(cases);
    const std::string unit = common_unit(cases);
    bool has_ratio =
        std::any_of(cases.begin(), cases.end(), [](const Case *c) { return c->ratio.has_value(); });
    std::vector<std::string> columns_head = {"case"};
    if (unit.empty())
        columns_head.push_back("unit");
    if (has_ratio)
        columns_head.insert(columns_head.end(), {"times better", "than the best peer"});
    columns_head.insert(columns_head.end(), names.begin(), names.end());
    std::string rows = head(columns_head) + "<tbody>\n";
    for (size_t i = 0; i < cases.size(); i++) {
        const Case &c = *cases[i];
        Scale scale = unit_of(c);
        const Contender *best = best_of(c);
        rows += "<tr>" + first(titles[i]);
        if (unit.empty())
            rows += cell(html(scale.unit));
        if (has_ratio)
            rows += cell(c.ratio ? shown(*c.ratio, 1) : "", "n") + cell(html(c.best_peer));
        for (const std::string &name : names) {
            const Contender *one = named(c, name);
            rows +=
                one ? cell(shown(*one, scale.factor), one == best ? "n best" : "n") : cell("", "n");
        }
        rows += "</tr>\n";
    }
    return framed(title + (unit.empty() ? "" : ", " + unit), rows + "</tbody>");
}

std::string percentiles_table(const std::string &title, const Cases &cases)
{
    Ranks ranks;
    for (const Case *c : cases)
        for (const Contender &one : c->contenders)
            if (one.percentiles)
                for (size_t i = 0; i < one.percentiles->points.size(); i++)
                    ranks[one.percentiles->points[i].first] = one.percentiles->names[i];
    if (ranks.empty())
        return "";
    std::vector<std::string> columns_head = {"contender"};
    for (const auto &rank : ranks)
        columns_head.push_back(rank.second.substr(1) + "%");
    columns_head.insert(columns_head.end(), {"greatest", "samples"});
    std::string rows = head(columns_head);
    for (const Case *c : cases) {
        std::string of_case;
        for (const Contender &one : c->contenders)
            if (one.percentiles)
                of_case += percentiles_row(one.name, *one.percentiles, ranks);
        if (!of_case.empty())
            rows += "<tbody>\n<tr><th scope=\"rowgroup\" colspan=\"" +
                    std::to_string(columns_head.size()) + "\">" + html(c->title) + "</th></tr>\n" +
                    of_case + "</tbody>\n";
    }
    return framed(title, rows) +
           "<p class=\"note\">In ns. \xE2\x80\xA0: fewer samples than it takes for one to lie "
           "beyond; not drawn.</p>\n";
}

std::string every_number_table(const std::string &title, const Cases &cases)
{
    std::string rows = head({"case", "contender", "role", "unit", "median", "least", "greatest",
                             "round by round"}) +
                       "<tbody>\n";
    for (const Case *c : cases) {
        for (const Contender &one : c->contenders)
            rows += every_number_row(*c, one.name, name_of(one.role), c->unit, one);
        if (c->ratio)
            rows += every_number_row(*c, "best peer / ours", "ratio", "times better", *c->ratio);
        if (c->floor.round_trip)
            rows +=
                every_number_row(*c, "a word there and back", "floor", "ns", *c->floor.round_trip);
        if (c->floor.line)
            rows += every_number_row(*c, "a line in bulk", "floor", "ns", *c->floor.line);
    }
    return framed(title, rows + "</tbody>");
}

std::string ratios_table(const Results &results)
{
    std::string rows = head({"case", "times better", "rounds", "best peer", ""}) + "<tbody>\n";
    for (const Case &c : results.cases) {
        if (!c.ratio)
            continue;
        Side side = side_of(*c.ratio);
        rows += "<tr>" + first(c.title) + cell(number(c.ratio->median), "n") +
                cell(number(c.ratio->min) + "&#8211;" + number(c.ratio->max), "n") +
                cell(html(c.best_peer)) +
                (side == Side::better  ? cell("better", "good")
                 : side == Side::worse ? cell("worse", "bad")
                                       : cell("on both sides")) +
                "</tr>\n";
    }
    return framed("How many times better ringbox is than the best peer of the round",
                  rows + "</tbody>");
}

std::string targets_table(const Results &results)
{
    std::string rows = head({"target", "wanted", "measured", ""}) + "<tbody>\n";
    for (const Target &target : results.targets)
        rows += "<tr>" + first(target.what) +
                cell((target.is_least ? "at least " : "at most ") + plain(target.bound), "n") +
                cell(number(target.value), "n") +
                (target.met ? cell("&#10003; met", "good") : cell("&#10007; MISSED", "bad")) +
                "</tr>\n";
    return framed("What this run was to reach", rows + "</tbody>");
}

} // namespace report
