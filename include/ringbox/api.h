/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* api.h: how every other header declares itself: exported, and with C linkage in C++. */
#ifndef RINGBOX_API_H
#define RINGBOX_API_H

#define RBX_API __attribute__((visibility("default")))

/* As malloc() aligns, and the stack. */
#define RBX_ALIGNED __attribute__((aligned(16)))

#ifdef __cplusplus
#define RBX_BEGIN_DECLS extern "C" {
#define RBX_END_DECLS }
#else
#define RBX_BEGIN_DECLS
#define RBX_END_DECLS
#endif

#endif
