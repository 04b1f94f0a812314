/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/support.h"

TestSuite(name, .timeout = 60);

static void refuses_name(const char *name, rbx_box_backing backing, int code, const char *part)
{
    rbx_box *box;
    refuses(code, part,
            rbx_box_open(&box, name, &(rbx_box_options){.size = 64, .backing = backing}));
    cr_assert_null(box);
}

Test(name, that_is_empty_is_refused)
{
    refuses_name("", RBX_SHM, -EINVAL, "empty");
    refuses_name(NULL, RBX_SHM, -EINVAL, "empty");
    refuses_name("", RBX_FILE, -EINVAL, "empty");
    refuses_name("", RBX_SYSV, -EINVAL, "empty");
}

Test(name, of_exactly_the_limit_works_and_one_byte_more_is_refused)
{
    char name[RBX_NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    name[RBX_NAME_MAX + 1] = '\0';
    refuses_name(name, RBX_SHM, -ENAMETOOLONG, "200 bytes");
    refuses_name(name, RBX_MEMFD, -ENAMETOOLONG, "200 bytes");
    snprintf(name, sizeof name, "%s.%0*d", own_name("long"), RBX_NAME_MAX, 0);
    name[RBX_NAME_MAX] = '\0';
    cr_assert_eq(strlen(name), RBX_NAME_MAX);
    rbx_box *box = made(name, 64);
    succeeds(rbx_box_close(box));
}

Test(name, with_a_slash_is_refused_for_shared_memory)
{
    refuses_name("a/b", RBX_SHM, -EINVAL, "no '/'");
    refuses_name("/a", RBX_SHM, -EINVAL, "no '/'");
    refuses_name("../../etc/passwd", RBX_SHM, -EINVAL, "no '/'");
}

Test(name, of_dots_is_refused)
{
    refuses_name(".", RBX_SHM, -EINVAL, "cannot name a box");
    refuses_name("..", RBX_SHM, -EINVAL, "cannot name a box");
    refuses_name("/tmp/..", RBX_FILE, -EISDIR, "directory");
    refuses_name("/tmp/", RBX_FILE, -EISDIR, "directory");
    refuses_name("/", RBX_FILE, -EISDIR, "directory");
}

Test(name, that_is_not_utf8_is_refused)
{
    const char *bad[] = {
        "\xff",             /* no lead byte */
        "a\x80",            /* a continuation without a lead */
        "\xc3",             /* cut short */
        "\xc0\xaf",         /* overlong '/' */
        "\xe0\x80\xaf",     /* overlong in three bytes */
        "\xed\xa0\x80",     /* a surrogate */
        "\xf4\x90\x80\x80", /* past U+10FFFF */
        "\xf0\x9f\x92",     /* four bytes, cut short */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        refuses_name(bad[i], RBX_SHM, -EINVAL, "UTF-8");
        refuses_name(bad[i], RBX_FILE, -EINVAL, "UTF-8");
        refuses_name(bad[i], RBX_MEMFD, -EINVAL, "UTF-8");
    }
}

Test(name, with_control_characters_is_refused)
{
    refuses_name("tab\t", RBX_SHM, -EINVAL, "control character (at byte 3)");
    refuses_name("\x1b[2J", RBX_FILE, -EINVAL, "control character");
    refuses_name("del\x7f", RBX_SHM, -EINVAL, "control character");
}

Test(name, in_any_script_works)
{
    char name[128];
    snprintf(name, sizeof name, "%s", own_name("тик-\xe4\xbb\xb7-\xf0\x9f\x93\x88"));
    succeeds(rbx_box_close(made(name, 64)));
}

Test(name, of_a_path_that_is_too_long_or_leads_nowhere_is_refused)
{
    char path[5000];
    memset(path, 'p', sizeof path);
    path[0] = '/';
    path[300] = '\0';
    refuses_name(path, RBX_FILE, -ENAMETOOLONG, "too long");
    for (size_t i = 0; i < sizeof path; i += 2)
        path[i] = '/', path[i + 1] = 'p';
    path[sizeof path - 1] = '\0';
    refuses_name(path, RBX_FILE, -ENAMETOOLONG, "too long");
    refuses_name("/tmp/no/such/directory/box", RBX_FILE, -ENOENT, "directory");
    refuses_name("/etc/passwd/box", RBX_FILE, -ENOTDIR, "directory");
}

Test(name, of_a_system_v_box_is_a_number_but_not_zero)
{
    refuses_name("ticks", RBX_SYSV, -EINVAL, "no System V key");
    refuses_name("0x", RBX_SYSV, -EINVAL, "no System V key");
    refuses_name("12 ", RBX_SYSV, -EINVAL, "no System V key");
    refuses_name("0x100000000", RBX_SYSV, -EINVAL, "no System V key");
    refuses_name("99999999999999999999999", RBX_SYSV, -EINVAL, "no System V key");
    refuses_name("0", RBX_SYSV, -EINVAL, "IPC_PRIVATE");
}

Test(name, of_a_memfd_box_may_be_missing)
{
    rbx_box *box = opened(NULL, &(rbx_box_options){.size = 64, .backing = RBX_MEMFD});
    cr_assert_str_eq(rbx_box_name(box), "");
    succeeds(rbx_box_close(box));
}
