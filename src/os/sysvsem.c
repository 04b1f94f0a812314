/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "sysvsem.h"

#include <errno.h>
#include <stddef.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <time.h>

#include "clock.h"

/* What semctl takes, which the program is to declare. */
union argument {
    int value;
    struct semid_ds *status;
    const unsigned short *values;
};

_Static_assert(sizeof(unsigned short) == sizeof(uint16_t), "values");

int rbx_sysvsem_create(int32_t key, uint32_t members, unsigned mode, int32_t *id)
{
    int made = semget(key, (int)members, IPC_CREAT | IPC_EXCL | (int)(mode & 0777));
    if (made < 0)
        return -errno;
    *id = made;
    return 0;
}

int rbx_sysvsem_find(int32_t key, int32_t *id)
{
    int found = semget(key, 0, 0);
    if (found < 0)
        return -errno;
    *id = found;
    return 0;
}

/* A set that is gone has an invalid id. */
static int answer(int result)
{
    if (result >= 0)
        return result;
    return errno == EINVAL ? -EIDRM : -errno;
}

int rbx_sysvsem_set_all(int32_t id, const uint16_t *values)
{
    int err = answer(semctl(id, 0, SETALL, (union argument){.values = values}));
    if (err < 0)
        return err;
    /* Changes nothing but the time of the last semop, which others wait for. Where another has come
       between, it has set that time. */
    struct sembuf down_and_up[] = {{.sem_op = -1, .sem_flg = IPC_NOWAIT}, {.sem_op = 1}};
    struct sembuf is_zero = {.sem_op = 0, .sem_flg = IPC_NOWAIT};
    err = answer(values[0] ? semop(id, down_and_up, 2) : semop(id, &is_zero, 1));
    return err == -EAGAIN ? 0 : err;
}

int rbx_sysvsem_look(int32_t id, struct rbx_sysvsem_facts *facts)
{
    struct semid_ds status = {.sem_otime = 0};
    int err = answer(semctl(id, 0, IPC_STAT, (union argument){.status = &status}));
    if (err < 0)
        return err;
    *facts = (struct rbx_sysvsem_facts){.members = (uint32_t)status.sem_nsems,
                                        .used = status.sem_otime != 0};
    return 0;
}

int rbx_sysvsem_value(int32_t id, uint32_t member)
{
    return answer(semctl(id, (int)member, GETVAL));
}

static int change_until(int32_t id, struct sembuf *change, uint64_t deadline_ns)
{
    uint64_t now = rbx_clock_monotonic();
    uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
    const struct timespec timeout = rbx_clock_timespec(left);
    return answer(semtimedop(id, change, 1, &timeout));
}

int rbx_sysvsem_change(int32_t id, uint32_t member, int by, bool undo, uint64_t deadline_ns)
{
    struct sembuf change = {
        .sem_num = (unsigned short)member, .sem_op = (short)by, .sem_flg = undo ? SEM_UNDO : 0};
    if (deadline_ns == 0)
        change.sem_flg |= IPC_NOWAIT;
    if (deadline_ns == 0 || deadline_ns == UINT64_MAX)
        return answer(semop(id, &change, 1));
    return change_until(id, &change, deadline_ns);
}

int rbx_sysvsem_give(int32_t id, uint32_t member, int undo, int plain)
{
    struct sembuf give[2];
    size_t count = 0;
    if (undo)
        give[count++] = (struct sembuf){
            .sem_num = (unsigned short)member, .sem_op = (short)undo, .sem_flg = SEM_UNDO};
    if (plain)
        give[count++] = (struct sembuf){.sem_num = (unsigned short)member, .sem_op = (short)plain};
    return answer(semop(id, give, count));
}

int rbx_sysvsem_remove(int32_t id)
{
    return answer(semctl(id, 0, IPC_RMID));
}
