/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "html.h"
#include "gallery.h"
#include "style.h"
#include "tables.h"
#include "text.h"

#include <algorithm>

namespace report
{

namespace
{

std::string paragraph(const std::string &text, const char *kind = "")
{
    return std::string("<p") + (*kind ? std::string(" class=\"") + kind + "\"" : "") + ">" + text +
           "</p>\n";
}

std::string list(const std::vector<std::string> &items)
{
    std::string text = "<ul>\n";
    for (const std::string &item : items)
        text += "<li>" + item + "</li>\n";
    return text + "</ul>\n";
}

std::string fact(const char *what, const std::string &is)
{
    return std::string("<dt>") + what + "</dt><dd>" + is + "</dd>\n";
}

/* Both widths; the page shows the one that fits. */
std::string figure(const Hanging &hanging, size_t number)
{
    std::optional<Picture> wide = hanging.picture(Width::wide),
                           narrow = hanging.picture(Width::narrow);
    if (!wide || !narrow)
        return "";
    std::string id = "f" + std::to_string(number);
    return "<figure><div class=\"wide\">" + draw(*wide, id + "w") + "</div><div class=\"narrow\">" +
           draw(*narrow, id + "n") + "</div></figure>\n";
}

std::string minutes(double seconds)
{
    return seconds < 120 ? number(seconds, 2) + " s" : number(seconds / 60, 2) + " min";
}

std::string floor_text(const Floor &floor)
{
    std::string text;
    if (floor.round_trip)
        text += "a word there and back " + with_range(*floor.round_trip) + " ns";
    if (floor.line)
        text += std::string(text.empty() ? "" : "; ") + "a cache line in bulk " +
                with_range(*floor.line) + " ns";
    return text.empty() ? "not measured"
                        : text + ": what the bare machine takes, medians and range";
}

std::string facts(const Results &results)
{
    std::string cores, builds;
    for (int core : results.cores)
        cores += (cores.empty() ? "" : ", ") + std::to_string(core);
    for (const Build &build : results.builds)
        builds +=
            (builds.empty() ? "" : "; ") + build.name + ": " + build.compiler + " " + build.flags;
    return "<dl class=\"facts\">\n" +
           fact("Machine", html(results.cpu) + ", cores " +
                               html(cores.empty() ? "unknown" : cores) +
                               (results.one_core ? " (threads of one core)" : "") + ", " +
                               html(results.kernel) + ", " + html(results.libc)) +
           fact("Floor", html(floor_text(results.floor))) +
           fact("Run", "<code>" + html(results.command) + "</code> (" + html(results.mode) +
                           "), begun " + html(results.began) + ", took " + minutes(results.took_s) +
                           ", up to " + std::to_string(rounds(results)) + " rounds") +
           fact("Built", html(builds.empty() ? "unknown" : builds)) +
           fact("Source", "ringbox " + html(results.version) + ", commit " + html(results.commit)) +
           "</dl>\n";
}

std::string incomplete(const Results &results)
{
    return results.complete
               ? ""
               : paragraph(
                     "<strong>Incomplete run.</strong> It was interrupted: cases are missing, or "
                     "have fewer rounds than were meant.",
                     "banner");
}

std::string peers(const Results &results)
{
    std::vector<std::string> missing;
    std::string present;
    for (const Peer &peer : results.peers)
        if (peer.present)
            present += (present.empty() ? "" : ", ") + html(peer.name);
        else
            missing.push_back(html(peer.name));
    std::string text = paragraph("Measured: " + (present.empty() ? "none" : present) + ".");
    if (missing.empty())
        return text + paragraph("None was missing.");
    return text + paragraph("Missing on this machine, and so in no comparison here:") +
           list(missing);
}

std::string repeated(const Results &results)
{
    std::vector<std::string> cases;
    for (const Case &c : results.cases)
        if (c.repeated > 0)
            cases.push_back(
                html(c.title) + ": " + plain(c.repeated) +
                (c.unsteady > 0 ? "; and " + plain(c.unsteady) + " count all the same" : ""));
    return cases.empty()
               ? paragraph("No round had to be repeated.")
               : paragraph("Rounds that were repeated, for the floor had moved meanwhile:") +
                     list(cases);
}

std::string targets(const Results &results)
{
    if (results.targets.empty())
        return "";
    size_t met = 0;
    std::string missed;
    for (const Target &target : results.targets)
        if (target.met)
            met++;
        else
            missed += (missed.empty() ? "" : "; ") + html(target.what);
    std::string text =
        std::to_string(met) + " of " + std::to_string(results.targets.size()) + " targets met.";
    if (!missed.empty())
        text += " <span class=\"bad\">Missed:</span> " + missed + ".";
    return "<section id=\"targets\"><h2>Targets</h2>\n" + paragraph(text) + targets_table(results) +
           "</section>\n";
}

/* The other side of the picture, in words. */
std::string where_not(const Results &results)
{
    std::vector<std::string> behind;
    size_t all = 0;
    for (const Case &c : results.cases)
        if (c.ratio) {
            all++;
            if (c.ratio->median < 1)
                behind.push_back(html(c.title) + ": " + number(c.ratio->median, 2) +
                                 " times as good as " + html(c.best_peer));
        }
    if (behind.empty())
        return paragraph("In no case is the best peer ahead.");
    return paragraph("In " + std::to_string(behind.size()) + " of " + std::to_string(all) +
                     " cases the best peer is ahead:") +
           list(behind);
}

std::string section_of(const Results &results, const std::string &group, size_t index,
                       const std::vector<Hanging> &pictures)
{
    Cases cases = cases_of(results, group);
    About what = about(group);
    std::string text = "<section id=\"g" + std::to_string(index) + "\"><h2>" + html(what.title) +
                       "</h2>\n" + (what.text.empty() ? "" : paragraph(html(what.text)));
    bool lines_first = false;
    for (size_t i = 0; i < pictures.size(); i++) {
        if (pictures[i].group != group)
            continue;
        std::string drawn = figure(pictures[i], i);
        /* Bars of many cases are many: whoever wants them opens them. */
        bool is_more = lines_first && pictures[i].name == group;
        text += is_more ? "<details><summary>The same as bars, case by case</summary>\n" + drawn +
                              "</details>\n"
                        : drawn;
        lines_first = lines_first || (!drawn.empty() && pictures[i].name == group + "/scaling");
    }
    bool unordered = std::any_of(cases.begin(), cases.end(), [](const Case *c) {
        return std::any_of(c->contenders.begin(), c->contenders.end(),
                           [](const Contender &one) { return !one.keeps_order; });
    });
    text +=
        medians_table(what.title + ": medians, and from least to greatest of the rounds", cases);
    if (unordered)
        text += paragraph("*: may deliver what one sender sent in another order.", "note");
    text += percentiles_table(what.title + ": how many of a hundred take no longer", cases);
    return text + "<details><summary>Every number</summary>\n" +
           every_number_table(what.title + ": every number, round by round", cases) +
           "</details></section>\n";
}

std::string contents(const Results &results)
{
    std::string text = "<nav aria-label=\"Contents\"><ul>\n";
    if (!results.targets.empty())
        text += "<li><a href=\"#targets\">Targets</a></li>\n";
    text += "<li><a href=\"#ratios\">Beside the best peer</a></li>\n";
    size_t index = 0;
    for (const std::string &group : groups(results))
        text += "<li><a href=\"#g" + std::to_string(index++) + "\">" + html(about(group).title) +
                "</a></li>\n";
    return text + "<li><a href=\"#how\">How it was measured</a></li>\n</ul></nav>\n";
}

std::string how(const Results &results)
{
    return "<section id=\"how\"><h2>How it was measured</h2>\n" +
           paragraph(
               "All contenders of a case take turns on the same pinned cores, round by round, "
               "because such machines change from minute to minute: so times of two runs say "
               "little beside each other, and ratios within a round say more. Each number is "
               "the median of the rounds, with the least and the greatest. The best peer is "
               "the best of its round, also of those that may reorder messages (*).") +
           repeated(results) + "<h3>Peers</h3>\n" + peers(results) + "</section>\n";
}

} // namespace

std::string page(const Results &results)
{
    std::vector<Hanging> pictures = gallery(results);
    std::string text =
        "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n"
        "<head>\n<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" "
        "content=\"width=device-width, initial-scale=1\"/>\n<title>ringbox " +
        html(results.version) + ", measured</title>\n<style>" + style + dark_inks() +
        "</style>\n</head>\n<body><main>\n<header><h1>ringbox " + html(results.version) +
        ", measured</h1>\n" + paragraph(html(results.began) + " on " + html(results.cpu), "under") +
        "</header>\n";
    text += incomplete(results) + facts(results) + contents(results);
    for (size_t i = 0; i < pictures.size(); i++)
        if (pictures[i].name == "headline")
            text += figure(pictures[i], i);
    text += targets(results) + "<section id=\"ratios\"><h2>Beside the best peer</h2>\n";
    for (size_t i = 0; i < pictures.size(); i++)
        if (pictures[i].name == "strip")
            text += figure(pictures[i], i);
    text += where_not(results) + "<details><summary>As a table</summary>\n" +
            ratios_table(results) + "</details></section>\n";
    size_t index = 0;
    for (const std::string &group : groups(results))
        text += section_of(results, group, index++, pictures);
    return text + how(results) + "</main></body></html>\n";
}

} // namespace report
