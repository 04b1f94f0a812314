/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a box costs beside the bare system calls that map as much shared memory. */
#include "bench.h"

#include <ringbox/ringbox.h>

#include <benchmark/benchmark.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace
{

constexpr size_t size = 1 << 20;

int t1 = target("open+close existing 1 MB", "box_open", "bare_open", 10);
int t2 = target("open+close existing 1 MB, read-only", "box_open_read_only", "bare_open", 0);
int t3 = target("create+close+unlink 1 MB", "box_create", "bare_create", 0);

/* A name of this process's own. `prefix` is what the library puts before the name of a box. */
std::string own(const char *label, const char *prefix = "")
{
    std::string name = "bench." + std::to_string(getpid()) + "." + label;
    unlink_at_end(std::string("/dev/shm/") + prefix + name);
    return name;
}

rbx_box *box_open(const std::string &name, const rbx_box_options &options)
{
    rbx_box *box;
    if (rbx_box_open(&box, name.c_str(), &options) < 0)
        give_up(name.c_str(), rbx_last_error());
    return box;
}

/* Maps and unmaps what fd refers to, and closes it. */
void bare_map(int fd)
{
    void *at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        give_up("mmap", std::strerror(errno));
    benchmark::DoNotOptimize(at);
    munmap(at, size);
    close(fd);
}

/* The existing objects are made when first needed, and live until the program ends. */
const std::string &existing_box()
{
    static const std::string name = own("open", "ringbox.");
    static rbx_box *box = [] {
        rbx_box_options options = {};
        options.size = size;
        options.how = RBX_CREATE_ONLY;
        return box_open(name, options);
    }();
    benchmark::DoNotOptimize(box);
    return name;
}

const std::string &existing_bare()
{
    static const std::string name = own("open", "bare.");
    static const std::string path = "/bare." + name;
    static int fd = [] {
        int made = shm_open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        int err = made < 0 ? errno : posix_fallocate(made, 0, size);
        if (err)
            give_up(path.c_str(), std::strerror(err));
        return made;
    }();
    benchmark::DoNotOptimize(fd);
    return path;
}

void open_and_close(benchmark::State &state, bool read_only)
{
    const std::string &name = existing_box();
    rbx_box_options options = {};
    options.how = RBX_OPEN_ONLY;
    options.read_only = read_only;
    for (auto _ : state)
        rbx_box_close(box_open(name, options));
}

void box_open(benchmark::State &state)
{
    open_and_close(state, false);
}

void box_open_read_only(benchmark::State &state)
{
    open_and_close(state, true);
}

void bare_open(benchmark::State &state)
{
    const std::string &path = existing_bare();
    for (auto _ : state) {
        int fd = shm_open(path.c_str(), O_RDWR | O_CLOEXEC, 0);
        if (fd < 0 || ftruncate(fd, size) < 0)
            give_up(path.c_str(), std::strerror(errno));
        bare_map(fd);
    }
}

void box_create(benchmark::State &state)
{
    static const std::string name = own("create", "ringbox.");
    rbx_box_options options = {};
    options.size = size;
    options.how = RBX_CREATE_ONLY;
    for (auto _ : state)
        rbx_box_close(box_open(name, options));
}

void bare_create(benchmark::State &state)
{
    static const std::string path = "/bare." + own("create", "bare.");
    for (auto _ : state) {
        int fd = shm_open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        int err = fd < 0 ? errno : posix_fallocate(fd, 0, size);
        if (err)
            give_up(path.c_str(), std::strerror(err));
        bare_map(fd);
        shm_unlink(path.c_str());
    }
}

BENCHMARK(box_open)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(box_open_read_only)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(bare_open)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(box_create)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(bare_create)->UseRealTime()->Unit(benchmark::kMicrosecond);

} // namespace
