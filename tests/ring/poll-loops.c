/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* poll-loops.c: rings in the event loops of libuv and libev, as their users would have them. */
#include <pthread.h>
#include <sched.h>

#include "polled.h"

#if HAVE_EV
#include <ev.h>
#endif
#if HAVE_UV
#include <uv.h>
#endif

TestSuite(poll_loops, .timeout = 120);

enum { STREAM = 2000 };

struct stream {
    struct both both;
    pthread_t sender;
    uint64_t expected;
    int end; /* what ended it */
};

static void *send_stream(void *arg)
{
    struct stream *stream = arg;
    for (uint64_t i = 0; i < STREAM; i++) {
        if (rbx_send(&stream->both.tx, &i) < 0)
            return (void *)1;
        if (i % 3 == 0)
            sched_yield();
    }
    return (void *)(uintptr_t)(rbx_ring_shutdown(stream->both.ring) < 0);
}

/* Whether the loop is to go on. */
static bool receive_some(struct stream *stream)
{
    uint64_t message;
    int err;
    do {
        while ((err = rbx_try_recv(&stream->both.rx, &message)) == 0)
            cr_assert_eq(message, stream->expected++);
    } while (err == -EAGAIN && rbx_rx_arm(&stream->both.rx) == 1);
    stream->end = err;
    return err == -EAGAIN;
}

static void begin(struct stream *stream, const struct polled_kind *kind, rbx_poll_by by)
{
    *stream = (struct stream){.end = 0};
    open_both(&stream->both, NULL, kind);
    cr_assert_geq(rbx_rx_fd_by(&stream->both.rx, by), 0);
    cr_assert(receive_some(stream)); /* which arms it */
    cr_assert_eq(pthread_create(&stream->sender, NULL, send_stream, stream), 0);
}

static void end(struct stream *stream)
{
    void *failed;
    pthread_join(stream->sender, &failed);
    cr_assert_null(failed);
    cr_assert_eq(stream->end, -EPIPE);
    cr_assert_eq(stream->expected, STREAM);
    close_both(&stream->both);
}

#if HAVE_UV
static void on_uv(uv_poll_t *handle, int status, int events)
{
    cr_assert_eq(status, 0);
    cr_assert_eq(events, UV_READABLE);
    if (!receive_some(handle->data)) {
        uv_poll_stop(handle);
        uv_close((uv_handle_t *)handle, NULL);
    }
}

Test(poll_loops, a_stream_comes_through_libuv)
{
    for_each_kind_and_way(kind, by)
    {
        struct stream stream;
        uv_loop_t loop;
        uv_poll_t handle = {.data = &stream};
        begin(&stream, kind, by);
        cr_assert_eq(uv_loop_init(&loop), 0);
        cr_assert_eq(uv_poll_init(&loop, &handle, rbx_rx_fd(&stream.both.rx)), 0);
        cr_assert_eq(uv_poll_start(&handle, UV_READABLE, on_uv), 0);
        uv_run(&loop, UV_RUN_DEFAULT);
        cr_assert_eq(uv_loop_close(&loop), 0);
        end(&stream);
    }
}
#else
Test(poll_loops, a_stream_comes_through_libuv)
{
    cr_skip_test("SKIP: libuv1-dev is not installed");
}
#endif

#if HAVE_EV
static void on_ev(struct ev_loop *loop, ev_io *watcher, int events)
{
    cr_assert_eq(events, EV_READ);
    if (!receive_some(watcher->data))
        ev_io_stop(loop, watcher);
}

Test(poll_loops, a_stream_comes_through_libev)
{
    for_each_kind_and_way(kind, by)
    {
        struct stream stream;
        ev_io watcher;
        begin(&stream, kind, by);
        struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
        ev_io_init(&watcher, on_ev, rbx_rx_fd(&stream.both.rx), EV_READ);
        watcher.data = &stream;
        ev_io_start(loop, &watcher);
        ev_run(loop, 0);
        ev_loop_destroy(loop);
        end(&stream);
    }
}
#else
Test(poll_loops, a_stream_comes_through_libev)
{
    cr_skip_test("SKIP: libev-dev is not installed");
}
#endif
