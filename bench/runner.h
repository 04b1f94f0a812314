/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* runner.h: round after round, all cases, all contenders of each. */
#ifndef RBX_BENCH_RUNNER_H
#define RBX_BENCH_RUNNER_H

#include "results.h"

/* Adds the contenders that other builds of this program measure for us: `program` is one of them.
 */
void measure_in(const std::string &build, const std::string &program);

/* What such a program does: answers what its standard input asks for, until that ends. */
int serve();

/* Runs the cases for so many rounds, or until told to stop. */
void run_rounds(Results &results, unsigned rounds, const std::vector<const Case *> &chosen);

#endif
