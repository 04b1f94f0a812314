/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* refuse.h: how a test makes the system refuse itself something. */
#ifndef RBX_TESTS_SUPPORT_REFUSE_H
#define RBX_TESTS_SUPPORT_REFUSE_H

#include <stdbool.h>

/* Makes every later system call `number` of this thread, and those that it makes, fail with
   `error`; optionally only when argument `arg` (else -1) has all bits of `mask` set. False where
   seccomp is not allowed. */
bool refuse_syscall(int number, int error, int arg, unsigned mask);

#endif
