/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A header that a peer changes between two looks at it. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <unistd.h>

#include "../support/support.h"
#include "box/header.h"

enum { TRUE_SIZE = 10000, SAID_SIZE = 1 << 20 };

static char key_text[32], control[128];

static void say_size(uint64_t size)
{
    int fd = open(control, O_WRONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_assert_eq(pwrite(fd, &size, sizeof size, offsetof(struct rbx_box_header, size)),
                 sizeof size);
    close(fd);
}

static int reads_left = -1; /* until the peer strikes; negative: it does not */

ssize_t __real_pread64(int fd, void *buffer, size_t size, off_t at);
ssize_t __wrap_pread64(int fd, void *buffer, size_t size, off_t at);
ssize_t __wrap_pread64(int fd, void *buffer, size_t size, off_t at)
{
    ssize_t got = __real_pread64(fd, buffer, size, at);
    if (reads_left >= 0 && reads_left-- == 0)
        say_size(TRUE_SIZE);
    return got;
}

TestSuite(twice, .timeout = 60);

Test(twice, no_handle_is_longer_than_its_segment_whenever_the_header_changes)
{
    snprintf(key_text, sizeof key_text, "0x%08x", 0x52430000U + (unsigned)getpid());
    snprintf(control, sizeof control, "/dev/shm/ringbox-sysv.%s", key_text);
    const rbx_box_options makes = {.size = TRUE_SIZE, .backing = RBX_SYSV};
    const rbx_box_options joins = {.how = RBX_OPEN_ONLY, .backing = RBX_SYSV};
    rbx_box *box = opened(key_text, &makes);
    int call = 0;
    for (bool struck = true; struck; call++) {
        rbx_box *joined;
        say_size(SAID_SIZE);
        reads_left = call;
        int err = rbx_box_open(&joined, key_text, &joins);
        struck = reads_left < 0;
        reads_left = -1;
        cr_expect(err < 0 || rbx_box_size(joined) <= TRUE_SIZE, "after read %d", call);
        succeeds(rbx_box_close(joined));
    }
    cr_assert_geq(call, 2, "the header is read more than once");
    say_size(TRUE_SIZE);
    succeeds(rbx_box_close(box));
}
