/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

_Static_assert(RBX_AT_CWD == AT_FDCWD, "the same convention as the kernel's");

static void note_facts(const struct stat *status, struct rbx_file_facts *facts)
{
    *facts = (struct rbx_file_facts){
        .id = {.device = status->st_dev, .inode = status->st_ino},
        .type = S_ISREG(status->st_mode)   ? RBX_FILE_REGULAR
                : S_ISDIR(status->st_mode) ? RBX_FILE_DIRECTORY
                : S_ISLNK(status->st_mode) ? RBX_FILE_LINK
                                           : RBX_FILE_SPECIAL,
        .size = status->st_size > 0 ? (uint64_t)status->st_size : 0,
        .mode = status->st_mode & 07777,
        .uid = status->st_uid,
    };
}

int rbx_file_look(int fd, struct rbx_file_facts *facts)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    note_facts(&status, facts);
    return 0;
}

int rbx_file_look_at(int dir, const char *path, struct rbx_file_facts *facts)
{
    struct stat status;
    if (fstatat(dir, path, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    note_facts(&status, facts);
    return 0;
}

int rbx_file_link(int fd, int dir, const char *path)
{
    char self[32];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, self, dir, path, AT_SYMLINK_FOLLOW) == 0 ? 0 : -errno;
}

int rbx_file_link_from(int dir, const char *from, const char *path)
{
    return linkat(dir, from, dir, path, 0) == 0 ? 0 : -errno;
}

int rbx_file_unlink(int dir, const char *path)
{
    return unlinkat(dir, path, 0) == 0 ? 0 : -errno;
}

int rbx_file_chmod(int fd, unsigned mode)
{
    return fchmod(fd, (mode_t)mode) == 0 ? 0 : -errno;
}

/*
 * One fallocate after another, so that a process with a busy timer signal, which makes the kernel
 * undo the one it interrupts, still comes to an end.
 */
static int allocate(int fd, uint64_t size)
{
    uint64_t step = 16U << 20;
    for (uint64_t at = 0; at < size;) {
        uint64_t length = size - at < step ? size - at : step;
        if (fallocate(fd, 0, (off_t)at, (off_t)length) == 0)
            at += length;
        else if (errno == EOPNOTSUPP)
            return -posix_fallocate(fd, 0, (off_t)size);
        else if (errno != EINTR)
            return -errno;
        else if (step > 1U << 16)
            step /= 2;
    }
    return 0;
}

int rbx_file_reserve(int fd, uint64_t size)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        size > limit.rlim_cur)
        return -EFBIG;
    /* What cannot fit is refused before it takes the room of all others. */
    struct statfs fs;
    if (fstatfs(fd, &fs) == 0 && fs.f_blocks > 0 && fs.f_bsize > 0 &&
        size / (uint64_t)fs.f_bsize > (uint64_t)fs.f_bfree)
        return -ENOSPC;
    if (ftruncate(fd, (off_t)size) < 0)
        return -errno;
    return allocate(fd, size);
}

int rbx_file_read(int fd, void *bytes, size_t size, uint64_t offset)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(fd, (char *)bytes + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got == 0)
            return -ENODATA;
        if (got > 0)
            done += (size_t)got;
    }
    return 0;
}

int rbx_file_write(int fd, const void *bytes, size_t size, uint64_t offset)
{
    for (size_t done = 0; done < size;) {
        ssize_t put = pwrite(fd, (const char *)bytes + done, size - done, (off_t)(offset + done));
        if (put < 0 && errno != EINTR)
            return -errno;
        if (put > 0)
            done += (size_t)put;
    }
    return 0;
}

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

int rbx_file_seal(int fd)
{
    return fcntl(fd, F_ADD_SEALS, SEALS) == 0 ? 0 : -errno;
}

int rbx_file_is_sealed(int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & SEALS) == SEALS;
}

int rbx_file_page_size(int fd, uint64_t *size)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0)
        return -errno;
    long page = (unsigned)fs.f_type == HUGETLBFS_MAGIC ? (long)fs.f_bsize : sysconf(_SC_PAGESIZE);
    if (page <= 0)
        return -EIO;
    *size = (uint64_t)page;
    return 0;
}

int rbx_directory_each(const char *path, int (*each)(const char *entry, void *arg), void *arg)
{
    DIR *directory = opendir(path);
    if (!directory)
        return -errno;
    int result = 0;
    for (struct dirent *entry; result == 0;) {
        errno = 0;
        entry = readdir(directory);
        if (!entry) {
            result = -errno;
            break;
        }
        result = each(entry->d_name, arg);
    }
    closedir(directory);
    return result;
}

int rbx_directory_absolute(int dir, const char *entry, char *path, size_t size)
{
    char self[32], directory[PATH_MAX];
    snprintf(self, sizeof self, "/proc/self/fd/%d", dir);
    ssize_t got = readlink(self, directory, sizeof directory - 1);
    if (got < 0)
        return -errno;
    directory[got] = '\0';
    int length = snprintf(path, size, "%s/%s", got == 1 ? "" : directory, entry);
    return length < 0 || (size_t)length >= size ? -ENAMETOOLONG : 0;
}
