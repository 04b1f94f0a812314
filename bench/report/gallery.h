/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* gallery.h: the pictures that can be made of a run, by name; and what the groups of cases are. */
#ifndef RBX_REPORT_GALLERY_H
#define RBX_REPORT_GALLERY_H

#include "plot.h"
#include "results.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace report
{

/* Drawn where there is something to draw. */
struct Hanging {
    std::string name; /* headline, strip, or that of its group, perhaps with /scaling behind it */
    std::string group;
    std::function<std::optional<Picture>(Width)> picture;
};
/* Refers to the results. */
std::vector<Hanging> gallery(const Results &results);

struct About {
    std::string title, text;
};
About about(const std::string &group);

} // namespace report

#endif
