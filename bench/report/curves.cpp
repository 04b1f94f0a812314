/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* curves.cpp: pictures in which a line follows one contender. */
#include "canvas.h"
#include "plot.h"
#include "text.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

namespace report
{

namespace
{

constexpr double gap = 30, edge = 4, head = 44, axis = 46, right = 22, foot = 44;

/* Panels of the same size side by side, under a legend. */
struct Grid {
    double top, column, tall;
    size_t abreast, count;

    Grid(const Styles &styles, size_t panels, Width width, double tall_panel)
        : top(legend_height(styles, pixels(width) - 2 * edge)), column(0), tall(tall_panel),
          abreast(width == Width::wide && panels > 1 ? 2 : 1), count(panels)
    {
        column = (pixels(width) - 2 * edge - gap * static_cast<double>(abreast - 1)) /
                 static_cast<double>(abreast);
    }

    int height() const
    {
        return static_cast<int>(top + static_cast<double>((count + abreast - 1) / abreast) *
                                          (head + tall + foot));
    }

    /* The inside of a panel's axes. */
    Box box(size_t i) const
    {
        double left = edge + static_cast<double>(i % abreast) * (column + gap),
               y = top + static_cast<double>(i / abreast) * (head + tall + foot) + head;
        return {left + axis, y, left + column - right, y + tall};
    }
};

void titles(Canvas &canvas, const Box &box, const std::string &title, const std::string &unit)
{
    double left = box.left - axis, width = box.right - left;
    canvas.label_at(fitted(title, width, 13), left, box.top - 34, Align::left, 13, ink::text, true);
    canvas.label_at(fitted(unit, width, 11), left, box.top - 17, Align::left, 11, ink::quiet);
}

void height_axis(Canvas &canvas)
{
    canvas << "set ytics scale 0 font ',10' textcolor " + rgb(ink::quiet)
           << "set grid ytics back linetype 1 linewidth 0.7 linecolor " + rgb(ink::grid);
}

using Place = std::tuple<double, double, double>; /* all of them, senders, receivers */

Place place_of(const Case &c)
{
    return {c.senders + c.receivers, c.senders, c.receivers};
}

void scaling_panel(Canvas &canvas, const Cases &cases, const std::map<Place, double> &places,
                   const Styles &styles, const Box &box)
{
    Scale scale = scale_of(*cases[0]);
    double most = 0;
    std::map<std::string, std::vector<std::vector<double>>> lines;
    for (const Case *c : cases)
        for (const Contender &contender : c->contenders) {
            double value = scale(contender.median);
            if (!drawable(value))
                continue;
            lines[contender.name].push_back({places.at(place_of(*c)), value});
            most = std::max(most, value);
        }
    canvas.panel(box);
    height_axis(canvas);
    titles(canvas, box, plain(cases[0]->size) + " bytes a message",
           scale.unit + ", " + direction(*cases[0], scale));
    canvas << "set xrange [-0.3:" + plain(static_cast<double>(places.size()) - 0.7) + "]"
           << "set yrange [0:" + plain(most > 0 ? most * 1.08 : 1) + "]";
    for (const auto &[place, x] : places)
        canvas.label(plain(std::get<1>(place)) + " x " + plain(std::get<2>(place)),
                     plain(x) + ", graph 0 offset 0, -0.9", Align::center, 10, ink::quiet);
    std::vector<std::string> elements;
    for (auto style = styles.rbegin(); style != styles.rend(); ++style) /* ours on top */
        if (lines.count(style->first)) {
            auto &points = lines[style->first];
            std::sort(points.begin(), points.end());
            elements.push_back(canvas.data(points) + " " + drawn_as(style->second));
        }
    canvas.plot(elements);
}

/* What is drawn of a contender: a percentile that fewer than one of its samples lies beyond is
 * none. */
std::vector<std::vector<double>> curve_of(const Percentiles &of)
{
    std::vector<std::vector<double>> points;
    for (const auto &[beyond, value] : of.points)
        if (beyond > 1 && of.count >= beyond && value > 0)
            points.push_back({beyond, value});
    return points;
}

/* 100 ns, 1 us, 10 us; between them 2 and 5 where they are few. */
std::string time_marks(double least, double most)
{
    const struct {
        double ns;
        const char *name;
    } units[] = {{1e9, " s"}, {1e6, " ms"}, {1e3, " \xC2\xB5s"}, {1, " ns"}};
    std::string marks;
    for (double power = 1; power < 1e12; power *= 10)
        for (double step : {1.0, 2.0, 5.0}) {
            double at = power * step;
            if (at < least / 1.3 || at > most * 1.3 || (step > 1 && most / least > 50))
                continue;
            for (const auto &unit : units)
                if (at >= unit.ns) {
                    marks += (marks.empty() ? "'" : ", '") + plain(at / unit.ns) + unit.name +
                             "' " + plain(at);
                    break;
                }
        }
    return "set ytics (" + marks + ")";
}

void percentile_panel(Canvas &canvas, const Case &c, const Styles &styles, const Box &box)
{
    std::map<std::string, std::vector<std::vector<double>>> lines;
    double least = INFINITY, most = 0, furthest = 100;
    for (const Contender &contender : c.contenders)
        if (contender.percentiles) {
            std::vector<std::vector<double>> points = curve_of(*contender.percentiles);
            for (const std::vector<double> &point : points) {
                least = std::min(least, point[1]);
                most = std::max(most, point[1]);
                furthest = std::max(furthest, point[0]);
            }
            lines[contender.name] = points;
        }
    canvas.panel(box);
    titles(canvas, box, c.title, "ns, less is better; both scales logarithmic");
    if (!(most > 0)) {
        canvas.plot({});
        return;
    }
    height_axis(canvas);
    canvas << "set logscale xy" << time_marks(least, most)
           << "set xrange [1.8:" + plain(furthest * 1.25) + "]"
           << "set yrange [" + plain(least / 1.3) + ":" + plain(most * 1.3) + "]";
    const std::pair<double, const char *> marks[] = {
        {2, "50%"},      {10, "90%"},      {100, "99%"},     {1000, "99.9%"},
        {1e4, "99.99%"}, {1e5, "99.999%"}, {1e6, "99.9999%"}};
    for (const auto &[x, text] : marks)
        if (x <= furthest * 1.01) {
            canvas << "set arrow from " + plain(x) + ", graph 0 to " + plain(x) +
                          ", graph 1 nohead back linewidth 0.7 linecolor " + rgb(ink::grid);
            canvas.label(text, plain(x) + ", graph 0 offset 0, -0.9", Align::center, 10,
                         ink::quiet);
        }
    canvas.label("so many of a hundred are no later", "graph 0.5, graph 0 offset 0, -2.1",
                 Align::center, 10, ink::quiet);
    std::vector<std::string> elements;
    for (auto style = styles.rbegin(); style != styles.rend(); ++style)
        if (!lines[style->first].empty())
            elements.push_back(canvas.data(lines[style->first]) + " " + drawn_as(style->second));
    canvas.plot(elements);
}

} // namespace

std::optional<Picture> scaling(const std::string &title, const Cases &cases, Width width)
{
    /* By what else tells them apart: a line is one thing that is done by more and more. */
    std::map<std::tuple<std::string, std::string, double, double>, Cases> panels;
    std::map<Place, double> places;
    for (const Case *c : cases)
        if (c->senders > 0 && c->receivers > 0 && c->better != Better::neither) {
            Cases &panel = panels[{c->kind, c->unit, c->batch, c->size}];
            bool is_there = std::any_of(panel.begin(), panel.end(), [&](const Case *other) {
                return place_of(*other) == place_of(*c);
            });
            if (is_there)
                continue;
            panel.push_back(c);
            places[place_of(*c)] = 0;
        }
    if (places.size() < 2)
        return std::nullopt;
    double x = 0;
    for (auto &place : places)
        place.second = x++;
    Styles styles = styles_of(cases);
    Grid grid(styles, panels.size(), width, 200);
    Canvas canvas(pixels(width), grid.height());
    legend(canvas, styles, {edge, 0, pixels(width) - edge, grid.top});
    size_t i = 0;
    for (const auto &panel : panels)
        scaling_panel(canvas, panel.second, places, styles, grid.box(i++));
    return canvas.picture(title,
                          "A panel for each size of message, in it a line for each contender "
                          "over senders x receivers. The numbers are in the table below.");
}

std::optional<Picture> percentiles(const std::string &title, const Cases &cases, Width width)
{
    Cases with;
    for (const Case *c : cases)
        if (std::any_of(c->contenders.begin(), c->contenders.end(), [](const Contender &one) {
                return one.percentiles && !curve_of(*one.percentiles).empty();
            }))
            with.push_back(c);
    if (with.empty())
        return std::nullopt;
    Styles styles = styles_of(with);
    Grid grid(styles, with.size(), width, 210);
    Canvas canvas(pixels(width), grid.height());
    legend(canvas, styles, {edge, 0, pixels(width) - edge, grid.top});
    for (size_t i = 0; i < with.size(); i++)
        percentile_panel(canvas, *with[i], styles, grid.box(i));
    return canvas.picture(
        title, "A panel for each case, in it a line for each contender: what so many of a "
               "hundred took at most, to 99.999 where there are samples enough. The "
               "numbers are in the table below.");
}

} // namespace report
