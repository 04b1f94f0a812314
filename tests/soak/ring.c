/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ring.c: rings of all kinds, by name or in a memfd that is handed over, and who uses them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "soak.h"

rbx_ring_options ring_shape;
rbx_ring *ring_now;
static bool by_socket;
static int sockets[2];

static const struct {
    const char *noun;
    rbx_ring_kind kind;
    unsigned flags;
} kinds[] = {{"SPSC", RBX_SPSC, 0},
             {"MPMC", RBX_MPMC, 0},
             {"MPMC strict", RBX_MPMC, RBX_STRICT},
             {"MPMC drop", RBX_MPMC, RBX_DROP},
             {"MPMC strict drop", RBX_MPMC, RBX_STRICT | RBX_DROP},
             {"LOCKED", RBX_LOCKED, 0}};

bool is_in_turn(void)
{
    return ring_shape.kind != RBX_MPMC;
}

/* --- The controller --- */

static bool begin(void)
{
    static const size_t sizes[] = {8, 20, 24, 56, 64, 248, 1000, 5000};
    static const size_t capacities[] = {1, 2, 7, 64, 1024};
    uint64_t state = mix(round_now.seed ^ 1);
    unsigned spare = draw_from(&state, 2) * 3;
    const bool is_spsc = kinds[round_now.kind].kind == RBX_SPSC;
    const unsigned senders = is_spsc ? 1 : 1 + draw_from(&state, 4);
    const unsigned receivers = is_spsc ? 1 : 1 + draw_from(&state, 4);
    round_now.first_out = senders;
    round_now.slots = senders + receivers;
    by_socket = draw_from(&state, 4) == 0;
    ring_shape = (rbx_ring_options){
        .kind = kinds[round_now.kind].kind,
        .flags = kinds[round_now.kind].flags,
        .message_size = sizes[draw_from(&state, 8)],
        .capacity = capacities[draw_from(&state, 5)],
        .senders = is_spsc ? 1 : senders + spare, /* none too many, now and then */
        .receivers = is_spsc ? 1 : receivers + spare,
        .box = {.backing = by_socket ? RBX_MEMFD : RBX_SHM, .how = RBX_CREATE_ONLY}};
    if (rbx_ring_open(&ring_now, round_now.name, &ring_shape) < 0) {
        fail("a ring could not be made: %s", rbx_last_error());
        return false;
    }
    return true;
}

static void hand_over(void)
{
    if (!by_socket)
        return;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0 ||
        rbx_box_send(sockets[0], rbx_ring_box(ring_now)) < 0)
        fail("a ring could not be handed over: %s", rbx_last_error());
}

static void handed_over(void)
{
    if (!by_socket)
        return;
    close(sockets[0]);
    close(sockets[1]);
}

/* By hand, too. Who has the lock may be stopped, and is not to stop the controller. */
static void help(void)
{
    if (ring_shape.kind == RBX_LOCKED)
        return;
    int err = rbx_ring_repair(ring_now, NULL);
    if (err < 0 && err != -EAGAIN)
        fail("a repair answered %d: %s", err, rbx_last_error());
}

static bool turn(void)
{
    rbx_ring_info info;
    rbx_ring_describe(ring_now, &info);
    /* A shutdown wakes everybody: where a lost wake-up is to show, not before all is received. */
    if ((round_now.ends_by_signal || round_now.is_calm) && info.sent != info.received)
        return false;
    if (round_now.ends_by_signal)
        return true;
    int err = rbx_ring_shutdown(ring_now);
    if (err < 0)
        fail("a shutdown answered %d: %s", err, rbx_last_error());
    return true;
}

/* With nobody else there. */
static void check_capacity(void)
{
    static char message[5000];
    rbx_tx tx = {0};
    rbx_rx rx = {0};
    size_t sent = 0, received = 0;
    if (rbx_tx_open(&tx, ring_now) < 0 || rbx_rx_open(&rx, ring_now) < 0) {
        fail("the controller was refused: %s", rbx_last_error());
        return;
    }
    if (rbx_try_recv(&rx, message) != -EAGAIN)
        fail("a ring where sent and received are equal is not empty");
    while (sent < 4 * ring_shape.capacity + 1024 && rbx_try_send(&tx, message) == 0)
        sent++;
    while (rbx_try_recv(&rx, message) == 0)
        received++;
    if (sent < ring_shape.capacity || received != sent)
        fail("a ring with nothing in it took %zu messages and gave %zu", sent, received);
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
}

static void judge(void)
{
    rbx_ring_info info;
    rbx_repaired what = {0};
    int err = rbx_ring_repair(ring_now, &what);
    if (err < 0)
        fail("with nobody there a repair answered %d: %s", err, rbx_last_error());
    if (what.suspect > 0)
        fail("with nobody there %llu are suspect", (unsigned long long)what.suspect);
    rbx_ring_describe(ring_now, &info);
    if (info.sent != info.received)
        fail("at the end %llu were sent, and %llu received", (unsigned long long)info.sent,
             (unsigned long long)info.received);
    if (info.tx.state != RBX_END_NONE && info.tx.state != RBX_END_DEAD)
        fail("at the end the senders are in state %d", (int)info.tx.state);
    ring_judge();
    if (is_well() && round_now.ends_by_signal)
        check_capacity();
}

