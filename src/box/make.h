/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* make.h: a new box. */
#ifndef RBX_BOX_MAKE_H
#define RBX_BOX_MAKE_H

#include "handle.h"

/*
 * Makes the box of `box`'s name and attaches the handle to it: RBX_RETRY when another process got
 * the name first. On failure nothing is left but what rbx_handle_free ends.
 */
int rbx_box_make(struct rbx_box *box, const rbx_box_options *o);

#endif
