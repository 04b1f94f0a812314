/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * compare.h: did something get slower from one run to another, on machines that are never quiet?
 *
 * Times of two runs cannot be compared: the same machine is twice as slow a minute later. Ratios
 * within a round can, for both sides of one had the same machine:
 *
 *     to the floor        what the bare machine took in the round / what ours took
 *     to the best peer    what the best peer took in the round / what ours took (else, where there
 *                         is no peer, the baseline)
 *     to itself           bytes alone: these are counted, and no time
 *
 * so that each says how many times better ours is, and larger is better. What is noise:
 *
 * - A ratio still varies from round to round. The rounds of a run show how much, so two runs differ
 *   only if their ranges, least to greatest, have nothing in common. Quartiles would be wrong here:
 *   of seven rounds and seven more of the very same thing the latter's quartiles lie wholly below
 *   once in 36, and there are some two hundred ratios; the whole range does once in 3432, which
 *   is C(14, 7). By this it also takes some rounds to say anything: where chance alone would do it
 *   more often than once in a thousand, nothing is judged (too few rounds).
 * - What varies little within a run may vary more between runs, with where memory lies. So the
 *   medians must differ by a tenth, too. A smaller loss goes unseen: the counts of instructions,
 *   which are exact, are there for that.
 * - Ratios depend on how far the cores are from each other: far cores favour whoever moves
 *   fewer lines. If the floor itself differs by more than what makes the bench repeat a round, the
 *   case was measured on what is another machine for it, and is not judged.
 * - The best peer is the best of those that are installed: with other peers it is another ratio.
 */
#ifndef RBX_REPORT_COMPARE_H
#define RBX_REPORT_COMPARE_H

#include "results.h"

#include <string>

namespace report
{

/* 0: nothing is worse. 1: something is. 2: the two have nothing that can be judged. */
struct Comparison {
    std::string text;
    int exit_code;
};
Comparison compare(const Results &before, const Results &after);

} // namespace report

#endif
