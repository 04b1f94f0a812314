/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * emulated.c: linked with all that runs under qemu-user, which makes /proc/PID/stat of a process
 * itself up, with another start time than all others are told. By this detour it sees what they
 * see.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
/* Weak: the test that refuses system calls has one of its own. */
__attribute__((weak)) int __wrap_open64(const char *path, int flags, ...)
{
    char detour[64];
    int number, length;
    mode_t mode = 0;
    if (flags & (O_CREAT | __O_TMPFILE)) {
        va_list rest;
        va_start(rest, flags);
        mode = va_arg(rest, mode_t);
        va_end(rest);
    }
    if (sscanf(path, "/proc/%d/stat%n", &number, &length) == 1 && path[length] == '\0') {
        snprintf(detour, sizeof detour, "/proc/./%d/stat", number);
        path = detour;
    }
    return __real_open64(path, flags, mode);
}
