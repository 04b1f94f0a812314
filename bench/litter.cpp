/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "litter.h"

#include "shared.h"

#include <algorithm>
#include <climits>
#include <csignal>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <unistd.h>
#include <vector>

/* One line to the janitor: pipes keep so little in one piece. */
struct Litter::Note {
    bool remember; /* else: it is gone */
    Thing thing;
};

namespace
{

/* Those in this directory whose names begin so. */
void remove_files(const std::string &path, const std::string &beginning)
{
    DIR *directory = opendir(path.c_str());
    if (!directory)
        return;
    while (const dirent *entry = readdir(directory))
        if (std::strncmp(entry->d_name, beginning.c_str(), beginning.size()) == 0)
            unlinkat(dirfd(directory), entry->d_name, 0);
    closedir(directory);
}

} // namespace

void Litter::remove(const Thing &thing)
{
    const std::string path = thing.path;
    const size_t slash = path.rfind('/');
    switch (thing.kind) {
    case FILE_PATH:
        unlink(thing.path);
        break;
    case DIRECTORY:
        remove_files(path, "");
        rmdir(thing.path);
        break;
    case FILES:
        remove_files(path.substr(0, slash), path.substr(slash + 1));
        break;
    case MESSAGE_QUEUE:
        msgctl(thing.id, IPC_RMID, nullptr);
        break;
    }
}

/* The janitor: reads until nobody can write any more. */
void Litter::clean_up_after(int notes)
{
    std::vector<Thing> things;
    Note note;
    while (read(notes, &note, sizeof note) == sizeof note) {
        if (note.remember)
            things.push_back(note.thing);
        else
            things.erase(std::remove_if(things.begin(), things.end(),
                                        [&](const Thing &kept) {
                                            return std::memcmp(&kept, &note.thing, sizeof kept) ==
                                                   0;
                                        }),
                         things.end());
    }
    for (const Thing &left : things)
        remove(left);
    _exit(0);
}

void Litter::tell_janitor(bool remember, const Thing &thing)
{
    static const int notes = [] {
        int ends[2];
        require(pipe2(ends, O_CLOEXEC) == 0, "pipe");
        const pid_t child = fork();
        require(child >= 0, "fork");
        if (child == 0) {
            setsid(); /* what ends the others is not meant for it: neither Ctrl-C nor a hang-up */
            for (int number : {SIGINT, SIGTERM, SIGHUP})
                std::signal(number, SIG_IGN);
            /* It outlives them by a moment: whoever reads their output is not to wait for that. */
            const int nowhere = open("/dev/null", O_RDWR);
            for (int fd = 0; fd <= 2; fd++)
                dup2(nowhere, fd);
            for (int fd = 3; fd < 256; fd++)
                if (fd != ends[0])
                    close(fd);
            clean_up_after(ends[0]);
        }
        close(ends[0]);
        return ends[1];
    }();
    static_assert(sizeof(Note) <= PIPE_BUF, "a note must be written in one piece");
    Note note = {};
    note.remember = remember;
    note.thing = thing;
    require(write(notes, &note, sizeof note) == sizeof note, "the janitor");
}

Litter::Litter(const Thing &what) : thing(what), owner(getpid())
{
    tell_janitor(true, thing);
}

Litter::Litter(Litter &&other) noexcept : thing(other.thing), owner(other.owner)
{
    other.owner = 0;
}

Litter::~Litter()
{
    if (owner != getpid())
        return;
    remove(thing);
    tell_janitor(false, thing);
}

Litter::Thing Litter::thing_at(Kind kind, const std::string &path)
{
    Thing thing = {};
    thing.kind = kind;
    if (path.size() >= sizeof thing.path)
        fail(path, "too long a path");
    path.copy(thing.path, sizeof thing.path - 1);
    return thing;
}

Litter Litter::file(const std::string &path)
{
    return Litter(thing_at(FILE_PATH, path));
}

Litter Litter::directory(const std::string &path)
{
    return Litter(thing_at(DIRECTORY, path));
}

Litter Litter::files(const std::string &beginning)
{
    return Litter(thing_at(FILES, beginning));
}

Litter Litter::message_queue(int id)
{
    Thing thing = thing_at(MESSAGE_QUEUE, "");
    thing.id = id;
    return Litter(thing);
}
