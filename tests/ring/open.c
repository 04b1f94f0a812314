/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rings and where they live. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/support.h"

TestSuite(open, .timeout = 60);

static const rbx_ring_options eights = {.message_size = 8, .capacity = 20};
static const rbx_ring_options whatever = {.box = {.how = RBX_OPEN_ONLY}};

static rbx_ring *opened_ring(const char *name, const rbx_ring_options *options)
{
    rbx_ring *ring;
    succeeds(rbx_ring_open(&ring, name, options));
    return ring;
}

static void send_through(rbx_ring *ring, uint64_t from, uint64_t count)
{
    rbx_tx tx;
    succeeds(rbx_tx_open(&tx, ring));
    for (uint64_t i = from; i < from + count; i++)
        cr_assert_eq(rbx_try_send(&tx, &i), 0);
    rbx_tx_close(&tx);
}

static void recv_through(rbx_ring *ring, uint64_t from, uint64_t count)
{
    rbx_rx rx;
    uint64_t got;
    succeeds(rbx_rx_open(&rx, ring));
    for (uint64_t i = from; i < from + count; i++) {
        cr_assert_eq(rbx_try_recv(&rx, &got), 0);
        cr_assert_eq(got, i);
    }
    rbx_rx_close(&rx);
}

static rbx_ring_info described(const rbx_ring *ring)
{
    rbx_ring_info info;
    succeeds(rbx_ring_describe(ring, &info));
    return info;
}

/* What one handle sends the other one receives, and closing both leaves nothing. */
static void check_pair(rbx_ring *one, rbx_ring *two)
{
    send_through(one, 0, 9);
    recv_through(two, 0, 4);
    send_through(two, 9, 9);
    recv_through(one, 4, 14);
    cr_assert_eq(described(one).sent, 18);
    cr_assert_eq(described(two).received, 18);
    succeeds(rbx_ring_close(two));
    succeeds(rbx_ring_close(one));
}

/* --- Where --- */

Test(open, a_named_ring_is_shared_by_its_handles)
{
    const char *name = own_name("named");
    int fds = open_descriptors(), maps = box_mappings();
    rbx_ring *one = opened_ring(name, &eights), *two = opened_ring(name, &eights);
    cr_assert(exists(shm_path(name)));
    cr_assert_str_eq(rbx_box_name(rbx_ring_box(one)), name);
    cr_assert(rbx_box_was_created(rbx_ring_box(one)));
    cr_assert_not(rbx_box_was_created(rbx_ring_box(two)));
    check_pair(one, two);
    cr_assert_not(exists(shm_path(name)));
    cr_assert_eq(open_descriptors(), fds);
    cr_assert_eq(box_mappings(), maps);
}

Test(open, null_options_join_whatever_ring_has_the_name)
{
    const char *name = own_name("any");
    rbx_ring *none = NULL;
    refuses(-ENOENT, name, rbx_ring_open(&none, name, NULL));
    cr_assert_null(none);
    rbx_ring *one = opened_ring(name, &eights), *two = opened_ring(name, NULL);
    check_pair(one, two);
    refuses(-EINVAL, "message size", rbx_ring_open(&none, NULL, NULL));
}

Test(open, null_options_join_a_ring_of_any_kind)
{
    const char *name = own_name("kinds");
    for (int kind = RBX_SPSC; kind <= RBX_LOCKED; kind++) {
        rbx_ring_options options = eights;
        options.kind = (rbx_ring_kind)kind;
        rbx_ring *one = opened_ring(name, &options), *two = opened_ring(name, NULL);
        cr_assert_eq((int)described(two).kind, kind);
        check_pair(one, two);
    }
}

Test(open, a_ring_without_a_name_is_this_processes_own)
{
    const rbx_ring_options wishes = {
        .message_size = 8,
        .capacity = 100000,
        .box = {.huge_pages = true, .prefault = true, .lock_memory = true}};
    rbx_ring *ring = opened_ring(NULL, &wishes), *other = opened_ring(NULL, &eights);
    cr_assert_null(rbx_ring_box(ring));
    send_through(ring, 0, 100000);
    recv_through(ring, 0, 100000);
    cr_assert_eq(described(other).sent, 0);
    succeeds(rbx_ring_close(other));
    succeeds(rbx_ring_close(ring));
}

