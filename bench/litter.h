/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * litter.h: what the kernel keeps when a process has ended, and who removes it then.
 *
 * The destructor removes it. Where none runs, since a signal (be it SIGKILL) was the end, a janitor
 * does: a process that is forked when there is the first thing to remember, is told of each, and
 * removes what is left as soon as the last process that could use it is gone.
 */
#ifndef RBX_BENCH_LITTER_H
#define RBX_BENCH_LITTER_H

#include <string>

class Litter
{
  public:
    /* Remembers what exists already. In the process that made it only, not in forked ones. */
    static Litter file(const std::string &path);
    static Litter directory(const std::string &path);  /* with the files in it */
    static Litter files(const std::string &beginning); /* all whose path begins so */
    static Litter message_queue(int id);               /* of System V */

    Litter(Litter &&other) noexcept;
    Litter &operator=(Litter &&) = delete;
    ~Litter();

  private:
    enum Kind : int { FILE_PATH, DIRECTORY, FILES, MESSAGE_QUEUE };
    struct Thing {
        Kind kind;
        int id;
        char path[240];
    };
    struct Note;
    explicit Litter(const Thing &what);
    static Thing thing_at(Kind kind, const std::string &path);
    static void remove(const Thing &thing);
    static void tell_janitor(bool remember, const Thing &thing);
    [[noreturn]] static void clean_up_after(int notes);

    Thing thing;
    int owner; /* the process; 0: moved from */
};

#endif
