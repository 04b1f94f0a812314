/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static _Thread_local char last_sentence[512];

int(rbx_fail)(int err, const char *sentence, ...)
{
    va_list args;
    va_start(args, sentence);
    errno = -err; /* what %m reads */
    vsnprintf(last_sentence, sizeof last_sentence, sentence, args);
    va_end(args);
    return err;
}

const char *rbx_last_error(void)
{
    return last_sentence;
}
