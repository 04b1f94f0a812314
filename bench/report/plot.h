/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* plot.h: which pictures there are. Each comes wide, and narrow for phones. */
#ifndef RBX_REPORT_PLOT_H
#define RBX_REPORT_PLOT_H

#include "results.h"
#include "svg.h"

#include <optional>
#include <string>
#include <vector>

namespace report
{

enum class Width { wide, narrow };
constexpr int pixels(Width width)
{
    return width == Width::wide ? 760 : 360;
}

using Cases = std::vector<const Case *>;

/* A panel for each case, in it a bar for each contender. */
Picture bars(const std::string &title, const Cases &cases, Width width);

/* Throughput by the size of messages, all contenders side by side: what is shown first. */
std::optional<Picture> headline(const Results &results, Width width);

/* A panel for each size, in it a line for each contender over senders x receivers. */
std::optional<Picture> scaling(const std::string &title, const Cases &cases, Width width);

/* Times by how many of a hundred are worse. */
std::optional<Picture> percentiles(const std::string &title, const Cases &cases, Width width);

/* How many times better than the best peer, one line per case. */
std::optional<Picture> strip(const Results &results, Width width);

/* Where a ratio of ours to the best peer's stands, by the rounds: those of a draw lie on both
 * sides. */
enum class Side { better, draw, worse };
Side side_of(const Spread &ratio);

} // namespace report

#endif
