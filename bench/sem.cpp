/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A unit taken and given back where nobody else wants it: beside POSIX and System V semaphores. */
#include "bench.h"
#include "case.h"
#include "litter.h"
#include "pair.h"

#include <ringbox/ringbox.h>

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

constexpr uint64_t calls = 100000;

void check(int result)
{
    if (result < 0)
        give_up("semaphore", rbx_last_error());
}

double ours_ns(uint32_t flags)
{
    const std::string name = "bench." + std::to_string(getpid()) + ".sem";
    const Litter litter = Litter::file("/dev/shm/ringbox." + name);
    rbx_sem *sem;
    rbx_sem_options options = {};
    options.initial = 1;
    check(rbx_sem_open(&sem, name.c_str(), &options));
    const double each = each_ns(calls, [&] {
        check(rbx_sem_wait(sem, 0, flags));
        check(rbx_sem_done(sem, 0));
    });
    rbx_sem_close(sem);
    return each;
}

double posix_ns()
{
    void *at =
        mmap(nullptr, sizeof(sem_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED || sem_init(static_cast<sem_t *>(at), 1, 1) < 0)
        give_up("sem_init", std::strerror(errno));
    sem_t *sem = static_cast<sem_t *>(at);
    const double each = each_ns(calls, [&] {
        sem_wait(sem);
        sem_post(sem);
    });
    munmap(at, sizeof(sem_t));
    return each;
}

double system_v_ns(short flags)
{
    int id = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
    sembuf down = {0, -1, flags}, up = {0, 1, flags};
    if (id < 0 || semctl(id, 0, SETVAL, 1) < 0)
        give_up("semget", std::strerror(errno));
    const double each = each_ns(calls, [&] {
        if (semop(id, &down, 1) < 0 || semop(id, &up, 1) < 0)
            give_up("semop", std::strerror(errno));
    });
    semctl(id, 0, IPC_RMID);
    return each;
}

int added = [] {
    Case &one = add_case("sync", "sync/sem", "a semaphore's unit, taken and given back", "ns");
    one.contend("ours", Role::ours, [] { return ours_ns(0); });
    one.contend("POSIX", Role::peer, posix_ns);
    one.contend("System V", Role::peer, [] { return system_v_ns(0); });
    Case &undo = add_case("sync", "sync/sem-undo",
                          "a semaphore's unit that comes back if its holder dies", "ns");
    undo.contend("ours", Role::ours, [] { return ours_ns(RBX_SEM_UNDO); });
    undo.contend("System V", Role::peer, [] { return system_v_ns(SEM_UNDO); });
    return 0;
}();

} // namespace
