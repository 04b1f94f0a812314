/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fail.h: what does not work throws. */
#ifndef RBX_BENCH_FAIL_H
#define RBX_BENCH_FAIL_H

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

/* Where a way to hand messages on fails, it throws: one that does not work here ends its own
   measurement, and not the whole run. */
[[noreturn]] inline void fail(const std::string &what, const std::string &why)
{
    throw std::runtime_error(what + ": " + why);
}
inline void require(bool worked, const char *what)
{
    if (!worked)
        fail(what, std::strerror(errno));
}

#endif
