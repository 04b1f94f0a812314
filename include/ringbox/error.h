/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * error.h: why the last call failed, in a sentence a person can act on.
 *
 * Every ringbox call returns 0 (or a count) on success and -errno on failure, and prints nothing.
 * The number is for the program; the sentence is for whoever reads its log:
 *
 *     if (rbx_box_open(&box, "ticks", &options) < 0)
 *         fprintf(stderr, "%s\n", rbx_last_error());
 */
#ifndef RINGBOX_ERROR_H
#define RINGBOX_ERROR_H

#include <ringbox/api.h>

RBX_BEGIN_DECLS

/*
 * The sentence of this thread's last failed call; "" when none has failed. Never NULL. It stays
 * as it is until the next failure in this thread: look at it only after a call that failed.
 */
RBX_API const char *rbx_last_error(void);

RBX_END_DECLS

#endif
