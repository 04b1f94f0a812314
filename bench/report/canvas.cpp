/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "canvas.h"
#include "text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace report
{

namespace
{

const char *word(Align align)
{
    return align == Align::left ? "left" : align == Align::right ? "right" : "center";
}

constexpr double line_height = 17;

} // namespace

std::string rgb(int colour)
{
    char text[24];
    std::snprintf(text, sizeof text, "rgb '#%06x'", static_cast<unsigned>(colour));
    return text;
}

int colour_of(Role role)
{
    switch (role) {
    case Role::ours:
        return ink::ours;
    case Role::variant:
        return ink::variant;
    case Role::peer:
        return ink::peer;
    default:
        return ink::baseline;
    }
}

double text_width(const std::string &text, int size)
{
    return 0.58 * size * static_cast<double>(length(text));
}

std::string fitted(const std::string &text, double width, int size)
{
    double letters = std::floor(width / (0.58 * size));
    return shortened(text, letters < 2 ? 2 : static_cast<size_t>(letters));
}

Canvas::Canvas(int across, int down) : width(across), height(down)
{
    script << "set encoding utf8\nset multiplot\nset errorbars small\n";
}

void Canvas::panel(const Box &box)
{
    script << "reset\nunset border\nunset xtics\nunset ytics\nunset key\n"
           << "set lmargin at screen " << box.left / width << "\nset rmargin at screen "
           << box.right / width << "\nset tmargin at screen " << 1 - box.top / height
           << "\nset bmargin at screen " << 1 - box.bottom / height << "\n";
}

Canvas &Canvas::operator<<(const std::string &command)
{
    script << command << "\n";
    return *this;
}

void Canvas::label(const std::string &text, const std::string &at, Align align, int size,
                   int colour, bool bold)
{
    script << "set label " << gnuplot_string(text) << " at " << at << " " << word(align)
           << " noenhanced front font '" << (bold ? "sans-serif:Bold," : ",") << size
           << "' textcolor " << rgb(colour) << "\n";
}

void Canvas::label_at(const std::string &text, double x, double y, Align align, int size,
                      int colour, bool bold)
{
    std::ostringstream at;
    at << "screen " << x / width << ", screen " << 1 - y / height;
    label(text, at.str(), align, size, colour, bold);
}

std::string Canvas::data(const std::vector<std::vector<double>> &rows)
{
    std::string name = "$d" + std::to_string(++blocks);
    std::ostringstream block;
    block.precision(9);
    for (const std::vector<double> &row : rows) {
        for (double value : row)
            block << value << " ";
        block << "\n";
    }
    script << name << " << EOD\n" << block.str() << "EOD\n";
    return name;
}

void Canvas::plot(const std::vector<std::string> &elements)
{
    if (elements.empty()) {
        script << "plot NaN notitle\n";
        return;
    }
    for (size_t i = 0; i < elements.size(); i++)
        script << (i ? ", " : "plot ") << elements[i] << " notitle";
    script << "\n";
}

Picture Canvas::picture(const std::string &title, const std::string &description) const
{
    return {title, description, width, height, script.str() + "unset multiplot\n"};
}

Styles styles_of(const std::vector<const Case *> &cases)
{
    struct Seen {
        Role role;
        double logs;
        int count;
    };
    Styles styles;
    std::map<std::string, Seen> seen;
    std::vector<std::string> peers;
    for (const Case *c : cases)
        for (const Contender &contender : c->contenders) {
            if (!seen.count(contender.name)) {
                styles.push_back({contender.name, {colour_of(contender.role), 1.5, 7, 1}});
                seen[contender.name] = {contender.role, 0, 0};
                if (contender.role == Role::peer)
                    peers.push_back(contender.name);
            }
            Seen &it = seen[contender.name];
            const Contender *first = ours(*c);
            if (!first || !(first->median > 0) || !(contender.median > 0))
                continue;
            double ratio = std::log(contender.median / first->median);
            it.logs += c->better == Better::more ? -ratio : ratio;
            it.count++;
        }
    std::stable_sort(peers.begin(), peers.end(), [&](const std::string &a, const std::string &b) {
        auto mean = [&](const Seen &s) { return s.count ? s.logs / s.count : 1e9; };
        return mean(seen[a]) < mean(seen[b]);
    });
    const int points[] = {5, 9, 11, 13, 15}, others[] = {4, 6, 8, 10, 12, 14};
    int variants = 0, rest = 0;
    for (auto &[contender, style] : styles) {
        Role role = seen[contender].role;
        size_t rank =
            static_cast<size_t>(std::find(peers.begin(), peers.end(), contender) - peers.begin());
        if (role == Role::ours)
            style.width = 3;
        else if (role == Role::variant)
            style = {ink::variant, 2, others[variants++ % 6], 2};
        else if (role == Role::peer && rank < std::size(ink::peers))
            style = {ink::peers[rank], 1.5, points[rank], 1};
        else
            style = {ink::peer, 1, others[rest++ % 6], role == Role::peer ? 1 : 3};
    }
    return styles;
}

std::string drawn_as(const Style &style)
{
    std::ostringstream text;
    text << "with linespoints linewidth " << style.width << " pointtype " << style.point
         << " pointsize " << (style.point == 7 && style.width > 2 ? 0.55 : 0.5) << " dashtype "
         << style.dash << " linecolor " << rgb(style.colour);
    return text.str();
}

namespace
{

int legend_columns(const Styles &styles, double width)
{
    double longest = 0;
    for (const auto &one : styles)
        longest = std::max(longest, text_width(one.first, 11) + 42);
    return std::max(1, static_cast<int>(width / longest));
}

} // namespace

double legend_height(const Styles &styles, double width)
{
    int count = static_cast<int>(styles.size()), wide = legend_columns(styles, width);
    return line_height * ((count + wide - 1) / wide) + 6;
}

void legend(Canvas &canvas, const Styles &styles, const Box &box, Key key)
{
    int wide = legend_columns(styles, box.right - box.left);
    double column = (box.right - box.left) / wide;
    canvas.panel(box);
    canvas << "set xrange [0:" + std::to_string(box.right - box.left) + "]"
           << "set yrange [" + std::to_string(box.bottom - box.top) + ":0]";
    std::vector<std::string> elements;
    for (size_t i = 0; i < styles.size(); i++) {
        double x = column * static_cast<double>(i % static_cast<size_t>(wide)),
               y = line_height * (0.5 + static_cast<double>(i / static_cast<size_t>(wide)));
        if (key == Key::lines)
            elements.push_back(canvas.data({{x + 4, y}, {x + 26, y}}) + " " +
                               drawn_as(styles[i].second));
        else
            elements.push_back(canvas.data({{x + 20, y}}) +
                               " with points pointtype 5 pointsize 1 " + "linecolor " +
                               rgb(styles[i].second.colour));
        canvas.label_at(fitted(styles[i].first, column - 36, 11), box.left + x + 33, box.top + y,
                        Align::left, 11, ink::text, styles[i].second.width > 2);
    }
    canvas.plot(elements);
}

Scale unit_of(const Case &c)
{
    Scale scale{1, false, c.unit};
    const Contender *it = ours(c);
    double typical = it ? it->median : c.contenders.empty() ? 0 : c.contenders[0].median;
    if (c.unit.compare(0, 2, "ns") == 0 && typical >= 1e4) {
        bool is_second = typical >= 1e9, is_milli = typical >= 1e7;
        scale.factor = is_second ? 1e-9 : is_milli ? 1e-6 : 1e-3;
        scale.unit = (is_second ? "s" : is_milli ? "ms" : "\xC2\xB5s") + c.unit.substr(2);
    } else if (c.unit.size() > 2 && c.unit.compare(c.unit.size() - 2, 2, "/s") == 0 &&
               typical >= 1e6) {
        scale.factor = 1e-6;
        scale.unit = "million " + c.unit;
    }
    return scale;
}

Scale scale_of(const Case &c)
{
    return is_time_a_message(c) ? Scale{1000, true, "million messages/s"} : unit_of(c);
}

std::string common_unit(const std::vector<const Case *> &cases)
{
    std::string unit = cases.empty() ? "" : unit_of(*cases[0]).unit;
    for (const Case *c : cases)
        if (unit_of(*c).unit != unit)
            return "";
    return unit;
}

bool drawable(double shown)
{
    return std::fabs(shown) < 1e18;
}

std::string direction(const Case &c, const Scale &scale)
{
    if (c.better == Better::neither)
        return "";
    return (c.better == Better::more) != scale.is_rate ? "more is better" : "less is better";
}

} // namespace report
