/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* text.h: text that others wrote, made harmless for where it goes; and numbers as people read them.
 */
#ifndef RBX_REPORT_TEXT_H
#define RBX_REPORT_TEXT_H

#include <stdexcept>
#include <string>
#include <vector>

namespace report
{

/* What stands in the way, as a sentence for the user. */
struct Complaint : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/* Text and attribute values of HTML and XML alike. What XML cannot carry becomes U+FFFD. */
std::string html(const std::string &text);

/* A quoted string of gnuplot: nothing in it is read as markup, format or escape. */
std::string gnuplot_string(const std::string &text);

/* A cell of a table. */
std::string markdown_cell(const std::string &text);

/* On one line of a terminal: control characters cannot act there. */
std::string one_line(const std::string &text);

/* Three digits that count (or as many), and no exponent where people do without: 2.51, 17.8, 1234.
 */
std::string number(double value, int digits = 3);

/* As it is: 24, 0.1. */
std::string plain(double value);

/* As short as it gets: 12.3k, 4.5M. */
std::string brief(double value);

/* How many characters it has, and at most so many of them: cut ones end in an ellipsis. */
size_t length(const std::string &text);
std::string shortened(const std::string &text, size_t most);

/* Rows of cells as columns, two spaces apart; the first column to the left, numbers to the right.
 */
std::string columns(const std::vector<std::vector<std::string>> &rows,
                    const std::vector<bool> &to_the_right);

} // namespace report

#endif
