/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * version.h: which ringbox this is.
 *
 * The macros say what a program was compiled against, rbx_version() what it runs with.
 */
#ifndef RINGBOX_VERSION_H
#define RINGBOX_VERSION_H

#include <ringbox/api.h>

#define RBX_VERSION_MAJOR 0
#define RBX_VERSION_MINOR 1
#define RBX_VERSION_PATCH 0
#define RBX_VERSION_STRING "0.1.0"

RBX_BEGIN_DECLS

/* "0.1.0": of the library that is linked, which may be newer than the header. */
RBX_API const char *rbx_version(void);

RBX_END_DECLS

#endif
