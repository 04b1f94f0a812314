/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* markdown.h: the tables for README and docs, and what made them. */
#ifndef RBX_REPORT_MARKDOWN_H
#define RBX_REPORT_MARKDOWN_H

#include "results.h"

#include <string>
#include <vector>

namespace report
{

/* The tables of these groups; of none named, those that the README shows. */
std::string markdown(const Results &results, const std::vector<std::string> &groups);

} // namespace report

#endif
