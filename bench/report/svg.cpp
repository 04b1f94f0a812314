/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "svg.h"
#include "gnuplot.h"
#include "text.h"

#include <algorithm>
#include <cstdio>
#include <regex>

namespace report
{

namespace
{

struct Pair {
    int light, dark;
};
const Pair pairs[] = {
    {ink::text, 0xe6edf3},     {ink::quiet, 0x9aa5b1},    {ink::grid, 0x343b43},
    {ink::ours, 0x4db3f0},     {ink::variant, 0x2c7fb0},  {ink::peer, 0x77818c},
    {ink::baseline, 0x4a525b}, {ink::worse, 0xff8b3d},    {ink::peers[0], 0xf0b429},
    {ink::peers[1], 0x2fc79a}, {ink::peers[2], 0xe39ac3}, {ink::peers[3], 0xff8b3e},
    {ink::peers[4], 0xb39ddb}};

std::string colour(int rgb)
{
    char text[8];
    std::snprintf(text, sizeof text, "#%06x", static_cast<unsigned>(rgb));
    return text;
}

std::string replaced(const std::string &text, const char *pattern, const char *by)
{
    return std::regex_replace(text, std::regex(pattern), by);
}

/* Colours in one spelling that rules can name, and fonts as on the rest of the page. */
std::string tidy_tag(std::string tag)
{
    static const std::regex colour_spelt("rgb\\( *(\\d{1,3}), *(\\d{1,3}), *(\\d{1,3})\\)"),
        bold(" font-family=\"sans-serif:Bold\""), font(" (font-family|class)=\"[^\"]*\"");
    for (std::smatch match; std::regex_search(tag, match, colour_spelt);) {
        int rgb = std::stoi(match[1]) << 16 | std::stoi(match[2]) << 8 | std::stoi(match[3]);
        tag = match.prefix().str() + colour(rgb) + match.suffix().str();
    }
    return std::regex_replace(std::regex_replace(tag, bold, " font-weight=\"600\""), font, "");
}

/* What stands between tags is others' text. Of what XML wants escaped gnuplot forgets this. */
std::string tidy_text(const std::string &text)
{
    std::string tidy;
    for (char c : text)
        tidy += c == '>' ? std::string("&gt;") : std::string(1, c);
    return tidy;
}

std::string tidy(const std::string &svg)
{
    std::string all;
    for (size_t at = 0; at < svg.size();) {
        size_t open = std::min(svg.find('<', at), svg.size());
        size_t close = std::min(svg.find('>', open), svg.size() - 1);
        all += tidy_text(svg.substr(at, open - at));
        if (open < svg.size())
            all += tidy_tag(svg.substr(open, close + 1 - open));
        at = open < svg.size() ? close + 1 : open;
    }
    return all;
}

/* Groups with nothing in them, and paths that never put the pen down, are most of what it writes.
 */
std::string without_emptiness(std::string svg)
{
    svg = replaced(svg, "<path [^>]*d='(M[-0-9.,]+ +)+'/>", "");
    for (size_t before = 0; before != svg.size();) {
        before = svg.size();
        svg = replaced(svg, "<g[^>]*>\\s*</g>", "");
    }
    return replaced(svg, "[ \t\n]+", " ");
}

/* The drawing without gnuplot's head, whose title and background are not ours. */
std::string body_of(const std::string &svg, const std::string &id)
{
    size_t shapes = svg.find("<defs>"), shapes_end = svg.find("<filter"),
           drawing = svg.find("</defs>"), end = svg.rfind("</svg>");
    if (shapes == std::string::npos || shapes_end == std::string::npos ||
        drawing == std::string::npos || drawing > end)
        throw Complaint(
            "gnuplot's drawing is not laid out as that of version 5: it has no shapes.");
    /* It opened the group of all before the shapes. */
    std::string body = svg.substr(shapes, shapes_end - shapes) + "</defs><g>" +
                       svg.substr(drawing + 7, end - drawing - 7);
    body = replaced(body, "<g id=\"gnuplot_plot[^>]*><title>[^<]*</title>", "<g>");
    body = replaced(body, "('#?)gpPt", ("$1" + id + "-s").c_str());
    body = replaced(body, "('#?)gpDot", ("$1" + id + "-d").c_str());
    return without_emptiness(tidy(body));
}

std::string element(const Picture &picture, const std::string &id, const std::string &first)
{
    std::string script = "set terminal svg size " + std::to_string(picture.width) + "," +
                         std::to_string(picture.height) +
                         " dynamic noenhanced font 'sans-serif,11' linewidth 1\n" + picture.script;
    return "<svg class=\"plot\" xmlns=\"http://www.w3.org/2000/svg\" "
           "xmlns:xlink=\"http://www.w3.org/1999/xlink\" viewBox=\"0 0 " +
           std::to_string(picture.width) + " " + std::to_string(picture.height) + "\" width=\"" +
           std::to_string(picture.width) + "\" height=\"" + std::to_string(picture.height) +
           "\" font-family=\"system-ui, 'DejaVu Sans', sans-serif\" role=\"img\" "
           "aria-labelledby=\"" +
           id + "-t " + id + "-x\">\n<title id=\"" + id + "-t\">" + html(picture.title) +
           "</title>\n<desc id=\"" + id + "-x\">" + html(picture.description) + "</desc>\n" +
           first + body_of(gnuplot(script), id) + "\n</svg>\n";
}

} // namespace

std::string dark_inks()
{
    std::string rules = "@media (prefers-color-scheme: dark) {\n";
    for (const Pair &pair : pairs)
        for (const char *property : {"fill", "stroke", "color"})
            rules += std::string(".plot [") + property + "=\"" + colour(pair.light) + "\"] {" +
                     property + ": " + colour(pair.dark) + "}\n";
    return rules + "}\n";
}

std::string draw(const Picture &picture, const std::string &id)
{
    return element(picture, id, "");
}

std::string draw_alone(const Picture &picture)
{
    const std::string paper = "<style>\n.paper {fill: #ffffff}\n" + dark_inks() +
                              "@media (prefers-color-scheme: dark) {.paper {fill: #0d1117}}\n"
                              "</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n";
    return "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n" + element(picture, "p", paper);
}

} // namespace report
