/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "uring.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "eventfd.h"
#include "futex.h"

/* Newer than the headers that many systems compile with: of operations, of the set-up, of entries,
   of the submission queue, of futexes, and of processes. */
enum { OP_FUTEX_WAIT = 51 };
#define TASKRUN_FLAG (1U << 9)
#define SINGLE_ISSUER (1U << 12)
#define DEFER_TASKRUN (1U << 13)
#define SKIP_SUCCESS (1U << 6)
#define SQ_TASKRUN (1U << 2)
#define SIZE_U32 2
#define PRIVATE 128
#define FUTEX_HASH 78
#define FUTEX_HASH_GET_SLOTS 2

struct entry { /* struct io_uring_sqe, as far as it is used */
    uint8_t opcode, flags;
    uint16_t priority;
    int32_t fd; /* a futex's flags */
    uint64_t value, address;
    uint32_t length, timeout_flags;
    uint64_t user_data, unused, mask, unused_too;
};
_Static_assert(sizeof(struct entry) == sizeof(struct io_uring_sqe), "the kernel's layout");

/* A cancellation, a wait and its time-out make three; completions of two rounds have room. */
enum { ENTRIES = 4 };

static int enter(const struct rbx_uring *uring, unsigned count)
{
    long done =
        syscall(SYS_io_uring_enter, uring->fd.fd, count, 0, IORING_ENTER_GETEVENTS, NULL, 0);
    return done < 0 ? -errno : (unsigned)done == count ? 0 : -EIO;
}

/* --- Opening and closing --- */

static int make(const void *arg)
{
    struct io_uring_params *params = *(struct io_uring_params *const *)arg;
    long fd = syscall(SYS_io_uring_setup, ENTRIES, params);
    if (fd < 0)
        return -errno;
    fcntl((int)fd, F_SETFD, FD_CLOEXEC);
    return (int)fd;
}

/* Whether the kernel knows the one operation that matters. */
static int probe(int fd)
{
    union {
        struct io_uring_probe probe;
        char bytes[sizeof(struct io_uring_probe) +
                   (OP_FUTEX_WAIT + 1) * sizeof(struct io_uring_probe_op)];
    } answer = {.bytes = {0}};
    if (syscall(SYS_io_uring_register, fd, IORING_REGISTER_PROBE, &answer, OP_FUTEX_WAIT + 1) < 0)
        return -errno;
    /* Older kernels know fewer, and say 0 of this one. */
    return answer.probe.ops[OP_FUTEX_WAIT].flags & IO_URING_OP_SUPPORTED ? 0 : -ENOSYS;
}

/* Shared with the kernel, not with a child, in which it would keep the io_uring alive. */
static int map(void **at, size_t size, int fd, uint64_t offset)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
    if (memory == MAP_FAILED)
        return -errno;
    *at = memory;
    return madvise(memory, size, MADV_DONTFORK) < 0 ? -errno : 0;
}

static int map_queues(struct rbx_uring *uring, const struct io_uring_params *params)
{
    size_t sq = params->sq_off.array + params->sq_entries * sizeof(uint32_t);
    size_t cq = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
    if (!(params->features & IORING_FEAT_SINGLE_MMAP))
        return -ENOSYS;
    uring->queues_size = sq > cq ? sq : cq;
    uring->entries_size = params->sq_entries * sizeof(struct entry);
    int err = map(&uring->queues, uring->queues_size, uring->fd.fd, IORING_OFF_SQ_RING);
    if (err == 0)
        err = map(&uring->entries, uring->entries_size, uring->fd.fd, IORING_OFF_SQES);
    if (err < 0)
        return err;
    char *base = uring->queues;
    uring->sq_tail = (void *)(base + params->sq_off.tail);
    uring->sq_flags = (void *)(base + params->sq_off.flags);
    uring->sq_array = (void *)(base + params->sq_off.array);
    uring->sq_mask = params->sq_entries - 1;
    uring->cq_head = (void *)(base + params->cq_off.head);
    uring->cq_tail = (void *)(base + params->cq_off.tail);
    uring->cq_flags = (void *)(base + params->cq_off.flags);
    uring->cq_mask = params->cq_entries - 1;
    uring->completions = base + params->cq_off.cqes;
    return 0;
}

