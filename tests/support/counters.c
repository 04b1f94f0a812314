/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * counters.c: in every program of ./dev coverage, keeps what its children executed.
 *
 * The compiler's counters are variables, written to a file at exit: lost in a child that is killed,
 * or that ends by _exit, as half of these tests' do. Here they lie in pages of their own
 * (counters.ld) that a process shares with its children: so they count in their parent's, to their
 * last instruction.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char rbx_counters[], rbx_counters_end[];
extern void __gcov_dump(void);

static pid_t owner;

static __attribute__((constructor(101))) void share_counters(void)
{
    const size_t size = (size_t)(rbx_counters_end - rbx_counters);
    char *so_far = malloc(size);
    owner = getpid();
    if (!so_far)
        abort();
    memcpy(so_far, rbx_counters, size);
    if (mmap(rbx_counters, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1,
             0) == MAP_FAILED)
        abort();
    memcpy(rbx_counters, so_far, size);
    free(so_far);
}

/* Instead of the C library's: the test runner ends its workers so. */
void _exit(int code)
{
    if (getpid() == owner)
        __gcov_dump();
    for (;;)
        syscall(SYS_exit_group, code);
}
