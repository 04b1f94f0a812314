/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* map.h: files and System V segments as memory. */
#ifndef RBX_OS_MAP_H
#define RBX_OS_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int rbx_map(void **at, int fd, uint64_t size, bool writable);
/* Zeroed memory of this process's own. */
int rbx_map_private(void **at, uint64_t size);
void rbx_unmap(void *at, size_t size);
/* Both are wishes: what the kernel cannot do is left as it was. */
void rbx_map_prefault(void *at, size_t size, bool writable);
void rbx_map_prefer_huge(void *at, size_t size);
/* Whether it is locked in RAM now. */
bool rbx_map_lock(void *at, size_t size);

struct rbx_sysv_facts {
    uint64_t size;
    uint64_t attached; /* mappings, in all processes */
    uint64_t created_s;
    int32_t key;
    int32_t creator_pid;
};

/* A new segment for `key`; -EEXIST when there is one. Returns its id in *id. */
int rbx_sysv_create(int32_t key, uint64_t size, unsigned mode, bool huge_pages, int32_t *id);
int rbx_sysv_find(int32_t key, int32_t *id);
/* -EIDRM when it is gone or going. */
int rbx_sysv_look(int32_t id, struct rbx_sysv_facts *facts);
int rbx_sysv_map(void **at, int32_t id, bool writable);
void rbx_sysv_unmap(void *at);
/* Frees the key at once and the memory when nobody has it mapped any more. */
int rbx_sysv_remove(int32_t id);

#endif
