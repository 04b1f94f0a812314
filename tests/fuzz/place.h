/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* place.h: a directory of the program's own, for files whose bytes are the input. */
#ifndef RBX_TESTS_FUZZ_PLACE_H
#define RBX_TESTS_FUZZ_PLACE_H

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "fuzz.h"

static char place[256];

/* Makes it, at the first call, where TMPDIR says or in shared memory. */
static inline bool place_is_new(void)
{
    const char *parent = getenv("TMPDIR");
    if (place[0])
        return false;
    snprintf(place, sizeof place - 16, "%s/t.%d.XXXXXX", parent ? parent : "/dev/shm",
             (int)getpid());
    must(mkdtemp(place));
    return true;
}

static inline void path_of(char path[512], const char *leaf)
{
    snprintf(path, 512, "%s/%s", place, leaf);
}

static inline void write_whole(const char *path, const void *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(fd >= 0);
    must(write(fd, data, size) == (ssize_t)size);
    close(fd);
}

void fuzz_clean_up(void)
{
    char path[512];
    DIR *directory = place[0] ? opendir(place) : NULL;
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%.200s", place, entry->d_name);
        unlink(path);
    }
    if (directory)
        closedir(directory);
    rmdir(place);
    place[0] = '\0';
}

/* Whether a call that failed has said why. */
#define says_why(call)                                                                             \
    do {                                                                                           \
        if ((call) < 0)                                                                            \
            must(*rbx_last_error());                                                               \
    } while (0)

#endif
