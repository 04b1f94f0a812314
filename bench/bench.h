/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bench.h: how a run ends: on its own, when told to, or because something failed. */
#ifndef RBX_BENCH_BENCH_H
#define RBX_BENCH_BENCH_H

/* Ends the program, saying why. What it made is removed all the same (litter.h). */
[[noreturn]] void give_up(const char *what, const char *why);

/* From now on a first SIGINT, SIGTERM or SIGHUP only makes is_told_to_stop() true; a second one
   ends the program. To be called before there is another thread. */
void heed_signals();
bool is_told_to_stop();

#endif
