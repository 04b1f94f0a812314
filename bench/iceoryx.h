/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * iceoryx.h: iceoryx, which shares memory between processes as its daemon arranges: here without
 * its own headers, which take long to compile.
 *
 * Its daemon must run (roudi.h). By its C++ interface: that for C calls this one, and so would add
 * a call to each.
 */
#ifndef RBX_BENCH_ICEORYX_H
#define RBX_BENCH_ICEORYX_H

#include <cstddef>
#include <memory>
#include <string>

namespace iceoryx
{

/* Each process that has one of these needs to end by exit() or quick_exit(), so that the daemon
   hears of it. After a fork no process can have one whose parent has had one. */
class Sender
{
  public:
    explicit Sender(const std::string &service);
    ~Sender();

    /* Memory for a message, which publish() hands on. Waits for the receiver, the first time. */
    void *loan(size_t size);
    void publish(void *message); /* waits while 256 others do */

  private:
    struct Inside;
    std::unique_ptr<Inside> inside;
    bool connected = false;
};

class Receiver
{
  public:
    explicit Receiver(const std::string &service);
    ~Receiver();

    const void *try_take(); /* the next message, or NULL */
    const void *take();     /* which sleeps until there is one */
    void release(const void *message);

  private:
    struct Inside;
    std::unique_ptr<Inside> inside;
};

} // namespace iceoryx

#endif
