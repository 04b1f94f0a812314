/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "map.h"

#include <errno.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ /* Linux 5.14 */
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

static int map(void **at, int fd, uint64_t size, int access, int flags)
{
    if (size > SIZE_MAX)
        return -ENOMEM;
    void *mapped = mmap(NULL, (size_t)size, access, flags, fd, 0);
    if (mapped == MAP_FAILED)
        return errno == EAGAIN ? -ENOMEM : -errno; /* EAGAIN: more than may be locked */
    *at = mapped;
    return 0;
}

int rbx_map(void **at, int fd, uint64_t size, bool writable)
{
    return map(at, fd, size, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED);
}

int rbx_map_private(void **at, uint64_t size)
{
    return map(at, -1, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
}

void rbx_unmap(void *at, size_t size)
{
    munmap(at, size);
}

void rbx_map_prefault(void *at, size_t size, bool writable)
{
    if (madvise(at, size, writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ) == 0)
        return;
    /* An older kernel: reading maps the pages too, and changes nothing that others share. */
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t offset = 0; offset < size; offset += page)
        (void)*((volatile const char *)at + offset);
}

void rbx_map_prefer_huge(void *at, size_t size)
{
    madvise(at, size, MADV_HUGEPAGE);
}

bool rbx_map_lock(void *at, size_t size)
{
    return mlock(at, size) == 0;
}

int rbx_sysv_create(int32_t key, uint64_t size, unsigned mode, bool huge_pages, int32_t *id)
{
    if (size > SIZE_MAX)
        return -ENOMEM;
    int flags = IPC_CREAT | IPC_EXCL | (int)(mode & 0777);
    int made = huge_pages ? shmget(key, (size_t)size, flags | SHM_HUGETLB) : -1;
    if (made < 0 && (!huge_pages || errno != EEXIST))
        made = shmget(key, (size_t)size, flags);
    if (made < 0)
        return -errno;
    *id = made;
    return 0;
}

int rbx_sysv_find(int32_t key, int32_t *id)
{
    int found = shmget(key, 0, 0);
    if (found < 0)
        return -errno;
    *id = found;
    return 0;
}

int rbx_sysv_look(int32_t id, struct rbx_sysv_facts *facts)
{
    struct shmid_ds status;
    if (shmctl(id, IPC_STAT, &status) < 0)
        return errno == EINVAL ? -EIDRM : -errno;
    *facts = (struct rbx_sysv_facts){
        .size = status.shm_segsz,
        .attached = status.shm_nattch,
        .created_s = (uint64_t)status.shm_ctime,
        .key = status.shm_perm.__key,
        .creator_pid = (int32_t)status.shm_cpid,
    };
    return 0;
}

int rbx_sysv_map(void **at, int32_t id, bool writable)
{
    void *mapped = shmat(id, NULL, writable ? 0 : SHM_RDONLY);
    if ((intptr_t)mapped == -1)
        return errno == EINVAL ? -EIDRM : -errno;
    *at = mapped;
    return 0;
}

void rbx_sysv_unmap(void *at)
{
    shmdt(at);
}

int rbx_sysv_remove(int32_t id)
{
    if (shmctl(id, IPC_RMID, NULL) == 0)
        return 0;
    return errno == EINVAL ? -EIDRM : -errno;
}
