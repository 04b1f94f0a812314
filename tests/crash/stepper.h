/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* stepper.h: a process that is stepped with ptrace through one call, from its marker on. */
#ifndef RBX_TESTS_STEPPER_H
#define RBX_TESTS_STEPPER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { STEPS_MAX = 60000 }; /* instructions of one call */

/* What a call does, from the marker until it has returned. */
struct trace {
    uint32_t count; /* instructions */
    uint64_t ip[STEPS_MAX];
    uint8_t first[STEPS_MAX];  /* the first time that this instruction is reached */
    uint8_t effect[STEPS_MAX]; /* it changes the memory that is watched, or calls the system */
};
extern struct trace trace;

struct stepped {
    pid_t pid;                    /* 0: none */
    const _Atomic uint32_t *done; /* the process says here that the call has returned */
    char failure[160];            /* why the last step could not be made */
};

/* In the process itself: it is to be traced. False: it may not be. */
bool stepper_accept(void);
/* In the process itself: its tracer takes over here. Before the call, and after it. */
#if defined(__x86_64__)
#define STEPPER_MARK() __asm__ volatile("int3")
#else
#error "this harness knows the breakpoints of x86-64 only"
#endif

/* All false: see `failure`; `pid` is 0 when the process is gone. */
bool stepper_take(struct stepped *of);
/* Runs it to the end of its call, and notes in `trace` what it passes. */
bool stepper_record(struct stepped *of, const void *watched, size_t size);
/* So many instructions, or until it has returned. */
bool stepper_run_to(struct stepped *of, long at);
bool stepper_finish(struct stepped *of); /* to the end of its call */
bool stepper_kill(struct stepped *of);
bool stepper_let_exit(struct stepped *of); /* with code 0 */

bool ptrace_works(void);

#endif
