/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cell.h"

TestSuite(cell, .timeout = 120);

Test(cell, has_the_value_that_the_first_gave_it)
{
    const char *name = own_name("cell");
    const struct pair first = {7, 8}, second = {9, 10};
    rbx_cell *one, *other;
    succeeds(rbx_cell_open(&one, name, sizeof first, &first, NULL));
    succeeds(rbx_cell_open(&other, name, sizeof second, &second, NULL));
    cr_assert_eq(snapshot(other).one, 7);
    cr_assert_eq(snapshot(other).other, 8);
    cr_assert_eq(rbx_cell_version(other), 0);
    closes(one);
    closes(other);
    other = opened_pair(name);
    cr_assert_eq(snapshot(other).other, 0, "it begins with zeros when nothing else is said");
    closes(other);
}

static int opens_with_its_pid(void *name)
{
    const struct pair mine = {(uint64_t)getpid(), (uint64_t)getpid()};
    rbx_cell *cell;
    if (rbx_cell_open(&cell, name, sizeof mine, &mine, NULL) < 0)
        return -1;
    struct pair now;
    return rbx_cell_snapshot(cell, &now) == 0 && now.one == now.other ? (int)now.one : -1;
}

Test(cell, has_one_first_of_two_that_race_for_it)
{
    const char *name = own_name("cell"), *path = shm_path(name);
    for (int round = 0; round < 200; round++) {
        struct child one = start_running(opens_with_its_pid, (void *)(uintptr_t)name);
        struct child other = start_running(opens_with_its_pid, (void *)(uintptr_t)name);
        int seen = said(&one), seen_by_other = said(&other);
        cr_assert_eq(seen, seen_by_other);
        cr_assert(seen == one.pid || seen == other.pid, "the value is neither's: %d", seen);
        finish(&one);
        finish(&other);
        if (exists(path)) /* both ended without closing it */
            cr_assert_eq(rbx_box_reclaim(name, RBX_SHM), 0);
    }
}

Test(cell, hands_back_what_a_callback_returns)
{
    rbx_cell *cell = opened_pair(own_name("cell"));
    cr_assert_eq(rbx_cell_change(cell, add_one, NULL), sizeof(struct pair));
    cr_assert_eq(rbx_cell_change_for(cell, add_one, NULL, 1000000000), sizeof(struct pair));
    cr_assert_eq(rbx_cell_read(cell, difference, NULL), 0);
    cr_assert_eq(rbx_cell_read_for(cell, difference, NULL, 0), 0);
    is_whole(cell, 2);
    const struct pair bad = {1, 2};
    succeeds(rbx_cell_set(cell, &bad));
    cr_assert_eq(rbx_cell_read(cell, difference, NULL), -EILSEQ);
    cr_assert_eq(rbx_cell_version(cell), 3);
    closes(cell);
}

static int spoil_and_fail(void *value, size_t size, void *arg)
{
    memset(value, 0xff, size);
    return *(const int *)arg;
}

Test(cell, is_not_changed_by_a_callback_that_fails)
{
    rbx_cell *cell = opened_pair(own_name("cell"));
    succeeds(rbx_cell_change(cell, add_one, NULL));
    int answers[] = {-ENOSPC, -1, -2000000000};
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(rbx_cell_change(cell, spoil_and_fail, &answers[i]), answers[i]);
        is_whole(cell, 1);
    }
    succeeds(rbx_cell_change(cell, add_one, NULL));
    is_whole(cell, 2);
    closes(cell);
}

static int adds_a_thousand(void *name)
{
    rbx_cell *cell;
    if (rbx_cell_open(&cell, name, sizeof(struct pair), NULL, NULL) < 0)
        return -1;
    for (int i = 0; i < 1000; i++)
        if (rbx_cell_change(cell, add_one, NULL) < 0)
            return -1;
    return rbx_cell_close(cell);
}

Test(cell, loses_no_change)
{
    const char *name = own_name("cell");
    rbx_cell *cell = opened_pair(name);
    struct child children[3];
    for (int i = 0; i < 3; i++)
        children[i] = start_running(adds_a_thousand, (void *)(uintptr_t)name);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(said(&children[i]), 0);
    is_whole(cell, 3000);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(finish(&children[i]), 0);
    closes(cell);
}

/* ---- mistakes ------------------------------------------------------------------------------ */

