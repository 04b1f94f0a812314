/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* roudi.h: the daemon that iceoryx needs: runs while this program does. */
#ifndef RBX_BENCH_ROUDI_H
#define RBX_BENCH_ROUDI_H

#include <string>

namespace roudi
{

/*
 * Starts the daemon, unless this program has. It ends, and removes what it made, when this program
 * has ended with all that it forked, however that was. Throws when it cannot start, say since
 * another one is running. To be called before the processes are forked that use it.
 */
void need();

/* What a process of this program is to call itself: its socket has this name, and is removed. */
std::string client_name();

} // namespace roudi

#endif
