/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bench.h: how a run ends: on its own, when told to, or because something failed; leaving nothing
   behind. */
#ifndef RBX_BENCH_BENCH_H
#define RBX_BENCH_BENCH_H

#include <string>

/* A path that is unlinked at the end, also when a signal is the end. Gives it back. */
const std::string &unlink_at_end(const std::string &path);
void unlink_all();

/* Ends the program, saying why. */
[[noreturn]] void give_up(const char *what, const char *why);

/* From now on a first SIGINT, SIGTERM or SIGHUP only makes is_told_to_stop() true; a second one
   ends the program. To be called before there is another thread. */
void heed_signals();
bool is_told_to_stop();

#endif
