/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* tables.h: the numbers beside each picture: it is never their only carrier. */
#ifndef RBX_REPORT_TABLES_H
#define RBX_REPORT_TABLES_H

#include "plot.h"
#include "results.h"

#include <string>
#include <utility>

namespace report
{

/* The contenders of all the cases, each once, in the order in which they appear. */
std::vector<std::string> contenders_of(const Cases &cases);

/* One line per case, one column per contender. `title` says what the table is to those who hear it.
 */
std::string medians_table(const std::string &title, const Cases &cases);
std::string percentiles_table(const std::string &title, const Cases &cases);
/* As they were written, round by round. */
std::string every_number_table(const std::string &title, const Cases &cases);
std::string ratios_table(const Results &results);
std::string targets_table(const Results &results);

/* "2.51 (2.40 to 2.66)" */
std::string with_range(const Spread &spread);

/* A table in a frame of its own, that scrolls where it is too wide. */
std::string framed(const std::string &title, const std::string &rows);

} // namespace report

#endif
