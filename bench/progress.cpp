/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "progress.h"

#include "pair.h"

#include <cmath>
#include <cstdio>
#include <unistd.h>

Progress::Progress(unsigned all_rounds)
    : rounds(all_rounds), began_ns(now_ns()), is_terminal(isatty(STDERR_FILENO))
{
}

void Progress::expect(const std::string &name, unsigned its_rounds)
{
    parts[name].rounds = its_rounds;
}

void Progress::begin(const std::string &name, unsigned number)
{
    const bool is_new_round = number != round || current.empty();
    current = name;
    round = number;
    current_began_ns = now_ns();
    if (is_terminal)
        show();
    else if (is_new_round) {
        std::fprintf(stderr, "round %u of %u", round + 1, rounds);
        if (round > 0)
            std::fprintf(stderr, ", %.0f s to go", std::ceil(left_ns() / 1e9));
        std::fputc('\n', stderr);
    }
}

void Progress::end()
{
    Part &part = parts[current];
    part.took_ns += now_ns() - current_began_ns;
    part.done++;
}

void Progress::clear()
{
    if (is_terminal)
        std::fputs("\r\033[K", stderr);
}

double Progress::seconds() const
{
    return (now_ns() - began_ns) / 1e9;
}

double Progress::left_ns() const
{
    double left = 0;
    for (const auto &[name, part] : parts)
        if (part.done > 0)
            left += part.took_ns / part.done * (part.rounds - part.done);
    return left;
}

void Progress::show()
{
    constexpr int width = 30;
    const double done = now_ns() - began_ns, left = left_ns();
    const double share = round > 0 ? done / (done + left) : 0;
    char bar[width + 1];
    for (int i = 0; i < width; i++)
        bar[i] = i < share * width ? '=' : ' ';
    bar[width] = '\0';
    std::fprintf(stderr, "\r\033[K[%s] round %u of %u, ", bar, round + 1, rounds);
    if (round > 0)
        std::fprintf(stderr, "%d:%02d to go, ", static_cast<int>(left / 60e9),
                     static_cast<int>(left / 1e9) % 60);
    std::fputs(current.c_str(), stderr);
}
