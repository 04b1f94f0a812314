/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * kernel.h: what every Linux has to hand a message to another thread or process and to wake it,
 * behind the face that sleepers.h describes.
 */
#ifndef RBX_BENCH_KERNEL_H
#define RBX_BENCH_KERNEL_H

#include "litter.h"
#include "messages.h"
#include "shared.h"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/socket.h>
#include <unistd.h>

namespace sleepers
{

/* For those whose ends have nothing of their own: both use what was there before the fork. */
template <class Way, size_t size> class Plain
{
    class End
    {
      public:
        explicit End(Way &made) : way(made)
        {
        }
        void send(const Message<size> &message)
        {
            way.send(message);
        }
        void recv(Message<size> &message)
        {
            way.recv(message);
        }

      private:
        Way &way;
    };

  public:
    typedef End Sender;
    typedef End Receiver;
};

/* A descriptor, closed at the end. */
class Fd
{
  public:
    explicit Fd(int opened, const char *what) : fd(opened)
    {
        require(fd >= 0, what);
    }
    Fd(const Fd &) = delete;
    Fd &operator=(const Fd &) = delete;
    ~Fd()
    {
        close(fd);
    }
    operator int() const
    {
        return fd;
    }

  private:
    int fd;
};

/* Carries nothing but how often it was written to: the receiver numbers what it gets, from 1. As a
   semaphore, since each message is to be received by a call of its own. */
template <size_t size> class EventFd
{
  public:
    static constexpr const char *name = "eventfd";
    static constexpr size_t largest = 8;
    static constexpr bool carries = false;

    class Sender
    {
      public:
        explicit Sender(EventFd &way) : fd(way.fd)
        {
        }
        void send(const Message<size> &)
        {
            const uint64_t one = 1;
            require(write(fd, &one, sizeof one) == sizeof one, "eventfd");
        }

      private:
        int fd;
    };

    class Receiver
    {
      public:
        explicit Receiver(EventFd &way) : fd(way.fd)
        {
        }
        void recv(Message<size> &message)
        {
            uint64_t one;
            require(read(fd, &one, sizeof one) == sizeof one, "eventfd");
            message.number = ++received;
        }

      private:
        int fd;
        uint64_t received = 0;
    };

  private:
    Fd fd{eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC), "eventfd"};
};

template <size_t size> class Pipe : public Plain<Pipe<size>, size>
{
  public:
    static constexpr const char *name = "pipe";
    static constexpr size_t largest = 4096; /* what is written in one piece */
    static constexpr bool carries = true;

    Pipe()
    {
        require(pipe2(fds, O_CLOEXEC) == 0, "pipe");
        /* As much as anybody may have, for streams: 256 messages of 4096 bytes rather than 16. That
           others of this user have used up what they may is no reason not to measure. */
        fcntl(fds[1], F_SETPIPE_SZ, 1 << 20);
    }
    Pipe(const Pipe &) = delete;
    Pipe &operator=(const Pipe &) = delete;
    ~Pipe()
    {
        close(fds[0]);
        close(fds[1]);
    }
    void send(const Message<size> &message)
    {
        require(write(fds[1], &message, size) == size, "pipe");
    }
    void recv(Message<size> &message)
    {
        require(read(fds[0], &message, size) == size, "pipe");
    }

  private:
    int fds[2];
};

/* Of both kinds: a stream is the quicker one for small messages, packets are for those of 4096. */
template <size_t size, int type> class UnixSocket : public Plain<UnixSocket<size, type>, size>
{
  public:
    static constexpr const char *name =
        type == SOCK_STREAM ? "Unix stream socket" : "Unix packet socket";
    static constexpr size_t largest = 4096;
    static constexpr bool carries = true;

    UnixSocket()
    {
        require(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) == 0, "socketpair");
    }
    UnixSocket(const UnixSocket &) = delete;
    UnixSocket &operator=(const UnixSocket &) = delete;
    ~UnixSocket()
    {
        close(fds[0]);
        close(fds[1]);
    }
    void send(const Message<size> &message)
    {
        require(::send(fds[1], &message, size, MSG_NOSIGNAL) == size, "send");
    }
    void recv(Message<size> &message)
    {
        /* Of a stream, all of a message, in one call. */
        require(::recv(fds[0], &message, size, MSG_WAITALL) == size, "recv");
    }

  private:
    int fds[2];
};

template <size_t size> using UnixStream = UnixSocket<size, SOCK_STREAM>;
template <size_t size> using UnixPackets = UnixSocket<size, SOCK_SEQPACKET>;

