/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* link.h: the small file that names a box. */
#ifndef RBX_BOX_LINK_H
#define RBX_BOX_LINK_H

#include "header.h"
#include "name.h"

/*
 * Removes the link file that the header speaks of, if it is one and was made for this very box. A
 * header that may have been planted is given with the name it was found under, which the link file
 * must say too; else `name` is NULL.
 */
void rbx_link_remove(const struct rbx_name *name, const struct rbx_box_header *header);

#endif
