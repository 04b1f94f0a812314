/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * wires.h: messaging libraries over ipc, each behind one face: two of them define the same names,
 * so that each has a C file of its own.
 *
 * All have threads of their own, so their ends are opened by the process that uses them. Neither
 * end waits for the other one to be opened: the first message does.
 */
#ifndef RBX_BENCH_WIRES_H
#define RBX_BENCH_WIRES_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bench_end bench_end;

struct bench_wire {
    /* The address is ipc:// and a path, which the receiver makes. NULL: see why(). */
    bench_end *(*open_sender)(const char *address);
    bench_end *(*open_receiver)(const char *address);
    /* These wait. False: see why(). */
    bool (*send)(bench_end *end, const void *message, size_t size);
    bool (*recv)(bench_end *end, void *message, size_t size);
    void (*close)(bench_end *end);
    /* Why the last call of this thread failed. */
    const char *(*why)(void);
};

/* Those that are installed. */
extern const struct bench_wire bench_zmq, bench_nng, bench_nanomsg;

#ifdef __cplusplus
}
#endif

#endif
