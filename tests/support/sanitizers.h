/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sanitizers.h: what a test leaves out where it is built with one. */
#ifndef RBX_TESTS_SUPPORT_SANITIZERS_H
#define RBX_TESTS_SUPPORT_SANITIZERS_H

#ifndef __has_feature /* gcc has none, and says it by a macro of its own */
#define __has_feature(feature) 0
#endif

/* The thread sanitizer sees nothing between processes. */
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define THREADS_ONLY 1
#else
#define THREADS_ONLY 0
#endif

#endif
