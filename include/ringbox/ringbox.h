/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ringbox.h: everything. */
#ifndef RINGBOX_RINGBOX_H
#define RINGBOX_RINGBOX_H

#include <ringbox/any.h>
#include <ringbox/api.h>
#include <ringbox/atomic.h>
#include <ringbox/box.h>
#include <ringbox/cell.h>
#include <ringbox/error.h>
#include <ringbox/event.h>
#include <ringbox/hot.h>
#include <ringbox/locked.h>
#include <ringbox/message.h>
#include <ringbox/mpmc.h>
#include <ringbox/mutex.h>
#include <ringbox/poll.h>
#include <ringbox/ring.h>
#include <ringbox/rwlock.h>
#include <ringbox/sem.h>
#include <ringbox/spsc.h>
#include <ringbox/version.h>
#include <ringbox/wait.h>

#endif
