/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "fiber.h"

#include <stdalign.h>
#include <string.h>

static struct fiber {
    alignas(64) char stack[FIBER_STACK];
    char *data; /* what lies from here on is the owner's */
    void *sp;
} fibers[FIBERS_MAX];

static void *scheduler_sp;
static unsigned running;
static bool is_running;

/* Saves what a call preserves on the stack, notes its top in *from, and goes on where `to` is. */
void fiber_switch(void **from, void *to);
#if defined(__x86_64__)
__asm__(".text\n"
        ".globl fiber_switch\n"
        ".type fiber_switch, @function\n"
        "fiber_switch:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size fiber_switch, . - fiber_switch\n");
#else
#error "the explorer is for x86-64: it models this processor's order of memory, too"
#endif

void *fiber_data(unsigned fiber, size_t size)
{
    struct fiber *f = &fibers[fiber];
    f->data = f->stack + ((FIBER_STACK - size) & ~(size_t)63);
    return f->data;
}

static void (*bodies[FIBERS_MAX])(unsigned fiber);

static void start(void)
{
    bodies[running](running);
    __builtin_trap();
}

void fiber_begin(unsigned fiber, void (*body)(unsigned fiber))
{
    struct fiber *f = &fibers[fiber];
    bodies[fiber] = body;
    memset(f->stack, 0, (size_t)(f->data - f->stack));
    /* As if it had been called and had switched: six registers, where to return, and a caller. */
    void **top = (void **)(void *)f->data - 8;
    void (*entry)(void) = start;
    memcpy(&top[6], &entry, sizeof entry);
    f->sp = top;
}

void fiber_run(unsigned fiber)
{
    running = fiber;
    is_running = true;
    fiber_switch(&scheduler_sp, fibers[fiber].sp);
    is_running = false;
}

void fiber_rest(void)
{
    fiber_switch(&fibers[running].sp, scheduler_sp);
}

bool fiber_is_running(void)
{
    return is_running;
}

struct fiber_piece fiber_piece(unsigned fiber)
{
    const struct fiber *f = &fibers[fiber];
    const char *sp = f->sp;
    return (struct fiber_piece){sp, sp ? (size_t)(f->stack + FIBER_STACK - sp) : 0};
}

void fiber_restore(unsigned fiber, const char *bytes, size_t size)
{
    struct fiber *f = &fibers[fiber];
    char *sp = f->stack + FIBER_STACK - size;
    memcpy(sp, bytes, size);
    f->sp = sp;
}

void fiber_tidy(unsigned fiber)
{
    enum { DEEPEST = 6144 };
    char *sp = fibers[fiber].sp;
    memset(sp - DEEPEST, 0, DEEPEST);
}