Test(open, a_ring_can_live_in_a_file)
{
    char directory[4096], path[4096];
    strcpy(directory, own_directory("/tmp"));
    strcpy(path, in_directory(directory, "t.ring"));
    rbx_ring_options options = eights;
    options.box.backing = RBX_FILE;
    rbx_ring *one = opened_ring(path, &options), *two = opened_ring(path, &options);
    check_pair(one, two);
    cr_assert_not(exists(path));
    remove_tree(directory);
}

Test(open, a_ring_can_live_in_a_system_v_segment)
{
    char key[32];
    snprintf(key, sizeof key, "0x%08x", 0x52630000U + ((unsigned)getpid() & 0xffffU));
    rbx_ring_options options = eights;
    options.box.backing = RBX_SYSV;
    rbx_ring *one = opened_ring(key, &options), *two = opened_ring(key, &options);
    check_pair(one, two);
    cr_assert_eq(shmget((key_t)strtoul(key, NULL, 16), 0, 0), -1);
}

static int answer_over(void *arg)
{
    rbx_box *box;
    rbx_ring *ring;
    int err = rbx_box_recv(*(int *)arg, &box);
    if (err == 0)
        err = rbx_ring_open_box(&ring, box, &whatever);
    rbx_rx rx;
    rbx_tx tx;
    if (err == 0)
        err = rbx_rx_open(&rx, ring);
    uint64_t got = 0;
    for (uint64_t i = 0; err == 0 && i < 9; i++)
        err = rbx_recv(&rx, &got) < 0 || got != i ? -EPROTO : 0;
    if (err == 0)
        err = rbx_tx_open(&tx, ring);
    for (uint64_t i = 9; err == 0 && i < 12; i++)
        err = rbx_send(&tx, &i);
    return err;
}

Test(open, a_ring_in_a_memfd_is_handed_over)
{
    int sockets[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
    rbx_ring_options options = eights;
    options.box.backing = RBX_MEMFD;
    rbx_ring *ring = opened_ring("t.ring", &options);
    send_through(ring, 0, 9);
    succeeds(rbx_box_send(sockets[0], rbx_ring_box(ring)));
    struct child other = start(answer_over, &sockets[1]);
    rbx_rx rx;
    refuses(-EBUSY, "living receiver", rbx_rx_open(&rx, ring));
    murder(&other);
    recv_through(ring, 9, 3);
    succeeds(rbx_ring_close(ring));
}

Test(open, the_options_of_the_box_are_used)
{
    const char *name = own_name("mode");
    struct stat status;
    rbx_ring_options options = eights;
    options.box.mode = 0660;
    options.box.policy = RBX_LAST_ONE_OUT;
    rbx_ring *one = opened_ring(name, &options), *none;
    cr_assert_eq(stat(shm_path(name), &status), 0);
    cr_assert_eq(status.st_mode & 0777, 0660);
    options.box.how = RBX_CREATE_ONLY;
    refuses(-EEXIST, "exists already", rbx_ring_open(&none, name, &options));
    cr_assert_null(none);
    succeeds(rbx_ring_close(one));
    cr_assert_not(exists(shm_path(name)));
}

static int keep_out(void *data, size_t size, void *arg)
{
    (void)data, (void)size, (void)arg;
    return 0;
}

Test(open, what_is_the_rings_to_say_of_its_box_may_not_be_given)
{
    const rbx_box_options bad[] = {{.size = 4096},
                                   {.tag = 1},
                                   {.init = keep_out},
                                   {.raw = true},
                                   {.raw = true, .how = RBX_OPEN_ONLY},
                                   {.size = 4096, .how = RBX_OPEN_ONLY}};
    const char *name = own_name("boxed");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rbx_ring_options options = eights;
        rbx_ring *ring;
        options.box = bad[i];
        refuses(-EINVAL, "size, tag, init and raw", rbx_ring_open(&ring, name, &options));
        cr_assert_null(ring);
        cr_assert_not(exists(shm_path(name)));
    }
}

