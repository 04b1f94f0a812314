/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * explore-cell: every order in which the steps of a few threads can happen, on the real code of a
 * cell (src/cell.c). small.h says how it is called.
 *
 * A thread stops before each access to the version and to a word of a buffer, and before it locks
 * or unlocks the mutex, which is a word of its own here. All is walked on the weak machine only:
 * what x86 does is among what C11 allows. The value is two words that count the changes. A snapshot
 * has both of the same change, one that its thread could not have known to be over; and whoever
 * holds the mutex reads and writes nothing that another's access does not happen before.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define EXPLORE_MEMCPY_IS_ITSELF
#include "layer.h"

#include <ringbox/cell.h>

#include "fiber.h"
#include "orders.h"
#include "small.h"
#include "views.h"

#include "os/mutex.h"
#include "wait.h"

enum {
    PEOPLE = 3,
    CALLS = 5,
    VALUES = 2, /* words of a value */
    BUFFERS = 4,
    LINE_WORDS = 8,
    HANDLE_MAX = 256,
    NO_WORD = 255,
};

enum { WORD_VERSION, WORD_VALUE, WORD_MUTEX = WORD_VALUE + BUFFERS * VALUES, WORDS };

enum deed { NOTHING, CHANGE, FAIL, SET, READ, SNAPSHOT, LATE_SNAPSHOT, VERSION };

static const struct scene {
    struct days days;
    enum deed deeds[PEOPLE][CALLS];
    unsigned mortal; /* threads that may die, as bits */
} scenes[] = {
    {.days = {.name = "one sets, one looks", .is_weak = true},
     .deeds = {{SET, SET, SET, SET, SET}, {SNAPSHOT, SNAPSHOT}}},
    {.days = {.name = "one changes, one looks", .is_weak = true},
     .deeds = {{CHANGE, CHANGE, CHANGE, CHANGE, CHANGE}, {SNAPSHOT, SNAPSHOT}}},
    {.days = {.name = "two change, one looks", .is_weak = true},
     .deeds = {{CHANGE, CHANGE}, {CHANGE, CHANGE, CHANGE}, {SNAPSHOT}}},
    {.days = {.name = "one changes, two look", .is_weak = true},
     .deeds = {{CHANGE, CHANGE, CHANGE, CHANGE}, {SNAPSHOT}, {SNAPSHOT}}},
    {.days = {.name = "one that has looked changes", .is_weak = true},
     .deeds = {{CHANGE, CHANGE, CHANGE, CHANGE}, {SNAPSHOT, CHANGE, SNAPSHOT}}},
    {.days = {.name = "one changes, one reads, one looks", .is_weak = true},
     .deeds = {{CHANGE, CHANGE}, {READ, READ}, {SNAPSHOT}}},
    {.days = {.name = "one changes all, one reads", .is_weak = true},
     .deeds = {{CHANGE, CHANGE, CHANGE, CHANGE, CHANGE}, {READ}}},
    {.days = {.name = "one changes in vain", .is_weak = true},
     .deeds = {{CHANGE, FAIL, CHANGE}, {SNAPSHOT, FAIL, SNAPSHOT}, {READ}}},
    {.days = {.name = "one knows the version", .is_weak = true},
     .deeds = {{CHANGE, CHANGE, CHANGE}, {VERSION, SNAPSHOT, VERSION}}},
    {.days = {.name = "one looks too late, always", .is_weak = true},
     .deeds = {{CHANGE, CHANGE}, {LATE_SNAPSHOT, CHANGE}}},
    {.days = {.name = "one dies that looks too late", .is_weak = true},
     .deeds = {{CHANGE}, {LATE_SNAPSHOT}, {LATE_SNAPSHOT}},
     .mortal = 3},
    {.days = {.name = "one dies that changes, one looks", .is_weak = true},
     .deeds = {{CHANGE, CHANGE, CHANGE}, {CHANGE, CHANGE, CHANGE}, {SNAPSHOT}},
     .mortal = 1},
    {.days = {.name = "one dies that reads", .is_weak = true},
     .deeds = {{CHANGE, READ}, {CHANGE, READ}, {CHANGE, SNAPSHOT}},
     .mortal = 3},
};

