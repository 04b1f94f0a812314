/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* strip.cpp: the ratios of ours to the best peers, one line per case. */
#include "canvas.h"
#include "plot.h"
#include "text.h"

#include <algorithm>
#include <cmath>

namespace report
{

namespace
{

constexpr double row = 17, top = 62, edge = 4, foot = 26;

struct Line {
    const Case *of; /* null: the name of a group alone */
    std::string name;
};

std::vector<Line> lines_of(const Results &results, int counts[3])
{
    std::vector<Line> lines;
    for (const std::string &group : groups(results)) {
        bool first = true;
        for (const Case *c : cases_of(results, group))
            if (c->ratio) {
                if (first)
                    lines.push_back({nullptr, group});
                first = false;
                /* The group's name is above it already. */
                bool prefixed = c->name.compare(0, group.size() + 1, group + "/") == 0;
                lines.push_back({c, prefixed ? c->name.substr(group.size() + 1) : c->name});
                counts[static_cast<int>(side_of(*c->ratio))]++;
            }
    }
    return lines;
}

void axis(Canvas &canvas, double least, double most, double count, double width)
{
    bool room = width / std::log10(most / least) > 80; /* for two more marks a decade */
    for (double power = 1e-6; power <= 1e6; power *= 10)
        for (double step : {1.0, 2.0, 5.0}) {
            double x = power * step;
            bool is_one = std::fabs(x - 1) < 1e-9;
            if (x < least * 0.99 || x > most * 1.01 || (step > 1 && !room))
                continue;
            canvas << "set arrow from " + plain(x) + ", -0.5 to " + plain(x) + ", " +
                          plain(count - 0.5) + " nohead back linewidth " +
                          (is_one ? "1.5" : "0.7") + " linecolor " +
                          rgb(is_one ? ink::quiet : ink::grid);
            std::string label = number(x, x < 1 ? 1 : 6);
            canvas.label(x < 1 ? label : plain(std::round(x)), plain(x) + ", graph 1 offset 0, 0.7",
                         Align::center, 11, is_one ? ink::text : ink::quiet, is_one);
            canvas.label(x < 1 ? label : plain(std::round(x)),
                         plain(x) + ", graph 0 offset 0, -0.7", Align::center, 11,
                         is_one ? ink::text : ink::quiet, is_one);
        }
}

int colour_of(Side side)
{
    return side == Side::better ? ink::ours : side == Side::worse ? ink::worse : ink::peer;
}

/* Shapes say it as well as colours: a disc, a hollow one, a triangle that points down. */
const char *shape_of(Side side)
{
    return side == Side::better  ? "pointtype 7 pointsize 0.75"
           : side == Side::worse ? "pointtype 11 pointsize 0.85"
                                 : "pointtype 6 pointsize 0.9 linewidth 2";
}

} // namespace

Side side_of(const Spread &ratio)
{
    return ratio.min > 1 ? Side::better : ratio.max < 1 ? Side::worse : Side::draw;
}

std::optional<Picture> strip(const Results &results, Width width)
{
    int counts[3] = {};
    std::vector<Line> lines = lines_of(results, counts);
    if (lines.empty())
        return std::nullopt;
    double least = 0.5, most = 2, names = 0, rows = static_cast<double>(lines.size());
    bool wide = width == Width::wide;
    for (const Line &line : lines) {
        names = std::max(names, text_width(line.name, 11) + 14);
        if (line.of) {
            least = std::min(least, line.of->ratio->min);
            most = std::max(most, line.of->ratio->max);
        }
    }
    names = std::min(names, 0.3 * pixels(width));
    double side = wide ? 250 : 46, bottom = top + row * rows;
    Box box{edge + names, top, pixels(width) - side, bottom};
    Canvas canvas(pixels(width), static_cast<int>(bottom + foot));

    canvas.panel(box);
    canvas.label_at(wide ? "How many times better ringbox is than the best peer of the round"
                         : "Times better than the best peer",
                    edge, 10, Align::left, wide ? 14 : 12, ink::text, true);
    canvas.label_at(wide ? "logarithmic; 1 is a draw; lines: least to greatest of the rounds"
                         : "logarithmic; 1 is a draw; lines: the rounds",
                    edge, 28, Align::left, 11, ink::quiet);
    canvas << "set logscale x"
           << "set xrange [" + plain(least / 1.12) + ":" + plain(most * 1.12) + "]"
           << "set yrange [" + plain(rows - 0.5) + ":-0.5]";
    axis(canvas, least, most, rows, box.right - box.left);

    std::vector<std::vector<double>> points[3], ranges[3];
    for (size_t i = 0; i < lines.size(); i++) {
        std::string y = plain(static_cast<double>(i));
        const Case *c = lines[i].of;
        if (!c) {
            canvas.label(fitted(lines[i].name, pixels(width) / 2.0, 11),
                         "screen " + plain(edge / pixels(width)) + ", first " + y, Align::left, 11,
                         ink::text, true);
            continue;
        }
        Side at = side_of(*c->ratio);
        points[static_cast<int>(at)].push_back({c->ratio->median, static_cast<double>(i)});
        ranges[static_cast<int>(at)].push_back(
            {c->ratio->min, static_cast<double>(i), c->ratio->max - c->ratio->min, 0});
        canvas.label(fitted(lines[i].name, names - 8, 11),
                     "graph 0, first " + y + " offset -0.8, 0", Align::right, 11, ink::quiet);
        std::string right = "graph 1, first " + y + " offset ";
        canvas.label(number(c->ratio->median, c->ratio->median < 1 ? 2 : 3), right + "5, 0",
                     Align::right, 11, at == Side::worse ? ink::worse : ink::text,
                     at != Side::draw);
        if (wide)
            canvas.label(fitted(c->best_peer, side - 52, 11), right + "6.2, 0", Align::left, 11,
                         ink::quiet);
    }
    std::vector<std::string> elements;
    for (Side at : {Side::better, Side::draw, Side::worse})
        if (!points[static_cast<int>(at)].empty()) {
            elements.push_back(canvas.data(ranges[static_cast<int>(at)]) +
                               " with vectors nohead linewidth 2 linecolor " + rgb(colour_of(at)));
            elements.push_back(canvas.data(points[static_cast<int>(at)]) + " with points " +
                               shape_of(at) + " linecolor " + rgb(colour_of(at)));
        }
    canvas.plot(elements);
    return canvas.picture(
        "How many times better ringbox is than the best peer",
        "Of " + std::to_string(counts[0] + counts[1] + counts[2]) +
            " cases, ringbox is better in " +
            std::to_string(counts[static_cast<int>(Side::better)]) + ", worse in " +
            std::to_string(counts[static_cast<int>(Side::worse)]) + ", and in " +
            std::to_string(counts[static_cast<int>(Side::draw)]) +
            " the rounds lie on both sides of a draw. The numbers are in the table below.");
}

} // namespace report