int rbx_uring_open(struct rbx_uring *uring, int flag)
{
    struct io_uring_params params = {.flags = SINGLE_ISSUER | DEFER_TASKRUN | TASKRUN_FLAG};
    struct io_uring_params *filled = &params;
    *uring = (struct rbx_uring){.number = 0};
    uring->fd = RBX_FD_CLOSED;
    int err = rbx_fd_make(&uring->fd, make, &filled);
    if (err < 0)
        return err;
    err = probe(uring->fd.fd);
    if (err == 0)
        err = map_queues(uring, &params);
    if (err == 0 &&
        syscall(SYS_io_uring_register, uring->fd.fd, IORING_REGISTER_EVENTFD, &flag, 1) < 0)
        err = -errno;
    if (err < 0)
        rbx_uring_close(uring);
    return err;
}

/*
 * What is under way is the kernel's to end, which it does later: it has no pointer into memory of
 * ours, but for the word, which it does not look at any more. Until then its wait would take the
 * wake-up of whoever waits next at that address, where that is for one: so it is woken now, which
 * ends it. (To cancel it is only for the thread that began it.) In a child there is nothing:
 * neither descriptor nor mapping.
 */
void rbx_uring_close(struct rbx_uring *uring)
{
    if (rbx_fd_is_open(&uring->fd)) {
        if (uring->word)
            rbx_futex_wake(uring->word, uring->in_process);
        if (uring->entries)
            munmap(uring->entries, uring->entries_size);
        if (uring->queues)
            munmap(uring->queues, uring->queues_size);
    }
    rbx_fd_give_away(&uring->fd);
}

/* --- Waiting --- */

static struct entry *next_entry(struct rbx_uring *uring, uint32_t *tail)
{
    uint32_t at = (*tail)++ & uring->sq_mask;
    struct entry *entry = (struct entry *)uring->entries + at;
    *entry = (struct entry){0};
    uring->sq_array[at] = at;
    return entry;
}

/* All that is submitted besides has even numbers. */
static uint64_t mark(uint64_t number)
{
    return 2 * number + 1;
}

static void cancel(struct rbx_uring *uring, uint32_t *tail)
{
    struct entry *entry = next_entry(uring, tail);
    entry->opcode = IORING_OP_ASYNC_CANCEL;
    entry->address = mark(uring->number);
    entry->flags = SKIP_SUCCESS;
    uring->is_waiting = false;
}

/* Takes all completions: what the last wait has come to, or -EINPROGRESS. */
static int reap(struct rbx_uring *uring)
{
    int result = -EINPROGRESS;
    uint32_t head = atomic_load_explicit(uring->cq_head, memory_order_relaxed); /* ours */
    uint32_t tail = atomic_load_explicit(uring->cq_tail, memory_order_acquire); /* the kernel's */
    for (; head != tail; head++) {
        const struct io_uring_cqe *entry =
            (const struct io_uring_cqe *)uring->completions + (head & uring->cq_mask);
        if (entry->user_data == mark(uring->number))
            result = entry->res;
    }
    atomic_store_explicit(uring->cq_head, head, memory_order_release);
    return result;
}

/*
 * Submits what is queued. The completions that are left from before set no flag now, as they did
 * once. This could silence the new wait's as well: so look, once it may speak, whether it had
 * reason to. (Who rings changes the word before it wakes, which is a full barrier: either the
 * kernel finds the flag allowed, or we find the word changed.) And the kernel sets the flag only
 * for the first work that it leaves: whatever is left by now, as of a last wait whose time was just
 * up, would keep the new wait from setting it.
 */