/* --- What does not fit --- */

Test(open, a_ring_that_is_not_what_was_asked_for_is_refused)
{
    const char *name = own_name("other");
    const rbx_ring_options made = {.message_size = 8, .alignment = 8, .capacity = 20, .tag = 0x7ea};
    const struct {
        const char *part;
        rbx_ring_options options;
    } bad[] = {
        {"holds 8-byte messages; this program asked for 16", {.message_size = 16, .capacity = 20}},
        {"holds 8-byte messages; this program asked for 4", {.message_size = 4, .capacity = 20}},
        {"aligns its messages to 8 bytes; this program asked for 16",
         {.message_size = 8, .alignment = 16, .capacity = 20}},
        {"holds 20 messages; this program asked for 21", {.message_size = 8, .capacity = 21}},
        {"holds 20 messages; this program asked for 1000000",
         {.message_size = 8, .capacity = 1000000}},
        {"has the tag 0x7ea; this program asked for 0xbad",
         {.message_size = 8, .capacity = 20, .tag = 0xbad}},
        {"has the tag 0x7ea; this program asked for 0xbad",
         {.message_size = 8, .capacity = 2, .tag = 0xbad}},
    };
    rbx_ring *one = opened_ring(name, &made), *two = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (int how = 0; how < 2; how++) {
            rbx_ring_options options = bad[i].options;
            options.box.how = how == 0 ? RBX_OPEN_OR_CREATE : RBX_OPEN_ONLY;
            refuses(-EPROTO, bad[i].part, rbx_ring_open(&two, name, &options));
            cr_assert_not_null(strstr(rbx_last_error(), name));
            cr_assert_null(two);
        }
    const rbx_ring_options good[] = {{.message_size = 8, .capacity = 20},
                                     {.message_size = 8, .capacity = 1, .alignment = 4},
                                     {.message_size = 8, .capacity = 20, .tag = 0x7ea}};
    for (size_t i = 0; i < 3; i++)
        succeeds(rbx_ring_close(opened_ring(name, &good[i])));
    const rbx_ring_options parts[] = {{.message_size = 8, .box.how = RBX_OPEN_ONLY},
                                      {.capacity = 20, .box.how = RBX_OPEN_ONLY},
                                      {.tag = 0x7ea, .box.how = RBX_OPEN_ONLY}};
    for (size_t i = 0; i < 3; i++)
        succeeds(rbx_ring_close(opened_ring(name, &parts[i])));
    const rbx_ring_options odd[] = {{.kind = (rbx_ring_kind)7, .box.how = RBX_OPEN_ONLY},
                                    {.alignment = 3, .box.how = RBX_OPEN_ONLY},
                                    {.message_size = SIZE_MAX, .box.how = RBX_OPEN_ONLY}};
    for (size_t i = 0; i < 3; i++)
        refuses(-EINVAL, "", rbx_ring_open(&two, name, &odd[i]));
    cr_assert_eq(described(one).tag, 0x7ea);
    succeeds(rbx_ring_close(one));
}

Test(open, a_box_that_holds_no_ring_is_refused_and_stays)
{
    const char *name = own_name("foreign");
    const size_t sizes[] = {1, 255, 256, 1023, 4096, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        rbx_box *box = made(name, sizes[i]);
        rbx_ring *ring;
        memset(rbx_box_data(box), 'x', sizes[i]);
        refuses(-EPROTO, "no ring", rbx_ring_open(&ring, name, &eights));
        refuses(-EPROTO, "no ring", rbx_ring_open(&ring, name, NULL));
        refuses(-EPROTO, "no ring", rbx_ring_open_box(&ring, box, NULL));
        cr_assert_null(ring);
        cr_assert_eq(rbx_box_attached(box), 1, "on failure it remains ours");
        memset(rbx_box_data(box), 0, sizes[i]);
        refuses(-EPROTO, "no ring", rbx_ring_open(&ring, name, &eights));
        succeeds(rbx_box_close(box));
    }
}

