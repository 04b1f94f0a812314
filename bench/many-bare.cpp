/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Nothing else that is compiled into the program may share an inline function with this. */
#define RBX_BENCH_WITHOUT_INTENT 1
#include "many-bare.h"

#include "many.h"

Crossing cross_bare(Shape shape, uint64_t total)
{
    return cross<many::Ours<8>, Message8>("bare", shape, total);
}
