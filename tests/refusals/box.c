/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* box.c: boxes of every backing, while the system refuses one call after the other. */
#include "refusals.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ringbox/ringbox.h>

static int fill(void *data, size_t size, void *arg)
{
    (void)arg;
    memset(data, 1, size);
    return 0;
}

static int use(rbx_box *box)
{
    rbx_box_info info;
    int err = rbx_box_describe(box, &info);
    err = first(err, rbx_box_attached(box));
    return first(err, rbx_box_stale(box));
}

static int open_and_close(const char *name, const rbx_box_options *options)
{
    rbx_box *box;
    int err = rbx_box_open(&box, name, options);
    if (err == 0)
        err = use(box);
    return first(err, rbx_box_close(box));
}

/* The same again while it is there. */
static int join(const char *name, const rbx_box_options *options)
{
    rbx_box *there;
    int err = rbx_box_open(&there, name, options);
    if (err < 0)
        return err;
    rbx_box_options joining = *options;
    joining.how = RBX_OPEN_ONLY;
    err = first(open_and_close(name, options), open_and_close(name, &joining));
    joining.read_only = true;
    err = first(err, open_and_close(name, &joining));
    return first(err, rbx_box_close(there));
}

static int shm(void)
{
    return join(OWN_NAME, &(rbx_box_options){.size = 5000, .init = fill});
}

static int shm_in_memory(void)
{
    const rbx_box_options options = {
        .size = 5000, .prefault = true, .lock_memory = true, .huge_pages = true};
    return join(OWN_NAME, &options);
}

static int shm_of_the_last(void)
{
    return join(OWN_NAME,
                &(rbx_box_options){.size = 5000, .policy = RBX_LAST_ONE_OUT, .mode = 0666});
}

static int file(void)
{
    return join(OWN_PATH, &(rbx_box_options){.size = 5000, .backing = RBX_FILE});
}

static int memfd(void)
{
    return open_and_close(OWN_NAME, &(rbx_box_options){.size = 5000, .backing = RBX_MEMFD});
}

static int huge_memfd(void)
{
    const rbx_box_options options = {.size = 5000, .backing = RBX_MEMFD, .huge_pages = true};
    return open_and_close(OWN_NAME, &options);
}

static int sysv(void)
{
    return join(OWN_KEY, &(rbx_box_options){.size = 5000, .backing = RBX_SYSV});
}

static int huge_sysv(void)
{
    const rbx_box_options options = {.size = 5000, .backing = RBX_SYSV, .huge_pages = true};
    return join(OWN_KEY, &options);
}

/* Somebody else's, as it is. */
static int raw(const char *name, rbx_box_options options)
{
    rbx_box *there;
    int err = rbx_box_open(&there, name, &options);
    if (err < 0)
        return err;
    rbx_box *box;
    const char *as = options.backing == RBX_SHM ? "ringbox." OWN_NAME : name;
    err = rbx_box_open(&box, as, &(rbx_box_options){.backing = options.backing, .raw = true});
    err = first(err, rbx_box_close(box));
    return first(err, rbx_box_close(there));
}

static int raw_shm(void)
{
    return raw(OWN_NAME, (rbx_box_options){.size = 5000});
}

static int raw_file(void)
{
    return raw(OWN_PATH, (rbx_box_options){.size = 5000, .backing = RBX_FILE});
}

static int raw_sysv(void)
{
    return raw(OWN_KEY, (rbx_box_options){.size = 5000, .backing = RBX_SYSV});
}

static int owner(void)
{
    rbx_box *box;
    int err = rbx_box_open(&box, OWN_NAME, &(rbx_box_options){.size = 64});
    if (err < 0)
        return err;
    err = rbx_box_leak(box);
    /* Whatever became of that: it is to go at the end. */
    int owned = rbx_box_own(box);
    if (owned < 0)
        rbx_box_own(box);
    return first(first(err, owned), rbx_box_close(box));
}

static int link_of(const char *name, const rbx_box_options *options)
{
    rbx_box *box, *linked = NULL;
    int err = rbx_box_open(&box, name, options);
    if (err < 0)
        return err;
    err = rbx_box_link(box, OWN_LINK);
    if (err == 0)
        err = rbx_box_link(box, OWN_LINK); /* again */
    if (err == 0)
        err = rbx_box_open_link(&linked, OWN_LINK, NULL);
    err = first(err, rbx_box_close(linked));
    return first(err, rbx_box_close(box));
}

static int link_of_shm(void)
{
    return link_of(OWN_NAME, &(rbx_box_options){.size = 64});
}

static int link_of_sysv(void)
{
    return link_of(OWN_KEY, &(rbx_box_options){.size = 64, .backing = RBX_SYSV});
}

static int send_box(void)
{
    int ends[2];
    rbx_box *box, *received = NULL;
    int err = rbx_box_open(&box, OWN_NAME, &(rbx_box_options){.size = 64, .backing = RBX_MEMFD});
    if (err < 0)
        return err;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return first(rbx_box_close(box), -errno);
    err = rbx_box_send(ends[0], box);
    if (err == 0)
        err = rbx_box_recv(ends[1], &received);
    err = first(err, rbx_box_close(received));
    close(ends[0]);
    close(ends[1]);
    return first(err, rbx_box_close(box));
}

static int count(const rbx_box_info *info, void *arg)
{
    (void)info, (void)arg;
    return 0;
}

static int walk(void)
{
    rbx_box *shm_box, *file_box = NULL, *sysv_box = NULL;
    int err = rbx_box_open(&shm_box, OWN_NAME, &(rbx_box_options){.size = 64});
    if (err == 0)
        err =
            rbx_box_open(&file_box, OWN_PATH, &(rbx_box_options){.size = 64, .backing = RBX_FILE});
    if (err == 0)
        err = rbx_box_open(&sysv_box, OWN_KEY, &(rbx_box_options){.size = 64, .backing = RBX_SYSV});
    if (err == 0)
        err = rbx_box_walk(NULL, count, NULL);
    err = first(err, rbx_box_walk(OWN_DIRECTORY, count, NULL));
    err = first(err, rbx_box_reclaim_unused(NULL));
    err = first(err, rbx_box_close(shm_box));
    err = first(err, rbx_box_close(file_box));
    return first(err, rbx_box_close(sysv_box));
}

const struct act box_acts[] = {
    {"a box in shared memory", shm},
    {"a box that is prefaulted and locked", shm_in_memory},
    {"a box that the last one removes", shm_of_the_last},
    {"a box in a file", file},
    {"a box without a name", memfd},
    {"a box without a name, on huge pages", huge_memfd},
    {"a System V box", sysv},
    {"a System V box on huge pages", huge_sysv},
    {"somebody else's shared memory", raw_shm},
    {"somebody else's file", raw_file},
    {"somebody else's System V segment", raw_sysv},
    {"ownership", owner},
    {"a link file", link_of_shm},
    {"a link file of a System V box", link_of_sysv},
    {"a box over a socket", send_box},
    {"all boxes", walk},
};
const size_t box_act_count = sizeof box_acts / sizeof *box_acts;