static int calls_itself(void *value, size_t size, void *cell)
{
    (void)size;
    refuses(-EDEADLK, "already", rbx_cell_change(cell, add_one, NULL));
    refuses(-EDEADLK, "already", rbx_cell_read(cell, difference, NULL));
    refuses(-EDEADLK, "already", rbx_cell_set(cell, value));
    refuses(-EDEADLK, "already", rbx_cell_change_for(cell, add_one, NULL, 1000));
    refuses(-EBUSY, "callback", rbx_cell_close(cell));
    cr_assert_eq(snapshot(cell).one, 0, "a snapshot it may take");
    return add_one(value, size, NULL);
}

Test(cell, refuses_to_wait_for_its_own_callback)
{
    rbx_cell *cell = opened_pair(own_name("cell"));
    succeeds(rbx_cell_change(cell, calls_itself, cell));
    is_whole(cell, 1);
    closes(cell);
    succeeds(rbx_cell_close(NULL));
}

Test(cell, refuses_another_size_and_another_tag)
{
    const char *name = own_name("cell");
    const rbx_cell_options tagged = {.tag = 0xbeef}, other = {.tag = 0xfeed};
    rbx_cell *cell, *second;
    succeeds(rbx_cell_open(&cell, name, 24, NULL, &tagged));
    refuses(-EPROTO, "holds 24 bytes; this program asked for 32",
            rbx_cell_open(&second, name, 32, NULL, &tagged));
    refuses(-EPROTO, "holds 24 bytes; this program asked for 100000",
            rbx_cell_open(&second, name, 100000, NULL, NULL));
    cr_assert_null(second);
    refuses(-EPROTO, "has the tag 0xbeef; this program asked for 0xfeed",
            rbx_cell_open(&second, name, 24, NULL, &other));
    succeeds(rbx_cell_open(&second, name, 24, NULL, NULL));
    closes(second);
    closes(cell);
}

Test(cell, refuses_what_is_none)
{
    const char *name = own_name("cell");
    rbx_cell *cell;
    rbx_mutex *mutex;
    succeeds(rbx_mutex_open(&mutex, name, NULL));
    refuses(-EPROTO, "is no cell", rbx_cell_open(&cell, name, 8, NULL, NULL));
    succeeds(rbx_mutex_close(mutex));
    const rbx_cell_options joins = {.box = {.how = RBX_OPEN_ONLY}}, sized = {.box = {.size = 8}};
    refuses(-ENOENT, "there is no box", rbx_cell_open(&cell, name, 8, NULL, &joins));
    refuses(-EINVAL, "not yours to say", rbx_cell_open(&cell, name, 8, NULL, &sized));
    refuses(-EINVAL, "1 to 67108864 bytes", rbx_cell_open(&cell, name, 0, NULL, NULL));
    refuses(-EINVAL, "1 to 67108864 bytes",
            rbx_cell_open(&cell, name, RBX_CELL_SIZE_MAX + 1, NULL, NULL));
    _Alignas(64) char memory[RBX_CELL_BYTES(8)] = {0};
    refuses(-EINVAL, "needs 448 bytes", rbx_cell_init(memory, 447, 8, NULL, NULL));
    refuses(-EINVAL, "1 to", rbx_cell_init(memory, sizeof memory, 0, NULL, NULL));
    refuses(-EINVAL, "1 to", rbx_cell_attach(&cell, NULL, memory, sizeof memory, 0, NULL));
    refuses(-EPROTO, "is no cell", rbx_cell_attach(&cell, NULL, memory, 448, 8, NULL));
}

static int uses_what_it_inherited(void *cell)
{
    struct pair pair = {0};
    return rbx_cell_read(cell, difference, NULL) != -EBADF ||
           rbx_cell_change(cell, add_one, NULL) != -EBADF || rbx_cell_set(cell, &pair) != -EBADF ||
           rbx_cell_snapshot(cell, &pair) != -EBADF || rbx_cell_close(cell) != 0;
}

Test(cell, is_not_the_childs_after_fork)
{
    rbx_cell *cell = opened_pair(own_name("cell"));
    cr_assert_eq(in_child(uses_what_it_inherited, cell), 0);
    succeeds(rbx_cell_change(cell, add_one, NULL));
    is_whole(cell, 1);
    closes(cell);
}

Test(cell, without_a_name_is_not_the_childs_after_fork)
{
    rbx_cell *cell = opened_pair(NULL);
    cr_assert_eq(in_child(uses_what_it_inherited, cell), 0);
    succeeds(rbx_cell_change(cell, add_one, NULL));
    is_whole(cell, 1);
    closes(cell);
}

