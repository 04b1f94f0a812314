/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A link file that anybody may have written: the input is its text, after a byte of options. In it
 * @ stands for the directory, where the box `box` is.
 */
#include <ringbox/ringbox.h>

#include "fuzz.h"
#include "place.h"

enum { TEXT_MAX = 6000 };

static char box_path[512], link_path[512];

static size_t expanded(char *text, const uint8_t *data, size_t size)
{
    size_t length = 0;
    for (size_t i = 0; i < size && length + sizeof place < TEXT_MAX; i++)
        if (data[i] == '@')
            length += (size_t)sprintf(text + length, "%s", place);
        else
            text[length++] = (char)data[i];
    return length;
}

static void opens_the_link(unsigned choice)
{
    rbx_box *box;
    const rbx_box_options options = {.read_only = choice & 1, .size = choice & 2 ? 64 : 0};
    int err = rbx_box_open_link(&box, link_path, &options);
    says_why(err);
    must((err == 0) == (box != NULL));
    if (err < 0)
        return;
    must(rbx_box_size(box) == 64 && strcmp(rbx_box_data(box), "found") == 0);
    must(rbx_box_close(box) == 0);
}

/* Over what is there: an old link of its own it may replace, anything else not. */
static void links_over_it(rbx_box *box, const char *text, size_t length)
{
    char now[TEXT_MAX];
    int err = rbx_box_link(box, link_path);
    says_why(err);
    if (err == 0)
        return;
    must(err == -EEXIST);
    int fd = open(link_path, O_RDONLY | O_CLOEXEC);
    must(fd >= 0 && read(fd, now, sizeof now) == (ssize_t)length);
    must(memcmp(now, text, length) == 0);
    close(fd);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    static char text[TEXT_MAX];
    struct bytes input = {data, size};
    unsigned choice = take_byte(&input);
    place_is_new();
    path_of(box_path, "box");
    path_of(link_path, "link");
    rbx_box *box;
    const rbx_box_options options = {.size = 64, .backing = RBX_FILE, .how = RBX_CREATE_ONLY};
    must(rbx_box_open(&box, box_path, &options) == 0);
    strcpy(rbx_box_data(box), "found");
    size_t length = expanded(text, input.at, input.left);
    write_whole(link_path, text, length);
    opens_the_link(choice);
    if (choice & 4)
        links_over_it(box, text, length);
    must(rbx_box_close(box) == 0);
    must(access(box_path, F_OK) < 0);
    unlink(link_path);
}
