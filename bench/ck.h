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

bool bench_ck_send_8(bench_ck *ck, const void *message);
bool bench_ck_send_24(bench_ck *ck, const void *message);
bool bench_ck_send_56(bench_ck *ck, const void *message);
bool bench_ck_recv_8(bench_ck *ck, void *message);
bool bench_ck_recv_24(bench_ck *ck, void *message);
bool bench_ck_recv_56(bench_ck *ck, void *message);

#ifdef __cplusplus
}
#endif

#endif
