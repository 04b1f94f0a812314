/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A unit taken and given back where nobody else wants it: beside POSIX and System V semaphores. */
#include "bench.h"

#include <ringbox/ringbox.h>

#include <benchmark/benchmark.h>

#include <cerrno>
#include <cstring>
#include <semaphore.h>
#include <string>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <unistd.h>

namespace
{

int t1 = target("wait+done / POSIX sem_wait+sem_post", "sem_wait_done", "posix_wait_post", 0);
int t2 = target("wait+done / semop", "sem_wait_done", "sysv_wait_post", 0);
int t3 =
    target("wait+done on undo / semop on undo", "sem_wait_done_undo", "sysv_wait_post_undo", 0);

void check(int result)
{
    if (result < 0)
        give_up("semaphore", rbx_last_error());
}

void ours(benchmark::State &state, uint32_t flags)
{
    const std::string name = "bench." + std::to_string(getpid()) + ".sem";
    rbx_sem *sem;
    rbx_sem_options options = {};
    options.initial = 1;
    check(rbx_sem_open(&sem, name.c_str(), &options));
    for (auto _ : state) {
        check(rbx_sem_wait(sem, 0, flags));
        check(rbx_sem_done(sem, 0));
    }
    rbx_sem_close(sem);
}

void sem_wait_done(benchmark::State &state)
{
    ours(state, 0);
}

void sem_wait_done_undo(benchmark::State &state)
{
    ours(state, RBX_SEM_UNDO);
}

void posix_wait_post(benchmark::State &state)
{
    void *at =
        mmap(nullptr, sizeof(sem_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED || sem_init(static_cast<sem_t *>(at), 1, 1) < 0)
        give_up("sem_init", std::strerror(errno));
    sem_t *sem = static_cast<sem_t *>(at);
    for (auto _ : state) {
        sem_wait(sem);
        sem_post(sem);
    }
    munmap(at, sizeof(sem_t));
}

void system_v(benchmark::State &state, short flags)
{
    int id = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
    sembuf down = {0, -1, flags}, up = {0, 1, flags};
    if (id < 0 || semctl(id, 0, SETVAL, 1) < 0)
        give_up("semget", std::strerror(errno));
    for (auto _ : state)
        if (semop(id, &down, 1) < 0 || semop(id, &up, 1) < 0)
            give_up("semop", std::strerror(errno));
    semctl(id, 0, IPC_RMID);
}

void sysv_wait_post(benchmark::State &state)
{
    system_v(state, 0);
}

void sysv_wait_post_undo(benchmark::State &state)
{
    system_v(state, SEM_UNDO);
}

BENCHMARK(sem_wait_done);
BENCHMARK(sem_wait_done_undo);
BENCHMARK(posix_wait_post);
BENCHMARK(sysv_wait_post);
BENCHMARK(sysv_wait_post_undo);

} // namespace
