/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ck.h: Concurrency Kit's ring, whose header no C++ compiler takes: a call away from ck.c. */
#ifndef RBX_BENCH_CK_H
#define RBX_BENCH_CK_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `count` slots, of which all but one can be used. NULL: out of memory. */
typedef struct bench_ck bench_ck;
bench_ck *bench_ck_new(unsigned size, unsigned count);
void bench_ck_free(bench_ck *ck);

/* For one sender and one receiver; and, as send_many and recv_many, for many. */
#define BENCH_CK(size)                                                                             \
    bool bench_ck_send_##size(bench_ck *ck, const void *message);                                  \
    bool bench_ck_recv_##size(bench_ck *ck, void *message);                                        \
    bool bench_ck_send_many_##size(bench_ck *ck, const void *message);                             \
    bool bench_ck_recv_many_##size(bench_ck *ck, void *message);

BENCH_CK(8)
BENCH_CK(24)
BENCH_CK(56)
BENCH_CK(64)
BENCH_CK(120)
BENCH_CK(248)
BENCH_CK(1024)
BENCH_CK(4096)
#undef BENCH_CK

#ifdef __cplusplus
}
#endif

#endif
