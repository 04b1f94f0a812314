/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "bench.h"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <pthread.h>
#include <thread>

namespace
{

std::atomic<bool> told_to_stop;

} // namespace

void give_up(const char *what, const char *why)
{
    std::fprintf(stderr, "bench: %s: %s\n", what, why);
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
        std::_Exit(128 + number);
    }).detach();
}

bool is_told_to_stop()
{
    return told_to_stop;
}