/* Unlinked as soon as it is open: the descriptor will do. */
template <size_t size> class PosixQueue : public Plain<PosixQueue<size>, size>
{
  public:
    static constexpr const char *name = "POSIX mq";
    static constexpr size_t largest = 4096;
    static constexpr bool carries = true;

    void send(const Message<size> &message)
    {
        require(mq_send(queue, reinterpret_cast<const char *>(&message), size, 0) == 0, "mq_send");
    }
    void recv(Message<size> &message)
    {
        require(mq_receive(queue, reinterpret_cast<char *>(&message), size, nullptr) == size,
                "mq_receive");
    }

  private:
    static long most_messages()
    {
        long most = 10;
        if (std::FILE *file = std::fopen("/proc/sys/fs/mqueue/msg_max", "re")) {
            if (std::fscanf(file, "%ld", &most) != 1)
                most = 10;
            std::fclose(file);
        }
        return most;
    }
    static int make()
    {
        mq_attr attributes = {};
        attributes.mq_maxmsg = most_messages(); /* as deep as any user may have it here */
        attributes.mq_msgsize = size;
        const std::string path = "/ringbox-bench." + std::to_string(getpid());
        const int fd = mq_open(path.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
        if (fd >= 0)
            mq_unlink(path.c_str());
        return fd;
    }

    Fd queue{make(), "mq_open"};
};

/* Its calls want a type in front of the message, so it is copied once more: a few ns. */
template <size_t size> class SystemV : public Plain<SystemV<size>, size>
{
  public:
    static constexpr const char *name = "System V msg";
    static constexpr size_t largest = 4096;
    static constexpr bool carries = true;

    void send(const Message<size> &message)
    {
        const Typed typed = {1, message};
        require(msgsnd(id, &typed, size, 0) == 0, "msgsnd");
    }
    void recv(Message<size> &message)
    {
        Typed typed;
        require(msgrcv(id, &typed, size, 0, 0) == size, "msgrcv");
        message = typed.message;
    }

  private:
    struct Typed {
        long type;
        Message<size> message;
    };
    static int make()
    {
        const int made = msgget(IPC_PRIVATE, 0600);
        require(made >= 0, "msgget");
        return made;
    }

    const int id = make();
    const Litter litter = Litter::message_queue(id);
};

/* What one would write oneself: a bounded queue under a mutex, with two condition variables. */
template <size_t size> class Condition
{
    struct Queue {
        pthread_mutex_t mutex;
        pthread_cond_t filled, emptied;
        uint64_t sent = 0, received = 0;
        Message<size> messages[queue_capacity];

        Queue()
        {
            pthread_mutexattr_t lock;
            pthread_mutexattr_init(&lock);
            pthread_mutexattr_setpshared(&lock, PTHREAD_PROCESS_SHARED);
            pthread_mutex_init(&mutex, &lock);
            pthread_mutexattr_destroy(&lock);
            pthread_condattr_t signal;
            pthread_condattr_init(&signal);
            pthread_condattr_setpshared(&signal, PTHREAD_PROCESS_SHARED);
            pthread_cond_init(&filled, &signal);
            pthread_cond_init(&emptied, &signal);
            pthread_condattr_destroy(&signal);
        }
    };
    Shared<Queue> queue;

  public:
    static constexpr const char *name = "condition variable";
    static constexpr size_t largest = 4096;
    static constexpr bool carries = true;

    class Sender
    {
      public:
        explicit Sender(Condition &way) : queue(*way.queue)
        {
            way.queue.touch();
        }
        void send(const Message<size> &message)
        {
            pthread_mutex_lock(&queue.mutex);
            while (queue.sent - queue.received == queue_capacity)
                pthread_cond_wait(&queue.emptied, &queue.mutex);
            queue.messages[queue.sent++ % queue_capacity] = message;
            pthread_mutex_unlock(&queue.mutex);
            /* Afterwards, so that who wakes finds the mutex free; no system call when nobody
               sleeps. */
            pthread_cond_signal(&queue.filled);
        }

      private:
        Queue &queue;
    };

    class Receiver
    {
      public:
        explicit Receiver(Condition &way) : queue(*way.queue)
        {
            way.queue.touch();
        }
        void recv(Message<size> &message)
        {
            pthread_mutex_lock(&queue.mutex);
            while (queue.sent == queue.received)
                pthread_cond_wait(&queue.filled, &queue.mutex);
            message = queue.messages[queue.received++ % queue_capacity];
            pthread_mutex_unlock(&queue.mutex);
            pthread_cond_signal(&queue.emptied);
        }

      private:
        Queue &queue;
    };
};

} // namespace sleepers

#endif
