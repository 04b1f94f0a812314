/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fd.h: descriptors that a fork() does not hand to the child.
 *
 * A child's copy of a descriptor shares its open file description and so keeps its locks: a child
 * that outlives its parent would make the parent look alive. Every rbx_fd is therefore known to a
 * list from the moment it exists, and a pthread_atfork handler closes them all in the child, where
 * they read as closed (fd == -1) from then on. They are close-on-exec.
 *
 * A mapping keeps the open file description that it was made through, and a child inherits it. So
 * a description that is to lock must never be mapped: boxes open their file twice.
 *
 * An rbx_fd lives at a fixed address while it is open.
 */
#ifndef RBX_OS_FD_H
#define RBX_OS_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rbx_fd {
    int fd; /* -1 when closed */
    struct rbx_fd *prev;
    struct rbx_fd *next;
};

#define RBX_FD_CLOSED ((struct rbx_fd){.fd = -1})

enum rbx_fd_access { RBX_FD_READ, RBX_FD_WRITE };

static inline bool rbx_fd_is_open(const struct rbx_fd *f)
{
    return f->fd >= 0;
}

/* How many forks have led to this process since the library was loaded: who remembers the number
   can tell whether it is in a child. */
uint32_t rbx_fd_forks(void);

/* Existing file; a symbolic link is -ELOOP, and opening never waits. */
int rbx_fd_open(struct rbx_fd *f, int dir, const char *path, enum rbx_fd_access access);
/* A new regular file that must not exist yet. */
int rbx_fd_create(struct rbx_fd *f, int dir, const char *path);
/* A new file in `directory` that has no name; -EOPNOTSUPP where the file system has none such. */
int rbx_fd_create_unnamed(struct rbx_fd *f, int dir, const char *directory);
/* A new anonymous file that can be sealed; with huge pages only if told and there are some. */
int rbx_fd_create_memfd(struct rbx_fd *f, const char *label, bool huge_pages);
/* A directory, only to name what is in it. */
int rbx_fd_open_directory(struct rbx_fd *f, const char *path);
/* Whatever make(arg) makes: a descriptor that is close-on-exec, or -errno. It must not wait. */
int rbx_fd_make(struct rbx_fd *f, int (*make)(const void *arg), const void *arg);
/* A second, independent open file description of what `fd` refers to. Needs /proc. */
int rbx_fd_reopen(struct rbx_fd *f, int fd, enum rbx_fd_access access);
/*
 * Receives one message of exactly `size` bytes that carries exactly `count` descriptors. Blocks as
 * the socket does. -EPIPE: the peer closed; -EPROTO: another kind of message; -EMFILE: the
 * descriptors found no room here.
 */
int rbx_fd_receive(struct rbx_fd *fds, size_t count, int sock, void *message, size_t size);
/* Sends one. -ENOTSOCK, -EAGAIN, -EPIPE, ... as sendmsg; never SIGPIPE. */
int rbx_fd_send(const struct rbx_fd *fds, size_t count, int sock, const void *message, size_t size);
#define RBX_FD_SEND_MAX 8 /* the most that one message may carry */
bool rbx_fd_is_writable(const struct rbx_fd *f);
/* `to`, which is closed, takes over the descriptor. */
void rbx_fd_move(struct rbx_fd *to, struct rbx_fd *from);
/* Takes it off the list: fork() does not close it any more. Its descriptor, which stays open. */
int rbx_fd_let_go(struct rbx_fd *f);
/* Closes, and unlocks what this description has locked even where copies of it live on. */
void rbx_fd_close(struct rbx_fd *f);
/* Closes a description that has been sent, and so is another's to lock. */
void rbx_fd_give_away(struct rbx_fd *f);

#endif