static const struct scene *scene;

/* ---- The world ----------------------------------------------------------------------------- */

enum pending { AT_REST, LOADS, STORES, LOCKS, UNLOCKS, FINISHED, DEAD };

static struct world {
    _Alignas(64) char cell[RBX_CELL_BYTES(VALUES * 8)];
    uint8_t holder; /* of the mutex, + 1 */
    bool orphaned;  /* its holder has died */
    bool lost;      /* and who came next has not said that all is well */
    uint8_t deaths; /* that may still happen */
    uint8_t begun;  /* changes */
    uint8_t made;   /* of them, by calls that have returned */
    struct person {
        uint8_t pending, word, order;
        uint8_t call;
        uint64_t known; /* the last value that it knows to have been there */
        bool is_late;   /* whatever it looks at the version for, it has changed meanwhile */
        uint8_t looks;  /* at the version, in this call */
    } people[PEOPLE];
} world;

/* What a thread's process has: put away with its stack. */
struct process {
    char handle[HANDLE_MAX];
    _Alignas(64) char scratch[LINE_WORDS * 8];
    rbx_cell *cell;
};
static struct process *processes[PEOPLE];

static rbx_atomic64 *version_word(void)
{
    return (rbx_atomic64 *)(void *)(world.cell + 128);
}

static rbx_atomic64 *value_word(unsigned buffer, unsigned part)
{
    return (rbx_atomic64 *)(void *)(world.cell + 192) + buffer * LINE_WORDS + part;
}

static unsigned word_at(const void *at)
{
    for (unsigned i = 0; i < BUFFERS * VALUES; i++)
        if (at == value_word(i / VALUES, i % VALUES))
            return WORD_VALUE + i;
    if (at != version_word())
        abort();
    return WORD_VERSION;
}

unsigned memory_words(void)
{
    return WORDS;
}

uint64_t memory_value(unsigned word)
{
    if (word == WORD_MUTEX)
        return world.holder;
    word -= WORD_VALUE;
    return word < BUFFERS * VALUES ? value_word(word / VALUES, word % VALUES)->value
                                   : version_word()->value;
}

void memory_set_value(unsigned word, uint64_t value)
{
    if (word == WORD_MUTEX)
        world.holder = (uint8_t)value;
    else if (word == WORD_VERSION)
        version_word()->value = value;
    else
        value_word((word - WORD_VALUE) / VALUES, (word - WORD_VALUE) % VALUES)->value = value;
}

bool memory_is_plain(unsigned word)
{
    return word != WORD_VERSION;
}

/* The mutex is always known as it is. */
bool thread_may_care(unsigned thread, unsigned word)
{
    return world.people[thread].pending < FINISHED && word != WORD_MUTEX;
}

bool thread_reads_newest(unsigned thread, unsigned word)
{
    (void)thread, (void)word;
    return false;
}

bool thread_learns_of_calls(unsigned thread)
{
    (void)thread;
    return false;
}

static void take_turn(enum pending pending, unsigned word, unsigned order)
{
    struct person *me = &world.people[current];
    me->pending = (uint8_t)pending;
    me->word = (uint8_t)word;
    me->order = (uint8_t)order;
    fiber_rest();
    me->pending = AT_REST;
    me->word = NO_WORD;
    me->order = 0;
}

static void tell(const char *does, unsigned word, uint64_t value)
{
    if (!telling)
        return;
    if (word == WORD_VERSION || word == WORD_MUTEX)
        printf("#     thread %u  %-22s %s %llu\n", current, does,
               word == WORD_MUTEX ? "mutex  " : "version", (unsigned long long)value);
    else
        printf("#     thread %u  %-22s buffer %u, word %u: %llu\n", current, does,
               (word - WORD_VALUE) / VALUES, (word - WORD_VALUE) % VALUES,
               (unsigned long long)value);
}

