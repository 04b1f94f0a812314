/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* html.h: all of a run on one page that needs no other file, and is XML as well. */
#ifndef RBX_REPORT_HTML_H
#define RBX_REPORT_HTML_H

#include "results.h"

#include <string>

namespace report
{

std::string page(const Results &results);

} // namespace report

#endif