Test(open, a_file_that_is_no_box_is_refused)
{
    const char *name = own_name("text");
    rbx_ring *ring;
    int fd = open(shm_path(name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_eq(write(fd, "hello", 5), 5);
    refuses(-EPROTO, name, rbx_ring_open(&ring, name, &eights));
    close(fd);
    unlink(shm_path(name));
}

Test(open, a_box_that_is_mapped_raw_is_refused)
{
    const char *name = own_name("raw");
    rbx_ring *one = opened_ring(name, &eights), *two;
    char leaf[300];
    snprintf(leaf, sizeof leaf, "/ringbox.%s", name);
    rbx_box *raw = opened(leaf, &(rbx_box_options){.raw = true, .how = RBX_OPEN_ONLY});
    refuses(-EINVAL, "raw", rbx_ring_open_box(&two, raw, NULL));
    cr_assert_null(two);
    succeeds(rbx_box_close(raw));
    succeeds(rbx_ring_close(one));
}

Test(open, a_box_of_the_callers_becomes_the_rings)
{
    const char *name = own_name("given");
    rbx_ring *one = opened_ring(name, &eights), *two;
    rbx_box *box = opened(name, NULL);
    succeeds(rbx_ring_open_box(&two, box, &eights));
    cr_assert_eq(rbx_ring_box(two), box);
    rbx_ring *three;
    refuses(-EBUSY, "belongs to a ring", rbx_ring_open_box(&three, box, &eights));
    cr_assert_null(three);
    check_pair(one, two);
}

Test(open, a_ring_is_not_closed_while_something_else_is_attached_to_its_box)
{
    const char *name = own_name("shared");
    rbx_ring *ring = opened_ring(name, &eights);
    rbx_box *box = rbx_ring_box(ring);
    rbx_mutex *mutex;
    /* Where messages would be: there are none. */
    char *end = (char *)rbx_box_data(box) + (rbx_box_size(box) & ~(size_t)63) - RBX_MUTEX_BYTES;
    memset(end, 0, RBX_MUTEX_BYTES);
    succeeds(rbx_mutex_init(end, RBX_MUTEX_BYTES, NULL));
    succeeds(rbx_mutex_attach(&mutex, box, end, RBX_MUTEX_BYTES));
    for (int i = 0; i < 2; i++) {
        refuses(-EBUSY, "attached here", rbx_ring_close(ring));
        cr_assert_eq(rbx_ring_box(ring), box, "nothing was done");
    }
    succeeds(rbx_mutex_close(mutex));
    succeeds(rbx_ring_close(ring));
}

/* --- Who --- */

Test(open, a_read_only_handle_sees_and_does_nothing)
{
    const char *name = own_name("ro");
    const rbx_ring_options look = {.box = {.how = RBX_OPEN_ONLY, .read_only = true}};
    rbx_ring *one = opened_ring(name, &eights), *two = opened_ring(name, &look);
    rbx_tx tx, other;
    rbx_rx rx;
    send_through(one, 0, 5);
    recv_through(one, 0, 2);
    succeeds(rbx_tx_open(&tx, one));
    rbx_ring_info info = described(two);
    cr_assert_eq(info.sent, 5);
    cr_assert_eq(info.received, 2);
    cr_assert_eq(info.tx.state, RBX_END_ALIVE);
    cr_assert_eq(info.rx.state, RBX_END_NONE);
    refuses(-EACCES, "read-only", rbx_tx_open(&other, two));
    refuses(-EACCES, "read-only", rbx_rx_open(&rx, two));
    refuses(-EACCES, "read-only", rbx_ring_shutdown(two));
    cr_assert_eq(rbx_try_recv(&rx, &info), -EINVAL);
    rbx_tx_close(&tx);
    cr_assert_not(described(one).shut);
    succeeds(rbx_ring_close(two));
    succeeds(rbx_ring_close(one));
}

Test(open, there_is_one_sender_and_one_receiver)
{
    const char *name = own_name("one");
    rbx_ring *one = opened_ring(name, &eights), *two = opened_ring(name, &eights);
    rbx_tx tx, second_tx;
    rbx_rx rx, second_rx;
    char pid[32];
    snprintf(pid, sizeof pid, "process %d", (int)getpid());
    succeeds(rbx_tx_open(&tx, one));
    succeeds(rbx_rx_open(&rx, two));
    rbx_ring *handles[] = {one, two};
    for (int i = 0; i < 2; i++) {
        refuses(-EBUSY, pid, rbx_tx_open(&second_tx, handles[i]));
        refuses(-EBUSY, pid, rbx_rx_open(&second_rx, handles[i]));
        cr_assert_eq(described(handles[i]).tx.state, RBX_END_ALIVE);
        cr_assert_eq(described(handles[i]).rx.state, RBX_END_ALIVE);
    }
    refuses(-EBUSY, "open endpoint", rbx_ring_close(one));
    rbx_tx_close(&tx);
    rbx_tx_close(&tx);
    succeeds(rbx_tx_open(&second_tx, two));
    cr_assert_eq(described(one).tx.opened, 2);
    refuses(-EBUSY, "living sender", rbx_tx_open(&tx, one));
    rbx_tx_close(&second_tx);
    rbx_rx_close(&rx);
    check_pair(one, two);
}

struct ends {
    const char *name;
    rbx_ring *ring;
    rbx_tx tx;
    rbx_rx rx;
};

static int open_both(void *arg)
{
    struct ends *ends = arg;
    int err = rbx_ring_open(&ends->ring, ends->name, &eights);
    if (err == 0)
        err = rbx_tx_open(&ends->tx, ends->ring);
    return err < 0 ? err : rbx_rx_open(&ends->rx, ends->ring);
}

Test(open, an_endpoint_of_another_process_is_known_alive_and_dead)
{
    struct ends ends = {.name = own_name("afar")};
    rbx_ring *ring = opened_ring(ends.name, &eights);
    struct child other = start(open_both, &ends);
    char pid[32];
    snprintf(pid, sizeof pid, "process %d", (int)other.pid);
    rbx_tx tx;
    rbx_rx rx;
    refuses(-EBUSY, pid, rbx_tx_open(&tx, ring));
    refuses(-EBUSY, pid, rbx_rx_open(&rx, ring));
    rbx_ring_info info = described(ring);
    cr_assert_eq(info.tx.pid, other.pid);
    cr_assert_eq(info.tx.state, RBX_END_ALIVE);
    cr_assert_eq(info.rx.state, RBX_END_ALIVE);
    murder(&other);
    info = described(ring);
    cr_assert_eq(info.tx.state, RBX_END_DEAD);
    cr_assert_eq(info.rx.state, RBX_END_DEAD);
    send_through(ring, 0, 3);
    recv_through(ring, 0, 3);
    info = described(ring);
    cr_assert_eq(info.tx.state, RBX_END_NONE);
    cr_assert_eq(info.rx.opened, 2);
    succeeds(rbx_ring_close(ring));
}

/* --- fork --- */

static int close_everything(void *arg)
{
    struct ends *ends = arg;
    uint64_t sent = described(ends->ring).sent;
    rbx_tx tx;
    rbx_tx_close(&ends->tx);
    rbx_rx_close(&ends->rx);
    int err = rbx_tx_open(&tx, ends->ring);
    if (sent != 3 || (err != -EBADF && err != -EBUSY))
        return 1;
    return rbx_ring_close(ends->ring) == 0 ? 0 : 2;
}

Test(open, a_child_that_closes_what_it_inherited_changes_nothing)
{
    struct ends ends = {.name = own_name("fork")};
    cr_assert_eq(open_both(&ends), 0);
    uint64_t number = 0, got;
    for (; number < 3; number++)
        cr_assert_eq(rbx_send(&ends.tx, &number), 0);
    cr_assert_eq(rbx_recv(&ends.rx, &got), 0);
    rbx_ring_info before = described(ends.ring);
    cr_assert_eq(in_child(close_everything, &ends), 0);
    rbx_ring_info after = described(ends.ring);
    cr_assert_eq(memcmp(&before, &after, sizeof before), 0);
    rbx_ring *other = opened_ring(ends.name, &eights);
    rbx_tx second;
    refuses(-EBUSY, "living sender", rbx_tx_open(&second, other));
    succeeds(rbx_ring_close(other));
    cr_assert(exists(shm_path(ends.name)));
    cr_assert_eq(rbx_send(&ends.tx, &number), 0);
    for (uint64_t i = 1; i < 4; i++) {
        cr_assert_eq(rbx_recv(&ends.rx, &got), 0);
        cr_assert_eq(got, i);
    }
    rbx_tx_close(&ends.tx);
    rbx_rx_close(&ends.rx);
    succeeds(rbx_ring_close(ends.ring));
    cr_assert_not(exists(shm_path(ends.name)));
}

static int send_by_inheritance(void *arg)
{
    rbx_tx tx;
    int err = rbx_tx_open(&tx, arg);
    for (uint64_t i = 0; err == 0 && i < 5; i++)
        err = rbx_send(&tx, &i);
    rbx_tx_close(&tx);
    return err < 0 ? err : rbx_ring_close(arg);
}

Test(open, a_handle_of_memory_works_in_a_child)
{
    uint64_t bytes, got;
    succeeds(rbx_ring_bytes(&eights, &bytes));
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    rbx_ring *ring;
    rbx_rx rx;
    succeeds(rbx_ring_init(memory, bytes, &eights));
    succeeds(rbx_ring_attach(&ring, memory, bytes, &eights));
    struct child sender = start_running(send_by_inheritance, ring);
    succeeds(rbx_rx_open(&rx, ring));
    for (uint64_t i = 0; i < 5; i++) {
        cr_assert_eq(rbx_recv(&rx, &got), 0);
        cr_assert_eq(got, i);
    }
    cr_assert_eq(said(&sender), 0);
    cr_assert_eq(finish(&sender), 0);
    rbx_rx_close(&rx);
    succeeds(rbx_ring_close(ring));
    munmap(memory, bytes);
}

Test(open, a_ring_outlives_its_maker_as_long_as_somebody_is_attached)
{
    const char *name = own_name("outlives");
    const rbx_ring_options options = {.message_size = 8, .capacity = 9};
    rbx_ring *maker, *other, *late;
    uint64_t sent = 42, got = 0;
    rbx_tx tx;
    rbx_rx rx;
    succeeds(rbx_ring_open(&maker, name, &options));
    succeeds(rbx_ring_open(&other, name, &options));
    succeeds(rbx_rx_open(&rx, other));
    succeeds(rbx_ring_close(maker));
    succeeds(rbx_ring_open(&late, name, &options));
    succeeds(rbx_tx_open(&tx, late));
    succeeds(rbx_try_send(&tx, &sent));
    succeeds(rbx_try_recv(&rx, &got));
    cr_assert_eq(got, sent);
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    succeeds(rbx_ring_close(other));
    succeeds(rbx_ring_close(late));
    cr_assert_not(exists(shm_path(name)));
}

Test(open, an_endpoint_that_is_open_cannot_be_opened_again_and_stays_open)
{
    const rbx_ring_options options = {.message_size = 8, .capacity = 9};
    rbx_ring *ring;
    uint64_t sent = 42, got = 0;
    rbx_tx tx;
    rbx_rx rx;
    succeeds(rbx_ring_open(&ring, NULL, &options));
    succeeds(rbx_tx_open(&tx, ring));
    succeeds(rbx_rx_open(&rx, ring));
    cr_assert_eq(rbx_tx_open(&tx, ring), -EBUSY);
    cr_assert_eq(rbx_rx_open(&rx, ring), -EBUSY);
    succeeds(rbx_try_send(&tx, &sent));
    succeeds(rbx_try_recv(&rx, &got));
    cr_assert_eq(got, sent);
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    succeeds(rbx_ring_close(ring));
}