struct return_ticket {
    int wait[2]; /* the child comes back when it can read there */
    pid_t child;
};

static int add_one_and_fork(void *value, size_t size, void *arg)
{
    struct return_ticket *ticket = arg;
    char go;
    ticket->child = fork();
    if (ticket->child == 0 && read(ticket->wait[0], &go, 1) != 1)
        _exit(2);
    return add_one(value, size, NULL);
}

static int read_and_fork(const void *value, size_t size, void *arg)
{
    struct return_ticket *ticket = arg;
    char go;
    ticket->child = fork();
    if (ticket->child == 0 && read(ticket->wait[0], &go, 1) != 1)
        _exit(2);
    return difference(value, size, NULL);
}

static int child_comes_back(struct return_ticket *ticket)
{
    int status;
    cr_assert_eq(write(ticket->wait[1], "g", 1), 1);
    cr_assert_eq(waitpid(ticket->child, &status, 0), ticket->child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(cell, is_left_alone_by_a_child_that_comes_back_from_a_callback)
{
    rbx_cell *cell = opened_pair(own_name("cell"));
    struct return_ticket ticket;
    cr_assert_eq(pipe(ticket.wait), 0);
    int answer = rbx_cell_change(cell, add_one_and_fork, &ticket);
    if (ticket.child == 0)
        _exit(answer != -EBADF || rbx_cell_close(cell) != 0);
    cr_assert_eq(answer, sizeof(struct pair));
    for (int i = 0; i < 5; i++)
        succeeds(rbx_cell_change(cell, add_one, NULL));
    cr_assert_eq(child_comes_back(&ticket), 0);
    is_whole(cell, 6);
    answer = rbx_cell_read(cell, read_and_fork, &ticket);
    if (ticket.child == 0)
        _exit(answer != -EBADF || rbx_cell_close(cell) != 0);
    succeeds(answer);
    cr_assert_eq(child_comes_back(&ticket), 0);
    close(ticket.wait[0]);
    close(ticket.wait[1]);
    closes(cell);
}

/* ---- where it lives ------------------------------------------------------------------------ */

Test(cell, that_is_opened_read_only_has_snapshots)
{
    const char *name = own_name("cell");
    const rbx_cell_options read_only = {.box = {.read_only = true}};
    rbx_cell *cell, *reader;
    refuses(-ENOENT, "there is no box", rbx_cell_open(&reader, name, 16, NULL, &read_only));
    cell = opened_pair(name);
    succeeds(rbx_cell_open(&reader, name, sizeof(struct pair), NULL, &read_only));
    succeeds(rbx_cell_change(cell, add_one, NULL));
    cr_assert_eq(snapshot(reader).other, 1);
    cr_assert_eq(rbx_cell_version(reader), 1);
    struct pair pair = {0};
    refuses(-EACCES, "read-only", rbx_cell_read(reader, difference, NULL));
    refuses(-EACCES, "read-only", rbx_cell_change(reader, add_one, NULL));
    refuses(-EACCES, "read-only", rbx_cell_set(reader, &pair));
    closes(cell);
    closes(reader);
}

Test(cell, goes_with_its_last_user_and_leaves_nothing)
{
    const char *name = own_name("cell");
    rbx_cell *one = opened_pair(name), *other = opened_pair(name);
    closes(one);
    cr_assert(exists(shm_path(name)));
    closes(other);
    cr_assert_not(exists(shm_path(name)));
}

Test(cell, without_a_name_is_for_this_process)
{
    rbx_cell *cell = opened_pair(NULL);
    succeeds(rbx_cell_change(cell, add_one, NULL));
    is_whole(cell, 1);
    closes(cell);
}

Test(cell, keeps_a_box_open_that_it_is_attached_to)
{
    const struct pair initial = {5, 5};
    rbx_box *box = made(own_name("box"), 64 + RBX_CELL_BYTES(sizeof initial));
    char *at = (char *)rbx_box_data(box) + 64;
    rbx_cell *cell;
    succeeds(rbx_cell_init(at, RBX_CELL_BYTES(16), 16, &initial, NULL));
    succeeds(rbx_cell_attach(&cell, box, at, RBX_CELL_BYTES(16), 16, NULL));
    refuses(-EBUSY, "attached", rbx_box_close(box));
    cr_assert_eq(snapshot(cell).other, 5);
    closes(cell);
    succeeds(rbx_box_close(box));
}

Test(cell, has_values_of_any_size)
{
    static const size_t sizes[] = {1, 2, 7, 8, 9, 63, 64, 65, 4095, 1 << 20, RBX_CELL_SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = sizes[i];
        /* Unaligned, and one byte more at either end that nobody may touch. */
        char *in = malloc(size + 2), *out = malloc(size + 2);
        rbx_cell *cell;
        for (size_t at = 0; at < size + 2; at++)
            in[at] = (char)(at * 7 + 1);
        memset(out, 0x55, size + 2);
        succeeds(rbx_cell_open(&cell, NULL, size, in + 1, NULL));
        succeeds(rbx_cell_snapshot(cell, out + 1));
        cr_assert_eq(memcmp(in + 1, out + 1, size), 0);
        in[size] ^= 1;
        succeeds(rbx_cell_set(cell, in + 1));
        succeeds(rbx_cell_snapshot(cell, out + 1));
        cr_assert_eq(memcmp(in + 1, out + 1, size), 0, "%zu bytes", size);
        cr_assert(out[0] == 0x55 && out[size + 1] == 0x55);
        closes(cell);
        free(in);
        free(out);
    }
}

/* ---- what a peer wrote --------------------------------------------------------------------- */

enum { VERSION_AT = 128 };

Test(cell, counts_on_whatever_its_version_is)
{
    _Alignas(64) char memory[RBX_CELL_BYTES(sizeof(struct pair))] = {0};
    rbx_cell *cell;
    succeeds(rbx_cell_init(memory, sizeof memory, sizeof(struct pair), NULL, NULL));
    succeeds(rbx_cell_attach(&cell, NULL, memory, sizeof memory, sizeof(struct pair), NULL));
    const uint64_t versions[] = {UINT64_MAX - 3, INT64_MAX - 3, UINT32_MAX - 3, 0xdeadbeefcafef00d};
    for (size_t i = 0; i < 4; i++) {
        memcpy(memory + VERSION_AT, &versions[i], sizeof *versions);
        struct pair value = {1, 1};
        succeeds(rbx_cell_set(cell, &value));
        for (uint64_t n = 1; n < 8; n++) {
            cr_assert_eq(snapshot(cell).other, n);
            cr_assert_eq(rbx_cell_version(cell), versions[i] + n);
            succeeds(rbx_cell_change(cell, add_one, NULL));
        }
    }
    closes(cell);
}

struct spinner {
    _Atomic uint64_t *version;
    atomic_bool stop;
};

static void *spins(void *arg)
{
    struct spinner *spinner = arg;
    while (!atomic_load(&spinner->stop))
        atomic_fetch_add(spinner->version, 3);
    return NULL;
}

Test(cell, gives_a_peer_up_whose_version_never_stands_still)
{
    enum { SIZE = 1 << 16 };
    char *memory = aligned_alloc(64, RBX_CELL_BYTES(SIZE)), *out = malloc(SIZE);
    memset(memory, 0, RBX_CELL_BYTES(SIZE));
    rbx_cell *cell;
    succeeds(rbx_cell_init(memory, RBX_CELL_BYTES(SIZE), SIZE, NULL, NULL));
    succeeds(rbx_cell_attach(&cell, NULL, memory, RBX_CELL_BYTES(SIZE), SIZE, NULL));
    struct spinner spinner = {.version = (void *)(memory + VERSION_AT)};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, spins, &spinner), 0);
    for (int i = 0; i < 20; i++) /* by the mutex, when it comes to that */
        succeeds(rbx_cell_snapshot(cell, out));
    atomic_store(&spinner.stop, true);
    pthread_join(thread, NULL);
    closes(cell);
    free(memory);
    free(out);
}

Test(cell, refuses_a_damaged_header)
{
    _Alignas(64) char memory[RBX_CELL_BYTES(8)] = {0}, bad[RBX_CELL_BYTES(8)];
    rbx_cell *cell;
    succeeds(rbx_cell_init(memory, sizeof memory, 8, NULL, NULL));
    static const struct {
        size_t at;
        const char *says;
    } faults[] = {{0, "is no cell"}, {8, "byte order"}, {12, "version"}, {16, "something else"},
                  {20, "damaged"},   {27, "damaged"},   {24, "damaged"}, {40, "damaged"}};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        memcpy(bad, memory, sizeof bad);
        bad[faults[i].at] ^= 0x46;
        refuses(-EPROTO, faults[i].says, rbx_cell_attach(&cell, NULL, bad, sizeof bad, 8, NULL));
    }
}
