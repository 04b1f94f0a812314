/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A ring of any kind in use, whose memory a peer overwrites between the calls. The input is a
 * script: what the ring is, then calls and overwrites.
 *
 * Where it lies in a box a peer can also feign deaths, by a seat that says to be open, and so send
 * repair after whatever its words say.
 */
#include <ringbox/ringbox.h>

#include "fuzz.h"
#include "os/mutex.h"
#include "ring/header.h"

enum { HANDS = 2, BATCH = 20, BUDGET = 96, OPENINGS = 6 };

struct scene {
    struct bytes input;
    struct rbx_ring_shape shape;
    struct prey prey;
    rbx_ring *ring;
    rbx_tx tx[HANDS];
    rbx_rx rx[HANDS];
    void *place[HANDS]; /* claimed */
    char *messages;     /* room for a batch, and no more */
    char *past;         /* the memory as it once was */
    int openings;       /* left: each may take a second, in a box */
};

/* What calls on a ring say, EDEADLK with a lock only. */
#define spoils(call)                                                                               \
    answers(call, EAGAIN, EPROTO, EPIPE, ETIMEDOUT, EOWNERDEAD, EBUSY, EINVAL, EDEADLK)

void fuzz_clean_up(void)
{
}

/* --- What the peer does --- */

static void overwrites(struct scene *s, unsigned hand)
{
    (void)hand;
    vandalise(&s->prey, &s->input);
}

/* What counts most are the few words before the seats, and the first seats. */
static void overwrites_the_heart(struct scene *s, unsigned hand)
{
    struct prey heart = s->prey;
    (void)hand;
    heart.size = RBX_RING_SEATS_AT + HANDS * sizeof(struct rbx_seat);
    if (heart.size > s->prey.size)
        heart.size = s->prey.size;
    vandalise(&heart, &s->input);
}

/* The word of a frame: a position near those in use, in any state. */
static void overwrites_a_frame(struct scene *s, unsigned hand)
{
    uint64_t number = take_byte(&s->input), lap = take_byte(&s->input);
    size_t at =
        (size_t)(rbx_ring_frames_at(&s->shape) + number % s->shape.frames * s->shape.frame.bytes);
    (void)hand;
    number = number % s->shape.frames + s->shape.first_frame + s->shape.frames * (lap % 5);
    if (s->shape.kind != RBX_LOCKED)
        overwrite(&s->prey, at, number << 8 | lap / 5 % 8);
}

static void remembers(struct scene *s, unsigned hand)
{
    (void)hand;
    memcpy(s->past, s->prey.memory, s->prey.size);
}

static void goes_back_in_time(struct scene *s, unsigned hand)
{
    (void)hand;
    for (size_t at = RBX_RING_SHARED_AT; at + 8 <= s->prey.size; at += 8) {
        uint64_t was;
        memcpy(&was, s->past + at, 8);
        overwrite(&s->prey, at, was);
    }
}

/* --- What the victims do --- */

static bool is_inside(const struct scene *s, const void *place, size_t size)
{
    const char *first = s->prey.memory + rbx_ring_frames_at(&s->shape), *at = place;
    return at >= first && at + size <= s->prey.memory + s->prey.size &&
           (uintptr_t)at % s->shape.alignment == 0;
}

static uint64_t takes_time(struct scene *s)
{
    return take_byte(&s->input) * UINT64_C(100);
}

static void sends(struct scene *s, unsigned hand)
{
    spoils(rbx_try_send(&s->tx[hand], s->messages));
}

static void sends_in_time(struct scene *s, unsigned hand)
{
    spoils(rbx_send_for(&s->tx[hand], s->messages, takes_time(s)));
}

static void sends_many(struct scene *s, unsigned hand)
{
    size_t count = take_below(&s->input, BATCH + 1);
    ptrdiff_t n = rbx_try_send_n(&s->tx[hand], s->messages, count);
    spoils(n);
    must(n <= (ptrdiff_t)count);
}

static void sends_many_in_time(struct scene *s, unsigned hand)
{
    size_t count = take_below(&s->input, BATCH + 1);
    ptrdiff_t n = rbx_send_n_for(&s->tx[hand], s->messages, count, takes_time(s));
    spoils(n);
    must(n <= (ptrdiff_t)count);
}

