/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ringbox.h: everything. */
#ifndef RINGBOX_RINGBOX_H
#define RINGBOX_RINGBOX_H

#include <ringbox/box.h>
#include <ringbox/error.h>
#include <ringbox/version.h>

#endif