/* ---- The layer ----------------------------------------------------------------------------- */

/* Who holds the mutex is alone with the buffers, but for snapshots that come too late. */
static void check_race(unsigned word)
{
    if (word != WORD_VERSION && world.holder == current + 1 && views_is_race(current, word))
        violation("thread %u holds the mutex, and has not seen what was written to buffer %u",
                  current, (word - WORD_VALUE) / VALUES);
}

uint64_t explore_load(const void *at, size_t size, struct explore_verb verb)
{
    unsigned word = word_at(at), order = order_of(verb);
    (void)size;
    if (!exploring)
        return memory_value(word);
    take_turn(LOADS, word, order);
    check_race(word);
    uint64_t value = views_load(current, word, chosen, order);
    struct person *me = &world.people[current];
    if (word == WORD_VERSION && me->is_late && world.holder != current + 1)
        value += me->looks++ % 2 * BUFFERS; /* each second look is the one that must be in time */
    tell(chosen > 0 ? "loads, stale" : "loads", word, value);
    return value;
}

void explore_store(void *at, uint64_t value, size_t size, struct explore_verb verb)
{
    unsigned word = word_at(at), order = order_of(verb);
    (void)size;
    if (!exploring) {
        memory_set_value(word, value);
        return;
    }
    take_turn(STORES, word, order);
    check_race(word);
    tell(chosen > 0 ? "stores, before newer" : "stores", word, value);
    views_store(current, word, chosen, value, order);
}

/* It concerns nobody but its thread. */
void explore_fence(struct explore_verb verb)
{
    if (exploring)
        views_fence(current, order_of_fence(verb));
}

/* A value in the handle's own memory, or in a buffer. */
void *explore_copy(void *to, const void *from, size_t size)
{
    const struct explore_verb copies = EXPLORE_VERB(RELAXED, RELAXED);
    size_t offset = (size_t)((const char *)from - world.cell);
    if (offset >= sizeof world.cell || !exploring)
        return memcpy(to, from, size);
    for (size_t done = 0; done < size; done += 8) {
        uint64_t value = explore_load((const char *)from + done, 8, copies);
        memcpy((char *)to + done, &value, 8);
    }
    return to;
}

/* ---- The mutex, memory and time ------------------------------------------------------------ */

int rbx_os_mutex_init(struct rbx_os_mutex *mutex, bool inherit_priority)
{
    (void)mutex, (void)inherit_priority;
    return 0;
}

int rbx_os_mutex_lock_until(struct rbx_os_mutex *mutex, uint64_t deadline_ns)
{
    (void)mutex, (void)deadline_ns;
    take_turn(LOCKS, NO_WORD, 0);
    views_swap(current, WORD_MUTEX, 0, current + 1, EXPLORE_ACQUIRE | EXPLORE_RELEASE);
    tell("locks", WORD_MUTEX, world.holder);
    return world.lost ? -ENOTRECOVERABLE : world.orphaned ? -EOWNERDEAD : 0;
}

int rbx_os_mutex_consistent(struct rbx_os_mutex *mutex)
{
    (void)mutex;
    world.orphaned = false;
    return 0;
}

int rbx_os_mutex_unlock(struct rbx_os_mutex *mutex)
{
    (void)mutex;
    take_turn(UNLOCKS, NO_WORD, 0);
    if (world.holder != current + 1)
        violation("thread %u unlocks what it does not hold", current);
    world.lost = world.orphaned;
    views_swap(current, WORD_MUTEX, 0, 0, EXPLORE_ACQUIRE | EXPLORE_RELEASE);
    tell("unlocks", WORD_MUTEX, 0);
    return 0;
}

uint64_t rbx_wait_deadline(uint64_t timeout_ns)
{
    return timeout_ns;
}

