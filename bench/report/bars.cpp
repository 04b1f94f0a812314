/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bars.cpp: pictures in which the length of a bar is what was measured, and so begins at 0. */
#include "canvas.h"
#include "plot.h"
#include "text.h"

#include <algorithm>
#include <cmath>

namespace report
{

namespace
{

constexpr double row_height = 17, head = 40, foot = 16, gap = 28, edge = 4;
constexpr double ticks = 16; /* below a panel with a scale */

/* Where lengths would differ that much, the short ones vanish: points on a logarithmic scale then.
 */
constexpr double too_far_apart = 40;

struct Bar {
    std::string name;
    Role role;
    double value, least, most;
};

std::vector<Bar> bars_of(const Case &c, const Scale &scale)
{
    std::vector<Bar> all;
    for (const Contender &contender : c.contenders) {
        double a = scale(contender.min), b = scale(contender.max);
        all.push_back({contender.name, contender.role, scale(contender.median), std::min(a, b),
                       std::max(a, b)});
    }
    auto undrawable = [](const Bar &bar) { return !drawable(bar.value) || !drawable(bar.most); };
    all.erase(std::remove_if(all.begin(), all.end(), undrawable), all.end());
    return all;
}

bool by_logarithm(const std::vector<Bar> &all, const Scale &scale)
{
    double least = INFINITY, most = 0;
    for (const Bar &bar : all) {
        least = std::min(least, bar.least);
        most = std::max(most, bar.most);
    }
    return !scale.is_rate && least > 0 && most / least > too_far_apart;
}

double height_of(const Case &c)
{
    Scale scale = scale_of(c);
    std::vector<Bar> all = bars_of(c, scale);
    return head + row_height * static_cast<double>(all.size()) + foot +
           (by_logarithm(all, scale) ? ticks : 0);
}

std::string upper_end(double value)
{
    return "set xrange [0:" + plain(value) + "]";
}

void logarithmic_axis(Canvas &canvas, const std::vector<Bar> &all)
{
    double least = INFINITY, most = 0;
    for (const Bar &bar : all) {
        least = std::min(least, bar.least);
        most = std::max(most, bar.most);
    }
    int from = static_cast<int>(std::floor(std::log10(least))),
        to = static_cast<int>(std::ceil(std::log10(most * 2.5)));
    canvas << "set logscale x"
           << "set xrange [1e" + std::to_string(from) + ":1e" + std::to_string(to) + "]";
    std::string rows = std::to_string(all.size()) + "-0.5";
    for (int power = from; power <= to; power++) {
        std::string x = "1e" + std::to_string(power);
        canvas << "set arrow from " + x + ", -0.5 to " + x + ", " + rows +
                      " nohead back linewidth 0.7 linecolor " + rgb(ink::grid);
        if (to - from < 6 || (power - from) % 2 == 0)
            canvas.label(power < 4 ? plain(std::pow(10, power)) : brief(std::pow(10, power)),
                         x + ", graph 0 offset 0, -0.7", power == to ? Align::right : Align::center,
                         10, ink::quiet);
    }
}

void panel(Canvas &canvas, const Case &c, const std::string &title, const Box &box)
{
    Scale scale = scale_of(c);
    std::vector<Bar> all = bars_of(c, scale);
    double width = box.right - box.left, names = 0, most = 0;
    bool logarithm = by_logarithm(all, scale);
    for (const Bar &bar : all) {
        names = std::max(names, text_width(bar.name, 11) + 12);
        most = std::max(most, bar.most);
    }
    names = std::min(names, 0.52 * width);
    Box inner{box.left + names, box.top + head, box.right,
              box.top + head + row_height * static_cast<double>(all.size())};
    double room = inner.right - inner.left;

    canvas.panel(inner);
    canvas.label_at(fitted(title, width, 13), box.left, box.top + 9, Align::left, 13, ink::text,
                    true);
    std::string unit = scale.unit + (direction(c, scale).empty() ? "" : ", ") +
                       direction(c, scale) + (logarithm ? "; logarithmic" : "");
    canvas.label_at(fitted(unit, width, 11), box.left, box.top + 26, Align::left, 11, ink::quiet);
    canvas << "set yrange [" + plain(static_cast<double>(all.size()) - 0.5) + ":-0.5]";
    if (logarithm)
        logarithmic_axis(canvas, all);
    else /* so that the number still fits behind the longest */
        canvas << upper_end(most > 0 ? most * room / std::max(room - 62, 30.0) : 1);

    std::vector<std::vector<double>> shapes, ranges;
    for (size_t i = 0; i < all.size(); i++) {
        const Bar &bar = all[i];
        double y = static_cast<double>(i), rgb_value = colour_of(bar.role);
        bool is_ours = bar.role == Role::ours;
        shapes.push_back({bar.value, y, 0, bar.value, y - 0.36, y + 0.36, rgb_value});
        ranges.push_back({bar.least, y, bar.most - bar.least, 0});
        std::string row = plain(y);
        canvas.label(fitted(bar.name, names - 8, 11), "graph 0, first " + row + " offset -0.8, 0",
                     Align::right, 11, is_ours ? ink::text : ink::quiet, is_ours);
        canvas.label(brief(bar.value), plain(bar.most) + ", " + row + " offset 0.8, 0", Align::left,
                     11, is_ours ? ink::text : ink::quiet, is_ours);
    }
    if (all.empty()) {
        canvas << "set xrange [0:1]"
               << "set yrange [0:1]";
        canvas.plot({});
        return;
    }
    std::string values = canvas.data(shapes), whiskers = canvas.data(ranges);
    std::string thin =
        whiskers + " using 1:2:3:4 with vectors nohead linewidth 1 linecolor " + rgb(ink::text);
    if (logarithm)
        canvas.plot({thin, values + " using 1:2:7 with points pointtype 7 pointsize 0.7 "
                                    "linecolor rgb variable"});
    else
        canvas.plot({values + " using 1:2:3:4:5:6:7 with boxxyerror fillstyle solid 1 noborder "
                              "linecolor rgb variable",
                     thin});
}

std::string seen_in(const Cases &cases)
{
    std::string text = "In each panel a bar for each contender, with a line from the least to the "
                       "greatest of the rounds. The numbers are in the table below.";
    for (const Case *c : cases)
        if (const Contender *it = ours(*c)) {
            Scale scale = scale_of(*c);
            text +=
                " " + c->title + ": ringbox " + number(scale(it->median)) + " " + scale.unit + ".";
        }
    return text;
}

} // namespace

Picture bars(const std::string &title, const Cases &cases, Width width)
{
    size_t abreast = width == Width::wide && cases.size() > 1 ? 2 : 1;
    double column = (pixels(width) - 2 * edge - gap * static_cast<double>(abreast - 1)) /
                    static_cast<double>(abreast);
    std::vector<double> tops = {edge};
    for (size_t i = 0; i < cases.size(); i += abreast) {
        double tallest = 0;
        for (size_t j = i; j < std::min(i + abreast, cases.size()); j++)
            tallest = std::max(tallest, height_of(*cases[j]));
        tops.push_back(tops.back() + tallest);
    }
    Canvas canvas(pixels(width), static_cast<int>(std::ceil(tops.back())));
    std::vector<std::string> titles = short_titles(cases);
    for (size_t i = 0; i < cases.size(); i++) {
        double left = edge + static_cast<double>(i % abreast) * (column + gap);
        panel(canvas, *cases[i], titles[i], {left, tops[i / abreast], left + column, 0});
    }
    return canvas.picture(title, seen_in(cases));
}

std::optional<Picture> headline(const Results &results, Width width)
{
    Cases cases;
    for (const Case *c : cases_of(results, "stream"))
        if (is_time_a_message(*c) && c->size > 0 && c->size <= 256)
            cases.push_back(c);
    if (cases.empty())
        return std::nullopt;
    Styles styles = styles_of(cases);
    double most = 0, across = pixels(width), key = legend_height(styles, across - 2 * edge);
    for (const Case *c : cases)
        for (const Bar &bar : bars_of(*c, scale_of(*c)))
            most = std::max(most, bar.most);
    double top = 44 + key, tall = width == Width::wide ? 250 : 220;
    Canvas canvas(pixels(width), static_cast<int>(top + tall + 44));

    legend(canvas, styles, {edge, 40, across - edge, 40 + key}, Key::bars);
    canvas.panel({46, top, across - edge, top + tall});
    canvas.label_at("One sender, one receiver: throughput", edge, 10, Align::left, 14, ink::text,
                    true);
    canvas.label_at("million messages a second, longer is better; lines: rounds", edge, 28,
                    Align::left, 11, ink::quiet);
    canvas.label_at("bytes a message", (46 + across) / 2, top + tall + 34, Align::center, 11,
                    ink::quiet);
    canvas << "set xrange [-0.5:" + plain(static_cast<double>(cases.size()) - 0.5) + "]"
           << "set yrange [0:" + plain(most > 0 ? most * 1.08 : 1) + "]"
           << "set ytics scale 0 font ',11' textcolor " + rgb(ink::quiet)
           << "set grid ytics back linetype 1 linewidth 0.7 linecolor " + rgb(ink::grid);

    double slot = 0.86 / static_cast<double>(styles.size());
    std::vector<std::vector<double>> shapes, ranges;
    for (size_t i = 0; i < cases.size(); i++) {
        canvas.label(plain(cases[i]->size),
                     plain(static_cast<double>(i)) + ", graph 0 offset 0, -0.9", Align::center, 12,
                     ink::text);
        for (const Bar &bar : bars_of(*cases[i], scale_of(*cases[i]))) {
            size_t at = 0;
            while (styles[at].first != bar.name)
                at++;
            double left = static_cast<double>(i) - 0.43 + slot * static_cast<double>(at),
                   x = left + slot / 2;
            shapes.push_back({x, bar.value, left + slot * 0.06, left + slot * 0.94, 0, bar.value,
                              static_cast<double>(styles[at].second.colour)});
            ranges.push_back({x, bar.least, 0, bar.most - bar.least});
            if (bar.role == Role::ours && width == Width::wide)
                canvas.label(number(bar.value),
                             plain(x) + ", " + plain(bar.most) + " offset 0, 0.5", Align::center,
                             11, ink::text, true);
        }
    }
    std::string values = canvas.data(shapes), whiskers = canvas.data(ranges);
    canvas.plot(
        {values + " using 1:2:3:4:5:6:7 with boxxyerror fillstyle solid 1 noborder "
                  "linecolor rgb variable",
         whiskers + " using 1:2:3:4 with vectors nohead linewidth 1 linecolor " + rgb(ink::text)});
    return canvas.picture("One sender, one receiver: millions of messages a second",
                          seen_in(cases));
}

} // namespace report
