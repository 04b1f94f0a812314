/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cell.h: a value that processes share, and that is whole whoever dies while changing it.
 *
 *     struct account { int64_t balance; uint64_t payments; };
 *
 *     static int pay(void *value, size_t size, void *amount)
 *     {
 *         struct account *account = value;
 *         (void)size;
 *         if (account->balance < *(int64_t *)amount)
 *             return -ERANGE; // nothing changes
 *         account->balance -= *(int64_t *)amount;
 *         account->payments++;
 *         return 0;
 *     }
 *
 *     int buy(int64_t price)
 *     {
 *         const struct account initial = {.balance = 100}; // only whoever comes first writes it
 *         struct account now;
 *         rbx_cell *account;
 *         if (rbx_cell_open(&account, "account", sizeof initial, &initial, NULL) < 0) {
 *             fprintf(stderr, "%s\n", rbx_last_error());
 *             return 1;
 *         }
 *         if (rbx_cell_change(account, pay, &price) == -ERANGE)
 *             fprintf(stderr, "not enough money\n");
 *         if (rbx_cell_snapshot(account, &now) == 0)
 *             printf("left: %d\n", (int)now.balance);
 *         return rbx_cell_close(account);
 *     }
 *
 * What holds:
 *  - A change is made on a copy, which becomes the value in one step: a process that dies in the
 *    middle of a change, at any instruction, leaves the value as it was, and nobody waiting.
 *  - The value lives as long as somebody has the cell open: when all have died the next one makes a
 *    new one, with the value that it brings, unless it was kept (.box.policy = RBX_KEEP).
 *  - Changes come one after the other, and none is lost. One that failed changes nothing.
 *  - A snapshot is whole, and is the value of one moment of the call. It waits for nobody who is
 *    changing, stopped or dead, and makes nobody wait. After a change, everyone's snapshots have
 *    it; of two snapshots of one thread the later is never the older.
 *  - A handle may be used by all threads of its process. After fork() the child opens its own.
 *
 * read and change hold a mutex (as of mutex.h: all that share a cell must be in one PID namespace)
 * while their callback runs. So a callback is short. It returns, rather than jumps or throws, and
 * neither reads, changes nor closes the same cell (-EDEADLK, -EBUSY); a snapshot it may take. Other
 * cells it may use, if all do so in one order: else two wait for each other. One whose thread ends
 * in it has died in it. If it forks, what it does in the child changes nothing (-EBADF, if it
 * returns there).
 *
 * A cell holds its value four times over.
 */
#ifndef RINGBOX_CELL_H
#define RINGBOX_CELL_H

#include <stddef.h>
#include <stdint.h>

#include <ringbox/api.h>
#include <ringbox/box.h>
#include <ringbox/error.h>
#include <ringbox/wait.h>

RBX_BEGIN_DECLS

typedef struct rbx_cell rbx_cell;

/* The largest value, in bytes. */
#define RBX_CELL_SIZE_MAX ((size_t)64 << 20)

/* All zero is the default. */
typedef struct rbx_cell_options {
    uint64_t tag;        /* yours, say the type's: kept in a new cell; when not 0, must equal an
                            existing cell's */
    rbx_box_options box; /* where a named cell lives; `size`, `tag`, `raw` and `init` are not yours.
                            With `read_only` one can take snapshots; it joins only */
} rbx_cell_options;

/*
 * Opens the cell `name`, whose value has `size` bytes: makes it or joins it, as options->box.how
 * says, and makes it when there are no options. A new one's value is a copy of *initial, or zero
 * when that is NULL. With the name NULL it is a new one for the threads of this process. The box
 * goes when the last one closes it (RBX_LAST_ONE_OUT, which RBX_OWNER_UNLINKS means here, too), or
 * stays (RBX_KEEP). Errors are those of rbx_box_open; -EPROTO also when what has that name is no
 * cell, or one of another size or tag.
 */
RBX_API int rbx_cell_open(rbx_cell **cell, const char *name, size_t size, const void *initial,
                          const rbx_cell_options *options);

/*
 * A cell in memory of your own, as part of something larger: zeroed, RBX_CELL_BYTES(size) long and
 * aligned to 64 bytes. Make it before anybody else can see it, say in rbx_box_options.init. Then
 * each process attaches to it: in `box`, which cannot be closed before the handle; or wherever it
 * is, when that is NULL, and then the memory is yours to keep until the handle is closed. Of the
 * options only the tag counts.
 */
#define RBX_CELL_BYTES(size) (192U + 4U * (((size_t)(size) + 63U) / 64U * 64U))
RBX_API int rbx_cell_init(void *memory, size_t bytes, size_t size, const void *initial,
                          const rbx_cell_options *options);
RBX_API int rbx_cell_attach(rbx_cell **cell, rbx_box *box, void *memory, size_t bytes, size_t size,
                            const rbx_cell_options *options);

/* -EBUSY, and nothing is done, while a callback of this process uses the value through this handle.
   NULL is fine. Else as rbx_box_close. */
RBX_API int rbx_cell_close(rbx_cell *cell);

/* What runs on the value. It is aligned to 64 bytes. */
typedef int rbx_cell_reader(const void *value, size_t size, void *arg);
typedef int rbx_cell_changer(void *value, size_t size, void *arg);

/*
 * Runs `fn` on the value, with the mutex held, and returns what it returned: what is there to read,
 * or a copy to change, which becomes the value unless `fn` returns a negative number: of that one
 * rbx_last_error() says nothing. When fn could not be run:
 *   -EDEADLK    called from within such a callback      -EBADF   inherited through fork()
 *   -EACCES     the cell was opened read-only           -ETIMEDOUT  others held it for that long
 */
RBX_API int rbx_cell_read(rbx_cell *cell, rbx_cell_reader *fn, void *arg);
RBX_API int rbx_cell_read_for(rbx_cell *cell, rbx_cell_reader *fn, void *arg, uint64_t timeout_ns);
RBX_API int rbx_cell_change(rbx_cell *cell, rbx_cell_changer *fn, void *arg);
RBX_API int rbx_cell_change_for(rbx_cell *cell, rbx_cell_changer *fn, void *arg,
                                uint64_t timeout_ns);

/* A change that puts a copy of *value there, whatever was there before. Else as rbx_cell_change. */
RBX_API int rbx_cell_set(rbx_cell *cell, const void *value);

/*
 * Copies the value out. Tries again when it has changed three times meanwhile, and when that
 * happens time and again also for the mutex. -EBUSY: it went on like this for too long, which only
 * a peer that means to can bring about. -EBADF: inherited through fork().
 */
RBX_API int rbx_cell_snapshot(const rbx_cell *cell, void *out);

/* How many changes have been made so far. A snapshot that is taken now has at least these. */
RBX_API uint64_t rbx_cell_version(const rbx_cell *cell);

RBX_END_DECLS

#endif