void *explore_calloc(size_t count, size_t size);
void *explore_calloc(size_t count, size_t size)
{
    if (count * size > HANDLE_MAX)
        abort();
    return processes[current]->handle;
}

void *explore_aligned_alloc(size_t alignment, size_t size);
void *explore_aligned_alloc(size_t alignment, size_t size)
{
    if (alignment > 64 || size > sizeof processes[current]->scratch)
        abort();
    return processes[current]->scratch;
}

void explore_free(void *memory);
void explore_free(void *memory)
{
    (void)memory;
}

/* ---- What threads do, and what must hold --------------------------------------------------- */

static void be_alone(void)
{
    if (world.holder != current + 1)
        violation("thread %u is in a callback without the mutex", current);
}

static int count_one(void *value, size_t size, void *arg)
{
    uint64_t *words = value;
    (void)size, (void)arg;
    be_alone();
    if (words[0] != words[1])
        violation("thread %u goes on with half a change", current);
    words[0]++;
    words[1]++;
    return 0;
}

static int count_one_in_vain(void *value, size_t size, void *arg)
{
    (void)count_one(value, size, arg);
    return -ECANCELED;
}

static void judge_value(const uint64_t *value, const char *how)
{
    struct person *me = &world.people[current];
    if (value[0] != value[1])
        violation("thread %u %s a torn value: %llu, %llu", current, how,
                  (unsigned long long)value[0], (unsigned long long)value[1]);
    if (value[0] < me->known || value[0] > world.begun)
        violation("thread %u %s %llu, after %llu", current, how, (unsigned long long)value[0],
                  (unsigned long long)me->known);
    me->known = value[0];
}

static int look_at(const void *value, size_t size, void *arg)
{
    (void)arg;
    uint64_t words[VALUES];
    explore_copy(words, value, size);
    be_alone();
    judge_value(words, "reads");
    return 0;
}

static void act(enum deed deed)
{
    struct person *me = &world.people[current];
    rbx_cell *cell = processes[current]->cell;
    uint64_t value[VALUES];
    int err = 0;
    switch (deed) {
    case CHANGE:
        world.begun++;
        err = rbx_cell_change(cell, count_one, NULL);
        me->known++; /* at least */
        world.made++;
        break;
    case FAIL:
        err = rbx_cell_change(cell, count_one_in_vain, NULL);
        err = err == -ECANCELED ? 0 : -1;
        break;
    case SET: /* by one thread only */
        value[0] = value[1] = ++world.begun;
        err = rbx_cell_set(cell, value);
        me->known = world.begun;
        world.made++;
        break;
    case READ:
        err = rbx_cell_read(cell, look_at, NULL);
        break;
    case VERSION:
        me->known = rbx_cell_version(cell);
        break;
    case LATE_SNAPSHOT:
        me->is_late = true;
        me->looks = 0;
        /* fall through */
    case SNAPSHOT:
        err = rbx_cell_snapshot(cell, value);
        me->is_late = false;
        judge_value(value, "takes");
        break;
    case NOTHING:
        break;
    }
    if (err < 0)
        violation("thread %u gets the answer %d", current, err);
}

static void live(unsigned thread)
{
    for (unsigned i = 0; i < CALLS && scene->deeds[thread][i]; i++) {
        world.people[thread].call = (uint8_t)i;
        act(scene->deeds[thread][i]);
    }
    world.people[thread].pending = FINISHED;
    for (;;)
        fiber_rest();
}

/* Nothing can happen any more. */
static void judge(void)
{
    uint64_t version = version_word()->value;
    const uint64_t value[VALUES] = {value_word(version % BUFFERS, 0)->value,
                                    value_word(version % BUFFERS, 1)->value};
    for (unsigned t = 0; t < PEOPLE; t++)
        if (world.people[t].pending < FINISHED)
            violation("thread %u waits for ever", t);
    if (value[0] != version || value[1] != version || version < world.made || version > world.begun)
        violation("after %u changes version %llu is %llu, %llu", world.begun,
                  (unsigned long long)version, (unsigned long long)value[0],
                  (unsigned long long)value[1]);
}

