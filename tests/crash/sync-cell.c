/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sync-cell.c: who dies or stops inside a call on a cell. Its value is a few words that are equal.
 */
#include <errno.h>
#include <string.h>

#include "sync.h"

enum { WORDS = 12, FIRST = 100, MOMENT_NS = 1 };

struct value {
    uint32_t word[WORDS];
};

static struct value all(uint32_t number)
{
    struct value value;
    for (int i = 0; i < WORDS; i++)
        value.word[i] = number;
    return value;
}

/* The number that all words say; 0: they differ. */
static uint32_t number_in(const struct value *value)
{
    const struct value whole = all(value->word[0]);
    return memcmp(&whole, value, sizeof whole) == 0 ? value->word[0] : 0;
}

static void open_cell(struct stage *s)
{
    const struct value first = all(FIRST);
    rbx_cell *cell = NULL;
    ANSWERS(s, 0, rbx_cell_open(&cell, s->name, sizeof first, &first, NULL));
    s->handle[0] = cell;
}

static void close_cell(struct stage *s)
{
    ANSWERS(s, 0, rbx_cell_close(s->handle[0]));
    s->handle[0] = NULL;
}

static int count_up(void *value, size_t size, void *arg)
{
    (void)size, (void)arg;
    struct value *words = value;
    for (int i = 0; i < WORDS; i++)
        words->word[i]++;
    return 0;
}

static int refuse(void *value, size_t size, void *arg)
{
    count_up(value, size, arg);
    return -ECANCELED;
}

static int look(const void *value, size_t size, void *arg)
{
    (void)size;
    uint32_t *number = arg;
    *number = number_in(value);
    return 0;
}

static int call_change(struct stage *s)
{
    return rbx_cell_change(s->handle[0], count_up, NULL);
}

static int call_change_in_vain(struct stage *s)
{
    return rbx_cell_change(s->handle[0], refuse, NULL) == -ECANCELED ? 0 : -1;
}

static int call_set(struct stage *s)
{
    const struct value next = all(FIRST + 1);
    return rbx_cell_set(s->handle[0], &next);
}

static int call_read(struct stage *s)
{
    uint32_t number = 0;
    int err = rbx_cell_read(s->handle[0], look, &number);
    return err < 0 || number >= FIRST ? err : -1;
}

static int call_snapshot(struct stage *s)
{
    struct value value;
    int err = rbx_cell_snapshot(s->handle[0], &value);
    return err < 0 || number_in(&value) >= FIRST ? err : -1;
}

static int call_open(struct stage *s)
{
    open_cell(s);
    return atomic_load(&s->page->problem) ? -1 : 0;
}

static int call_close(struct stage *s)
{
    int err = rbx_cell_close(s->handle[0]);
    s->handle[0] = NULL;
    return err;
}

/* --- The survivor --- */

static uint32_t seen(struct stage *s)
{
    struct value value;
    ANSWERS(s, 0, rbx_cell_snapshot(s->handle[0], &value));
    uint32_t number = number_in(&value);
    HOLDS(s, number != 0);
    return number;
}

/* Whatever happened, the value is whole, and can be read and changed. */
static void use(struct stage *s)
{
    uint32_t before = seen(s), number = 0;
    ANSWERS(s, 0, rbx_cell_read(s->handle[0], look, &number));
    HOLDS(s, number == before);
    ANSWERS(s, 0, rbx_cell_change(s->handle[0], count_up, NULL));
    HOLDS(s, seen(s) == before + 1);
}

static void look_beside(struct stage *s)
{
    HOLDS(s, seen(s) - FIRST <= 1);
    uint32_t number = 0;
    int err = rbx_cell_read_for(s->handle[0], look, &number, MOMENT_NS);
    HOLDS(s, err == -ETIMEDOUT || (err == 0 && number - FIRST <= 1));
}

static void change_beside(struct stage *s)
{
    int err = rbx_cell_change_for(s->handle[0], count_up, NULL, MOMENT_NS);
    HOLDS(s, err == 0 || err == -ETIMEDOUT);
    atomic_store(&s->page->word[0], err == 0);
    HOLDS(s, seen(s) - FIRST - (err == 0) <= 1);
}

static uint32_t changes_beside(const struct stage *s)
{
    return atomic_load(&s->page->word[0]);
}

static void killed_changer(struct stage *s, bool returned)
{
    uint32_t changes = seen(s) - FIRST - changes_beside(s);
    HOLDS(s, changes <= 1 && (changes == 1 || !returned));
    use(s);
}

static void killed_setter(struct stage *s, bool returned)
{
    uint32_t number = seen(s) - FIRST;
    HOLDS(s, number <= 1 && (number == 1 || !returned));
    use(s);
}

static void killed_looker(struct stage *s, bool returned)
{
    (void)returned;
    HOLDS(s, seen(s) - FIRST == changes_beside(s));
    use(s);
}

static void changed(struct stage *s)
{
    ANSWERS(s, 0, (int)atomic_load(&s->page->answer));
    HOLDS(s, seen(s) - FIRST - changes_beside(s) == 1);
    use(s);
}

static void was_set(struct stage *s)
{
    ANSWERS(s, 0, (int)atomic_load(&s->page->answer));
    HOLDS(s, seen(s) - FIRST == 1);
    use(s);
}

static void looked(struct stage *s)
{
    ANSWERS(s, 0, (int)atomic_load(&s->page->answer));
    HOLDS(s, seen(s) - FIRST == changes_beside(s));
    use(s);
}

/* clang-format off */
const struct act cell_acts[] = {
    {"cell/change", open_cell, open_cell, NULL, call_change,
     change_beside, killed_changer, changed, close_cell, close_cell},
    {"cell/change-in-vain", open_cell, open_cell, NULL, call_change_in_vain,
     change_beside, killed_looker, looked, close_cell, close_cell},
    {"cell/set", open_cell, open_cell, NULL, call_set,
     look_beside, killed_setter, was_set, close_cell, close_cell},
    {"cell/read", open_cell, open_cell, NULL, call_read,
     change_beside, killed_looker, looked, close_cell, close_cell},
    {"cell/snapshot", open_cell, open_cell, NULL, call_snapshot,
     change_beside, killed_looker, looked, close_cell, close_cell},
    {"cell/open", open_cell, NULL, NULL, call_open,
     change_beside, killed_looker, looked, close_cell, close_cell},
    {"cell/close", open_cell, open_cell, NULL, call_close,
     change_beside, killed_looker, looked, NULL, close_cell},
    {0},
};
/* clang-format on */