static void claims(struct scene *s, unsigned hand)
{
    void *place;
    int err = rbx_claim_for(&s->tx[hand], &place, takes_time(s));
    spoils(err);
    if (err < 0)
        return;
    must(is_inside(s, place, s->shape.frame.message_size));
    s->place[hand] = place;
}

static void writes_its_place(struct scene *s, unsigned hand)
{
    if (s->tx[hand].hold == RBX_HOLD_PLACE)
        memset(s->place[hand], take_byte(&s->input), s->shape.frame.message_size);
}

static void commits(struct scene *s, unsigned hand)
{
    spoils(rbx_commit(&s->tx[hand]));
}

static void aborts(struct scene *s, unsigned hand)
{
    spoils(rbx_abort(&s->tx[hand]));
}

static void receives(struct scene *s, unsigned hand)
{
    spoils(rbx_try_recv(&s->rx[hand], s->messages));
}

static void receives_in_time(struct scene *s, unsigned hand)
{
    spoils(rbx_recv_for(&s->rx[hand], s->messages, takes_time(s)));
}

static void receives_many(struct scene *s, unsigned hand)
{
    size_t most = take_below(&s->input, BATCH + 1);
    ptrdiff_t n = rbx_recv_n_for(&s->rx[hand], s->messages, most, takes_time(s));
    spoils(n);
    must(n <= (ptrdiff_t)most);
}

static void peeks(struct scene *s, unsigned hand)
{
    const void *shown;
    size_t most = take_byte(&s->input);
    ptrdiff_t n = rbx_peek_n_for(&s->rx[hand], &shown, most, takes_time(s));
    spoils(n);
    must(n <= (ptrdiff_t)most);
    if (n <= 0)
        return;
    size_t size = (size_t)(n - 1) * rbx_stride(&s->rx[hand]) + s->shape.frame.message_size;
    must(is_inside(s, shown, size));
    for (size_t i = 0; i < size; i++)
        s->messages[0] = (char)(s->messages[0] + ((const volatile char *)shown)[i]);
}

static void releases(struct scene *s, unsigned hand)
{
    size_t count = take_byte(&s->input);
    spoils(count == UINT8_MAX ? rbx_release(&s->rx[hand]) : rbx_release_n(&s->rx[hand], count));
}

static void opens(struct scene *s, unsigned hand)
{
    if (s->openings-- <= 0)
        return;
    spoils(rbx_tx_open(&s->tx[hand], s->ring));
    spoils(rbx_rx_open(&s->rx[hand], s->ring));
}

static void closes_a_sender(struct scene *s, unsigned hand)
{
    rbx_tx_close(&s->tx[hand]);
}

static void closes_a_receiver(struct scene *s, unsigned hand)
{
    rbx_rx_close(&s->rx[hand]);
}

static void describes(struct scene *s, unsigned hand)
{
    rbx_ring_info info;
    rbx_end_info end;
    must(rbx_ring_describe(s->ring, &info) == 0);
    must(info.capacity == s->shape.capacity && info.senders == s->shape.seats[0] &&
         info.message_size == s->shape.frame.message_size);
    must(rbx_ring_sender(s->ring, hand, &end) == (hand < info.senders ? 0 : -EINVAL));
    must(rbx_ring_receiver(s->ring, hand, &end) == (hand < info.receivers ? 0 : -EINVAL));
}

static void repairs(struct scene *s, unsigned hand)
{
    rbx_repaired done;
    (void)hand;
    answers(rbx_ring_repair(s->ring, &done), EAGAIN, ENOTSUP, EDEADLK);
}

static void shuts_down(struct scene *s, unsigned hand)
{
    (void)hand;
    answers(rbx_ring_shutdown(s->ring), EINVAL, EDEADLK);
}

static void changes_patience(struct scene *s, unsigned hand)
{
    const rbx_wait_options options = {.how = (rbx_wait_how)take_below(&s->input, 4),
                                      .spin_ns = take_byte(&s->input) & 1 ? RBX_NO_SPIN : 1000};
    spoils(rbx_tx_wait_by(&s->tx[hand], &options));
    spoils(rbx_rx_wait_by(&s->rx[hand], &options));
}

typedef void act(struct scene *s, unsigned hand);

