/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* schema.h: what the bench and bench-report, which reads the bench's file of results, mean alike.
 */
#ifndef RBX_BENCH_SCHEMA_H
#define RBX_BENCH_SCHEMA_H

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

/* The only layout of the file that bench-report reads. */
constexpr int schema = 1;

enum class Role {
    ours,     /* as most would use it: the one that is compared */
    variant,  /* ours, used in another way */
    peer,     /* another library, or what the system has for that */
    baseline, /* the mutex path */
    note,     /* compared with nothing */
};
enum class Better { less, more, neither };

/* As the file says them. */
constexpr std::array<const char *, 5> role_names = {"ours", "variant", "peer", "baseline", "note"};
constexpr std::array<const char *, 3> better_names = {"less", "more", "none"};

inline const char *name_of(Role role)
{
    return role_names[static_cast<std::size_t>(role)];
}

inline const char *name_of(Better better)
{
    return better_names[static_cast<std::size_t>(better)];
}

/* The middle of them; of an even number the mean of the two; 0 of none. */
inline double median(std::vector<double> values)
{
    if (values.empty())
        return 0;
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

#endif
