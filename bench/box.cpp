/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a box costs beside the bare system calls that map as much shared memory. */
#include "bench.h"
#include "case.h"
#include "litter.h"
#include "pair.h"

#include <ringbox/ringbox.h>

#include <benchmark/benchmark.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace
{

constexpr size_t size = 1 << 20;

/* A name of this process's own, whose file is removed at the end. */
struct Name {
    std::string name;
    Litter litter; /* `prefix` is what comes before the name of its file */
    explicit Name(const char *label, const char *prefix)
        : name("bench." + std::to_string(getpid()) + "." + label),
          litter(Litter::file(std::string("/dev/shm/") + prefix + name))
    {
    }
};

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
    static const Name name("open", "ringbox.");
    static rbx_box *box = [] {
        rbx_box_options options = {};
        options.size = size;
        options.how = RBX_CREATE_ONLY;
        return box_open(name.name, options);
    }();
    benchmark::DoNotOptimize(box);
    return name.name;
}

const std::string &existing_bare()
{
    static const Name name("open", "bare.");
    static const std::string path = "/bare." + name.name;
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

constexpr uint64_t calls = 300;

double box_open_us(bool read_only)
{
    const std::string &name = existing_box();
    rbx_box_options options = {};
    options.how = RBX_OPEN_ONLY;
    options.read_only = read_only;
    return each_ns(calls, [&] { rbx_box_close(box_open(name, options)); }) / 1e3;
}

double bare_open_us()
{
    const std::string &path = existing_bare();
    return each_ns(calls,
                   [&] {
                       int fd = shm_open(path.c_str(), O_RDWR | O_CLOEXEC, 0);
                       struct stat status; /* it has to know how large it is */
                       if (fd < 0 || fstat(fd, &status) < 0)
                           give_up(path.c_str(), std::strerror(errno));
                       bare_map(fd);
                   }) /
           1e3;
}

double box_create_us()
{
    static const Name name("create", "ringbox.");
    rbx_box_options options = {};
    options.size = size;
    options.how = RBX_CREATE_ONLY;
    return each_ns(calls, [&] { rbx_box_close(box_open(name.name, options)); }) / 1e3;
}

double bare_create_us()
{
    static const Name name("create", "bare.");
    static const std::string path = "/bare." + name.name;
    return each_ns(calls,
                   [&] {
                       int fd = shm_open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                       int err = fd < 0 ? errno : posix_fallocate(fd, 0, size);
                       if (err)
                           give_up(path.c_str(), std::strerror(err));
                       bare_map(fd);
                       shm_unlink(path.c_str());
                   }) /
           1e3;
}

int added = [] {
    Case &open = add_case("box", "box/open", "open and close a box of 1 MB that exists", "us");
    open.is_quick = true;
    open.contend("ours", Role::ours, [] { return box_open_us(false); });
    open.contend("shm_open, mmap", Role::peer, bare_open_us);
    open.contend("ours, read-only", Role::variant, [] { return box_open_us(true); });
    aim("open and close a box: ours / bare system calls", open.name, "ours", best_peer,
        at_most(10));
    Case &create = add_case("box", "box/create", "create, close and unlink a box of 1 MB", "us");
    create.contend("ours", Role::ours, box_create_us);
    create.contend("shm_open, mmap", Role::peer, bare_create_us);
    return 0;
}();

} // namespace
