/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* error.h: how the rooms above src/os say why they fail. */
#ifndef RBX_SRC_ERROR_H
#define RBX_SRC_ERROR_H

#include <ringbox/error.h>

/* Keeps the sentence for rbx_last_error() and returns `err`; %m says what `err` (-errno) means. */
int rbx_fail(int err, const char *sentence, ...) __attribute__((format(printf, 2, 3), cold));
#ifdef __clang_analyzer__ /* which would not know that it returns `err` */
#define rbx_fail(err, ...) ((rbx_fail)((err), __VA_ARGS__), (err))
#endif

#endif
