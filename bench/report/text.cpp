/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace report
{

namespace
{

const char replacement[] = "\xEF\xBF\xBD";

bool is_control(char c)
{
    unsigned char byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7F;
}

bool continues(char c)
{
    return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

/* U+FFFE and U+FFFF, which no XML may hold. The reader let nothing through that is not UTF-8. */
bool is_no_character(const std::string &text, size_t at)
{
    return text.compare(at, 3, "\xEF\xBF\xBE") == 0 || text.compare(at, 3, "\xEF\xBF\xBF") == 0;
}

} // namespace

std::string html(const std::string &text)
{
    std::string safe;
    for (size_t i = 0; i < text.size(); i++) {
        if (is_no_character(text, i)) {
            safe += replacement;
            i += 2;
            continue;
        }
        switch (text[i]) {
        case '&':
            safe += "&amp;";
            break;
        case '<':
            safe += "&lt;";
            break;
        case '>':
            safe += "&gt;";
            break;
        case '"':
            safe += "&quot;";
            break;
        case '\'':
            safe += "&#39;";
            break;
        case '\n':
        case '\t':
            safe += ' ';
            break;
        default:
            if (is_control(text[i]))
                safe += replacement;
            else
                safe += text[i];
        }
    }
    return safe;
}

std::string gnuplot_string(const std::string &text)
{
    /* What means something in double quotes, or could end them, is written as its number. Two
       single quotes in a row would do for one in single quotes, but not at the beginning. */
    std::string safe = "\"";
    for (size_t i = 0; i < text.size(); i++) {
        if (is_no_character(text, i)) {
            safe += replacement;
            i += 2;
        } else if (std::string("\"\\`'@$").find(text[i]) != std::string::npos) {
            char number[8];
            std::snprintf(number, sizeof number, "\\%03o", static_cast<unsigned>(text[i]));
            safe += number;
        } else {
            safe += is_control(text[i]) ? ' ' : text[i];
        }
    }
    return safe + "\"";
}

std::string markdown_cell(const std::string &text)
{
    std::string safe;
    for (char c : one_line(text)) {
        if (std::string("\\`*_[]<>|&").find(c) != std::string::npos)
            safe += '\\';
        safe += c;
    }
    return safe;
}

std::string one_line(const std::string &text)
{
    std::string safe = text;
    std::replace_if(safe.begin(), safe.end(), is_control, ' ');
    return safe;
}

std::string number(double value, int digits)
{
    char text[64];
    double size = std::fabs(value);
    if (size != 0 && (size < 1e-4 || size >= 1e15)) {
        std::snprintf(text, sizeof text, "%.*g", digits, value);
        return text;
    }
    int before = size < 1e-4 ? 1 : static_cast<int>(std::floor(std::log10(size))) + 1;
    std::snprintf(text, sizeof text, "%.*f", std::max(0, digits - before), value);
    std::string shown = text;
    if (shown.find('.') != std::string::npos && size >= 100)
        shown.erase(shown.find_last_not_of('0') + 1);
    if (!shown.empty() && shown.back() == '.')
        shown.pop_back();
    return size == 0 ? "0" : shown;
}

std::string plain(double value)
{
    char text[64];
    std::snprintf(text, sizeof text, "%.15g", value);
    return text;
}

std::string brief(double value)
{
    const struct {
        double from;
        const char *suffix;
    } units[] = {{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e4, "k"}};
    for (const auto &unit : units)
        if (std::fabs(value) >= unit.from)
            return number(value / (unit.from == 1e4 ? 1e3 : unit.from)) + unit.suffix;
    return number(value);
}

size_t length(const std::string &text)
{
    return static_cast<size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return !continues(c); }));
}

std::string shortened(const std::string &text, size_t most)
{
    if (length(text) <= most)
        return text;
    size_t end = 0;
    for (size_t kept = 0; end < text.size(); end++)
        if (!continues(text[end]) && kept++ + 1 == most)
            break;
    return text.substr(0, end) + "\xE2\x80\xA6";
}

std::string columns(const std::vector<std::vector<std::string>> &rows,
                    const std::vector<bool> &to_the_right)
{
    std::vector<size_t> widths(to_the_right.size());
    for (const std::vector<std::string> &row : rows)
        for (size_t i = 0; i < row.size() && i < widths.size(); i++)
            widths[i] = std::max(widths[i], length(row[i]));
    std::string text;
    for (const std::vector<std::string> &row : rows) {
        std::string line;
        for (size_t i = 0; i < row.size() && i < widths.size(); i++) {
            std::string space(widths[i] - length(row[i]), ' ');
            line += (i ? "  " : "") + (to_the_right[i] ? space + row[i] : row[i] + space);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + "\n";
    }
    return text;
}

} // namespace report