static int submit(struct rbx_uring *uring, uint32_t tail)
{
    uint32_t count = tail - atomic_load_explicit(uring->sq_tail, memory_order_relaxed); /* ours */
    atomic_store_explicit(uring->sq_tail, tail, memory_order_release);
    atomic_store_explicit(uring->cq_flags, IORING_CQ_EVENTFD_DISABLED, memory_order_seq_cst);
    int err = enter(uring, count);
    atomic_store_explicit(uring->cq_flags, 0, memory_order_seq_cst);
    atomic_thread_fence(memory_order_seq_cst);
    return err;
}

static void *do_nothing(void *arg)
{
    return arg;
}

/*
 * Since Linux 6.16 a process has a table of its own for the futexes that only it knows, from the
 * moment when it has a second thread. A wait that the kernel has begun before, in the table of all,
 * stays there, where no wake-up looks for it any more. So the second thread is there now, for a
 * moment.
 */
static int have_own_futexes(void)
{
    int slots = prctl(FUTEX_HASH, FUTEX_HASH_GET_SLOTS, 0, 0, 0);
    if (slots > 0 || (slots < 0 && errno == EINVAL)) /* or no process has */
        return 0;
    pthread_t thread;
    sigset_t all, before;
    int cancel_state; /* who is cancelled here would leave the thread unjoined */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    sigfillset(&all); /* the program's handlers are for the program's threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = -pthread_create(&thread, NULL, do_nothing, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err == 0)
        pthread_join(thread, NULL);
    pthread_setcancelstate(cancel_state, NULL);
    return err;
}

int rbx_uring_wait(struct rbx_uring *uring, int flag, const void *word, uint32_t seen,
                   bool in_process, uint64_t deadline_ns)
{
    if (in_process && !uring->in_process) {
        int err = have_own_futexes();
        if (err < 0)
            return err;
    }
    uint32_t tail = atomic_load_explicit(uring->sq_tail, memory_order_relaxed); /* ours */
    uring->word = word;
    uring->in_process = in_process;
    /* With work left to do the last wait is over, in one way or the other. */
    if (uring->is_waiting &&
        !(atomic_load_explicit(uring->sq_flags, memory_order_acquire) & SQ_TASKRUN))
        cancel(uring, &tail);
    struct entry *entry = next_entry(uring, &tail);
    entry->opcode = OP_FUTEX_WAIT;
    entry->fd = SIZE_U32 | (in_process ? PRIVATE : 0);
    entry->address = (uintptr_t)word;
    entry->value = seen;
    entry->mask = FUTEX_BITSET_MATCH_ANY;
    entry->user_data = mark(++uring->number);
    if (deadline_ns != UINT64_MAX) {
        uring->until[0] = (int64_t)(deadline_ns / 1000000000U);
        uring->until[1] = (int64_t)(deadline_ns % 1000000000U);
        entry->flags = IOSQE_IO_LINK;
        entry = next_entry(uring, &tail);
        entry->opcode = IORING_OP_LINK_TIMEOUT;
        entry->address = (uintptr_t)uring->until;
        entry->length = 1;
        entry->timeout_flags = IORING_TIMEOUT_ABS;
    }
    int err = submit(uring, tail);
    if (err < 0)
        return err;
    uring->is_waiting = true;
    int result = reap(uring);
    if (result != -EINPROGRESS && result != 0 && result != -EAGAIN && result != -ECANCELED)
        return result;
    /* Relaxed: the fence is before both; and what the word says is for who looks next. */
    bool has_changed =
        atomic_load_explicit((const _Atomic uint32_t *)word, memory_order_relaxed) != seen;
    bool is_left = atomic_load_explicit(uring->sq_flags, memory_order_relaxed) & SQ_TASKRUN;
    if (result != -EINPROGRESS || has_changed || is_left ||
        (deadline_ns != UINT64_MAX && rbx_clock_monotonic() >= deadline_ns))
        return rbx_eventfd_set(flag);
    return 0;
}
