/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "bench.h"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <pthread.h>
#include <thread>
#include <unistd.h>

namespace
{

struct Paths {
    std::mutex lock;
    std::deque<std::string> all; /* its elements stay where they are */
};

/* Never destroyed: a thread may still come for it while the program ends. */
Paths &paths()
{
    static Paths *const one = new Paths;
    return *one;
}

std::atomic<bool> told_to_stop;

} // namespace

const std::string &unlink_at_end(const std::string &path)
{
    Paths &kept = paths();
    std::lock_guard<std::mutex> hold(kept.lock);
    kept.all.push_back(path);
    return kept.all.back();
}

void unlink_all()
{
    Paths &kept = paths();
    std::lock_guard<std::mutex> hold(kept.lock);
    for (const std::string &path : kept.all)
        unlink(path.c_str());
}

void give_up(const char *what, const char *why)
{
    std::fprintf(stderr, "bench: %s: %s\n", what, why);
    unlink_all();
    std::_Exit(1);
}

/* No handler runs anywhere: what is measured is never interrupted, and a thread waits for them. */
void heed_signals()
{
    sigset_t wanted;
    sigemptyset(&wanted);
    for (int number : {SIGINT, SIGTERM, SIGHUP})
        sigaddset(&wanted, number);
    pthread_sigmask(SIG_BLOCK, &wanted, nullptr);
    std::thread([wanted] {
        int number;
        while (sigwait(&wanted, &number) == 0 && !told_to_stop.exchange(true))
            ;
        unlink_all();
        std::_Exit(128 + number);
    }).detach();
}

bool is_told_to_stop()
{
    return told_to_stop;
}