static void tell(void)
{
    rbx_ring_info info = {0};
    if (ring_now)
        rbx_ring_describe(ring_now, &info);
    printf(
        "  %s, %zu bytes, capacity %zu, %u senders, %u receivers%s: sent %llu, received %llu%s; "
        "repaired: %llu senders, %llu receivers, %llu tombstones, %llu redelivered, %llu dropped, "
        "%llu returned\n",
        kinds[round_now.kind].noun, ring_shape.message_size, ring_shape.capacity,
        round_now.first_out, round_now.slots - round_now.first_out, by_socket ? ", in a memfd" : "",
        (unsigned long long)info.sent, (unsigned long long)info.received, info.shut ? ", shut" : "",
        (unsigned long long)info.repaired.senders, (unsigned long long)info.repaired.receivers,
        (unsigned long long)info.repaired.tombstones, (unsigned long long)info.repaired.redelivered,
        (unsigned long long)info.repaired.dropped, (unsigned long long)info.repaired.returned);
}

static void end(void)
{
    int err = ring_now ? rbx_ring_close(ring_now) : 0;
    if (err < 0)
        fail("the ring could not be closed: %s", rbx_last_error());
    ring_now = NULL;
    ring_forget();
}

/* --- The participants --- */

static rbx_ring *join(void)
{
    const rbx_ring_options joins = {
        .kind = ring_shape.kind, .flags = ring_shape.flags, .box.how = RBX_OPEN_ONLY};
    rbx_ring *ring = NULL;
    rbx_box *box = NULL;
    int err;
    if (draw(2))
        rbx_ring_close(ring_now);
    does("joins", false);
    if (by_socket) {
        err = rbx_box_recv(sockets[1], &box);
        if (err == 0)
            err = rbx_ring_open_box(&ring, box, &joins);
        handed_over();
        me.closed = 2;
    } else
        err = rbx_ring_open(&ring, round_now.name, &joins);
    if (err < 0)
        fail("a participant could not join: %d: %s", err, rbx_last_error());
    did();
    return ring;
}

static const rbx_wait_options *way(void)
{
    static const rbx_wait_options ways[] = {{.how = RBX_WAIT_SLEEP},
                                            {.how = RBX_WAIT_SLEEP, .spin_ns = RBX_NO_SPIN},
                                            {.how = RBX_WAIT_SLEEP, .spin_ns = RBX_NO_SPIN},
                                            {.how = RBX_WAIT_YIELD},
                                            {.how = RBX_WAIT_SPIN}};
    return &ways[draw(round_now.ends_by_signal ? 3 : 5)]; /* a signal ends sleeps only */
}

/* Whether it is open. A dead one's seat can be in the clearing for as long as who clears it is
   stopped; and a receiver can come when all is over. */
static bool open_end(rbx_ring *ring, rbx_tx *tx, rbx_rx *rx)
{
    int err;
    does("opens", false);
    do
        err = me.is_first_out ? rbx_tx_open(tx, ring) : rbx_rx_open(rx, ring);
    while (err == -EAGAIN && is_well());
    if (err == 0)
        err = me.is_first_out ? rbx_tx_wait_by(tx, way()) : rbx_rx_wait_by(rx, way());
    if (err < 0 && (err != -EPIPE || me.is_first_out || phase() == RUN))
        fail("a %s was refused: %d: %s", me.is_first_out ? "sender" : "receiver", err,
             rbx_last_error());
    did();
    return err == 0;
}

static void use(rbx_ring *ring, rbx_tx *tx, rbx_rx *rx)
{
    bool stays = true;
    while (is_well() && !feels_like_leaving()) {
        if (me.is_first_out) {
            if (phase() != RUN)
                return;
            stays = send_some(tx);
        } else if (!receive_some(rx))
            return;
        dawdle();
        if (!stays || draw(4096) == 0) {
            rbx_tx_close(tx);
            rbx_rx_close(rx);
            if (!open_end(ring, tx, rx))
                return;
        }
        if (draw(8192) == 0) {
            int err = rbx_ring_repair(ring, NULL);
            if (err < 0 && err != -EAGAIN)
                fail("a repair answered %d: %s", err, rbx_last_error());
        }
    }
}

static void play(void)
{
    rbx_tx tx = {0};
    rbx_rx rx = {0};
    rbx_ring *ring = join();
    if (!ring)
        return;
    if (open_end(ring, &tx, &rx))
        use(ring, &tx, &rx);
    does("closes", false);
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    if (rbx_ring_close(ring) < 0)
        fail("a participant could not close: %s", rbx_last_error());
}

const struct game ring_game = {.noun = "ring",
                               .begin = begin,
                               .hand_over = hand_over,
                               .handed_over = handed_over,
                               .play = play,
                               .bury = ring_bury,
                               .help = help,
                               .turn = turn,
                               .judge = judge,
                               .tell = tell,
                               .end = end};
