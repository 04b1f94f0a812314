/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef RBX_REPORT_GNUPLOT_H
#define RBX_REPORT_GNUPLOT_H

#include <string>

namespace report
{

/* What gnuplot writes for the script. Throws a Complaint if it cannot be run, or fails. */
std::string gnuplot(const std::string &script);

} // namespace report

#endif
