/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* histogram.h: very many times, in little memory: 32 buckets for each doubling, 3% apart. */
#ifndef RBX_BENCH_HISTOGRAM_H
#define RBX_BENCH_HISTOGRAM_H

#include <algorithm>
#include <cstddef>
#include <cstdint>

class Histogram
{
  public:
    void add(uint64_t ns)
    {
        counts[bucket(ns)]++;
        longest = std::max(longest, ns);
        total++;
    }
    void add(const Histogram &other)
    {
        for (size_t i = 0; i < buckets; i++)
            counts[i] += other.counts[i];
        longest = std::max(longest, other.longest);
        total += other.total;
    }

    /* The time that this share of all does not exceed (to within a bucket). */
    double at(double share) const
    {
        const auto within = static_cast<uint64_t>(share * static_cast<double>(total));
        uint64_t so_far = 0;
        for (size_t i = 0; i < buckets; i++)
            if ((so_far += counts[i]) > within)
                return static_cast<double>(std::min(last_of(i), longest));
        return static_cast<double>(longest);
    }
    double most() const
    {
        return static_cast<double>(longest);
    }
    double count() const
    {
        return static_cast<double>(total);
    }

  private:
    static constexpr unsigned fine = 5; /* 2^5 buckets a doubling */
    static constexpr size_t buckets = (64 - fine + 1) << fine;

    static size_t bucket(uint64_t value)
    {
        const int shift = value >> fine ? 63 - static_cast<int>(fine) - __builtin_clzll(value) : 0;
        return (static_cast<size_t>(shift) << fine) + static_cast<size_t>(value >> shift);
    }
    static uint64_t last_of(size_t bucket)
    {
        if (bucket < 2U << fine)
            return bucket;
        const size_t shift = (bucket >> fine) - 1;
        const uint64_t first = (bucket & ((1U << fine) - 1)) | (1U << fine);
        return ((first + 1) << shift) - 1;
    }

    uint64_t counts[buckets] = {};
    uint64_t longest = 0, total = 0;
};

#endif