/* ---- Everything that can come next --------------------------------------------------------- */

enum { DIE = STEP + 1 };

static unsigned choices_of(unsigned thread)
{
    const struct person *p = &world.people[thread];
    switch ((enum pending)p->pending) {
    case LOADS:
        return views_choices(thread, p->word, p->order);
    case STORES:
        return views_places(thread, p->word, p->order);
    case LOCKS:
        return world.holder == 0;
    case UNLOCKS:
        return 1;
    default:
        return 0;
    }
}

static void find(struct choices *choices)
{
    for (unsigned t = 0; t < PEOPLE; t++)
        for (unsigned i = 0, count = choices_of(t); i < count; i++)
            offer(choices, (struct choice){STEP, (uint8_t)t, (uint8_t)i, 0});
    choices->is_end = choices->count == 0;
    for (unsigned t = 0; t < PEOPLE && world.deaths > 0; t++)
        if (scene->mortal >> t & 1 && world.people[t].pending < FINISHED)
            offer(choices, (struct choice){DIE, (uint8_t)t, 0, 0});
}

static void run(unsigned thread)
{
    current = thread;
    fiber_tidy(thread);
    fiber_run(thread);
}

/* The kernel hands on what the dead held. */
static void die(unsigned thread)
{
    world.people[thread].pending = DEAD;
    world.deaths--;
    if (world.holder == thread + 1) {
        views_swap(thread, WORD_MUTEX, 0, 0, EXPLORE_ACQUIRE | EXPLORE_RELEASE);
        world.orphaned = true;
    }
    tell("DIES; holder of the", WORD_MUTEX, world.holder);
}

static void make(struct choice choice)
{
    if (choice.what == STEP)
        run(choice.thread);
    else
        die(choice.thread);
}

static void begin(unsigned which)
{
    static const uint64_t initial[VALUES];
    scene = &scenes[which];
    exploring = false;
    world = (struct world){.deaths = scene->mortal != 0};
    if (rbx_cell_init(world.cell, sizeof world.cell, sizeof initial, initial, NULL) < 0)
        abort();
    for (current = 0; current < PEOPLE; current++) {
        processes[current] = fiber_data(current, sizeof *processes[current]);
        memset(processes[current], 0, sizeof *processes[current]);
        if (rbx_cell_attach(&processes[current]->cell, NULL, world.cell, sizeof world.cell,
                            sizeof initial, NULL) < 0)
            abort();
    }
    exploring = true;
    for (unsigned t = 0; t < PEOPLE; t++) {
        fiber_begin(t, live);
        run(t);
    }
}

/* ---- What there is ------------------------------------------------------------------------- */

static struct days days(unsigned which)
{
    return scenes[which].days;
}

static const struct small_order orders[] = {
    {{"publish", 0, EXPLORE_RELEASE | FROM_ACCESSES},
     "a version does not release its words (C1)",
     "one sets, one looks"},
    {{"take", 0, EXPLORE_ACQUIRE | FROM_ACCESSES},
     "a snapshot does not acquire them (C1)",
     "one sets, one looks"},
    {{"publish", 0, EXPLORE_RELEASE | FROM_FENCES},
     "a writer has no release fence (C2)",
     "one sets, one looks"},
    {{"take", 0, EXPLORE_ACQUIRE | FROM_FENCES},
     "a snapshot has no acquire fence (C2)",
     "one sets, one looks"},
};

int main(int argc, char **argv)
{
    const struct small small = {.scenes = sizeof scenes / sizeof *scenes,
                                .days = days,
                                .begin = begin,
                                .find = find,
                                .make = make,
                                .judge = judge,
                                .threads = PEOPLE,
                                .world = &world,
                                .size = sizeof world,
                                .only_weak = true,
                                .orders = sizeof orders / sizeof *orders,
                                .order_table = orders};
    return small_main(&small, argc, argv);
}