static act *const acts[] = {overwrites,
                            overwrites_the_heart,
                            overwrites_a_frame,
                            remembers,
                            sends,
                            sends_in_time,
                            sends_many,
                            sends_many_in_time,
                            claims,
                            writes_its_place,
                            commits,
                            aborts,
                            receives,
                            receives_in_time,
                            receives_many,
                            peeks,
                            releases,
                            opens,
                            closes_a_sender,
                            closes_a_receiver,
                            describes,
                            repairs,
                            shuts_down,
                            changes_patience,
                            goes_back_in_time,
                            overwrites_the_heart,
                            overwrites_a_frame,
                            sends,
                            receives,
                            overwrites_the_heart,
                            overwrites_a_frame,
                            releases};

/* --- The scene --- */

static rbx_ring_options options_of(struct bytes *input)
{
    static const struct {
        rbx_ring_kind kind;
        unsigned flags;
    } kinds[] = {{RBX_SPSC, 0},   {RBX_MPMC, 0},        {RBX_MPMC, RBX_STRICT},
                 {RBX_LOCKED, 0}, {RBX_MPMC, RBX_DROP}, {RBX_MPMC, RBX_STRICT | RBX_DROP}};
    static const size_t sizes[] = {8, 1, 24, 56, 57, 300}, capacities[] = {4, 1, 2, 3, 8, 33};
    size_t kind = take_below(input, sizeof kinds / sizeof *kinds);
    rbx_ring_options options = {.kind = kinds[kind].kind, .flags = kinds[kind].flags};
    options.message_size = sizes[take_below(input, sizeof sizes / sizeof *sizes)];
    options.capacity = capacities[take_below(input, sizeof capacities / sizeof *capacities)];
    if (options.kind != RBX_SPSC) {
        options.senders = 1 + (unsigned)take_below(input, 3);
        options.receivers = 1 + (unsigned)take_below(input, 3);
    }
    return options;
}

/* In memory that is exactly as long as the ring: so the sanitizer sees each byte too far. */
static void make_in_memory(struct scene *s, const rbx_ring_options *options)
{
    static const uint64_t beginnings[] = {0, 1, UINT64_C(1) << 31, (UINT64_C(1) << 32) - 3,
                                          (UINT64_C(1) << 56) - 2};
    void *memory;
    s->shape.first_frame = beginnings[take_below(&s->input, 5)];
    must(posix_memalign(&memory, 64, s->prey.size) == 0);
    memset(memory, 0, s->prey.size);
    must(rbx_ring_format(memory, &s->shape) == 0);
    must(rbx_ring_attach(&s->ring, memory, s->prey.size, options) == 0);
    s->prey.memory = memory;
}

static void make_in_box(struct scene *s, const rbx_ring_options *options)
{
    rbx_ring_options boxed = *options;
    boxed.box.backing = RBX_MEMFD;
    must(rbx_ring_open(&s->ring, "fuzz", &boxed) == 0);
    s->prey.memory = rbx_box_data(rbx_ring_box(s->ring));
}

void fuzz_one(const uint8_t *data, size_t size)
{
    struct scene s = {.input = {data, size}, .openings = OPENINGS};
    const rbx_ring_options options = options_of(&s.input);
    bool in_box = take_byte(&s.input) & 1;
    must(rbx_ring_plan(&s.shape, &options) == 0);
    s.prey.size = (size_t)rbx_ring_size(&s.shape);
    s.prey.spared = RBX_RING_SHARED_AT;
    s.prey.spared_size = s.shape.kind == RBX_LOCKED ? sizeof(struct rbx_os_mutex) : 0;
    if (in_box)
        make_in_box(&s, &options);
    else
        make_in_memory(&s, &options);
    s.messages = calloc(BATCH, options.message_size);
    s.past = malloc(s.prey.size);
    must(s.messages && s.past);
    remembers(&s, 0);
    opens(&s, 0);
    opens(&s, 1);
    for (int i = 0; i < BUDGET && s.input.left > 0; i++) {
        unsigned choice = take_byte(&s.input);
        acts[choice % (sizeof acts / sizeof *acts)](&s, choice / 128);
    }
    for (unsigned hand = 0; hand < HANDS; hand++) {
        rbx_tx_close(&s.tx[hand]);
        rbx_rx_close(&s.rx[hand]);
    }
    must(rbx_ring_close(s.ring) == 0);
    if (!in_box)
        free(s.prey.memory);
    free(s.messages);
    free(s.past);
}
