/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* progress.h: how far a run is, and how long it will take: a bar on a terminal, else a line now and
   then. */
#ifndef RBX_BENCH_PROGRESS_H
#define RBX_BENCH_PROGRESS_H

#include <map>
#include <string>

class Progress
{
  public:
    explicit Progress(unsigned all_rounds);

    /* A case that will have so many rounds, unless the filter leaves it out. */
    void expect(const std::string &name, unsigned rounds);
    void begin(const std::string &name, unsigned round);
    void end();
    void clear();
    double seconds() const; /* since the start */

  private:
    struct Part {
        unsigned rounds = 0, done = 0;
        double took_ns = 0;
    };
    void show();
    /* Of what has been seen to run; in the first round that is not all yet. */
    double left_ns() const;

    std::map<std::string, Part> parts;
    std::string current;
    unsigned rounds, round = 0;
    double began_ns, current_began_ns = 0;
    bool is_terminal;
};

#endif
