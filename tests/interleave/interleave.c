/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * interleave: what happens if another process acts, or this one dies, between two system calls?
 *
 * The linker wraps the calls by which the library looks, locks, links, unlinks, reads and maps. A
 * scenario runs an operation A once for each of the calls that it makes, and at that call
 *   - first runs an adversary B from beginning to end, and checks what must hold afterwards (where
 *     the scenario has a second step for B, that runs at each later call in turn);
 *   - then, in a child, kills A there with SIGKILL, and checks that one clean open and close leaves
 *     nothing behind.
 * So every interleaving in which B is not itself interrupted is tried, rather than hoped for. Where
 * A holds a lock that B needs, B must give up with -EBUSY (or -ETIMEDOUT, when it closes), and A
 * must come to a good end. Prints TAP.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <ringbox/ringbox.h>

static char name[64], path[128], link_path[128];

/* ---- the hook ---------------------------------------------------------------------------------
 */

static int countdown = -1; /* calls until the hook fires; negative: not armed */
static void (*fire)(void);
static int next_countdown = -1; /* the same again, for a second adversary */
static void (*next_fire)(void);
/* Time passes only where someone waits, and then at once: A cannot go on before B returns. */
static long long waited_ns;

static void hook(void)
{
    if (countdown < 0 || countdown-- > 0)
        return;
    long long waited_by_a = waited_ns;
    fire(); /* countdown is -1: not armed while it runs */
    waited_ns = waited_by_a;
    countdown = next_countdown;
    fire = next_fire;
    next_countdown = -1;
}

/* Each of the wrapped calls: name, declaration of its arguments, and the arguments. */
#define WRAP(result, call, declared, passed)                                                       \
    result __real_##call declared;                                                                 \
    result __wrap_##call declared;                                                                 \
    result __wrap_##call declared                                                                  \
    {                                                                                              \
        hook();                                                                                    \
        return __real_##call passed;                                                               \
    }

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    int failed = __real_clock_gettime(clock, now);
    now->tv_sec += waited_ns / 1000000000;
    return failed;
}

int __wrap_nanosleep(const struct timespec *pause, struct timespec *rest);
int __wrap_nanosleep(const struct timespec *pause, struct timespec *rest)
{
    (void)rest;
    waited_ns += 100 * pause->tv_nsec; /* in strides, so that patience ends soon */
    return 0;
}

struct stat;
WRAP(int, fcntl64, (int fd, int command, void *arg), (fd, command, arg))
WRAP(int, fstatat64, (int dir, const char *p, struct stat *s, int flags), (dir, p, s, flags))
WRAP(int, fstat64, (int fd, struct stat *s), (fd, s))
WRAP(int, unlinkat, (int dir, const char *p, int flags), (dir, p, flags))
WRAP(int, linkat, (int od, const char *o, int nd, const char *n, int flags), (od, o, nd, n, flags))
WRAP(ssize_t, pread64, (int fd, void *b, size_t s, off_t at), (fd, b, s, at))
static bool no_memory; /* for A: the mapping of a shared file fails */

void *__real_mmap64(void *at, size_t size, int access, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t size, int access, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t size, int access, int flags, int fd, off_t offset)
{
    hook();
    if (no_memory && fd >= 0) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return __real_mmap64(at, size, access, flags, fd, offset);
}

WRAP(int, munmap, (void *at, size_t s), (at, s))
WRAP(int, fallocate64, (int fd, int mode, off_t at, off_t s), (fd, mode, at, s))

/* ---- the actors -------------------------------------------------------------------------------
 */

enum { A, B, OTHER, ACTORS };
static rbx_box *box[ACTORS];
static int result[ACTORS];
static const char *scenario;
static int at_call, failures;

static void expect(bool holds, const char *what)
{
    if (holds)
        return;
    failures++;
    printf("# %s, at call %d: %s (A: %d, B: %d)\n", scenario, at_call, what, result[A], result[B]);
}

static int keep_result(int who, int code)
{
    result[who] = code;
    if (code < 0)
        box[who] = NULL;
    return code;
}

static void open_box(int who, rbx_box_how how, rbx_box_policy policy)
{
    const rbx_box_options options = {.size = 64, .how = how, .policy = policy};
    keep_result(who, rbx_box_open(&box[who], name, &options));
}

static void close_box(int who)
{
    result[who] = rbx_box_close(box[who]);
    box[who] = NULL;
}

static bool exists(const char *p)
{
    return access(p, F_OK) == 0;
}

/* Leaves a box whose only user died. */
static void leave_orphan(rbx_box_policy policy)
{
    pid_t pid = fork();
    if (pid == 0) {
        open_box(A, RBX_CREATE_ONLY, policy);
        raise(SIGKILL);
    }
    waitpid(pid, NULL, 0);
    expect(exists(path), "no orphan was left");
}

/* An open handle must have the name, unless the box ended by its owner's will. */
static void expect_named(int who, const char *what)
{
    if (box[who])
        expect(rbx_box_stale(box[who]) == 0, what);
}

static void expect_same_box(void)
{
    rbx_box_info a, b;
    expect(box[A], "A could not open");
    expect(box[B] || result[B] == -EBUSY, "B could not open, and not since A was in the way");
    if (!box[A] || !box[B])
        return;
    rbx_box_describe(box[A], &a);
    rbx_box_describe(box[B], &b);
    expect(memcmp(a.id, b.id, sizeof a.id) == 0, "two boxes have one name");
    expect(a.attached == 2, "not both are attached");
    expect_named(A, "A lost the name");
    expect(rbx_box_was_created(box[A]) != rbx_box_was_created(box[B]), "not exactly one made it");
}

/* ---- scenarios --------------------------------------------------------------------------------
 */

static void nothing(void)
{
}
static void a_opens(void)
{
    open_box(A, RBX_OPEN_OR_CREATE, RBX_OWNER_UNLINKS);
}
static void b_opens(void)
{
    open_box(B, RBX_OPEN_OR_CREATE, RBX_OWNER_UNLINKS);
}
static void a_opens_last(void)
{
    open_box(A, RBX_OPEN_OR_CREATE, RBX_LAST_ONE_OUT);
}
static void b_opens_last(void)
{
    open_box(B, RBX_OPEN_OR_CREATE, RBX_LAST_ONE_OUT);
}
static void a_joins(void)
{
    open_box(A, RBX_OPEN_ONLY, RBX_OWNER_UNLINKS);
}
static void b_joins(void)
{
    open_box(B, RBX_OPEN_ONLY, RBX_OWNER_UNLINKS);
}
static void a_fails_to_join(void)
{
    no_memory = true;
    a_joins();
    no_memory = false;
}
static void b_has_last(void)
{
    b_opens_last();
}
static void a_creates(void)
{
    open_box(A, RBX_CREATE_ONLY, RBX_OWNER_UNLINKS);
}
static void b_creates(void)
{
    open_box(B, RBX_CREATE_ONLY, RBX_OWNER_UNLINKS);
}
static void a_closes(void)
{
    close_box(A);
}
static void b_closes(void)
{
    close_box(B);
}
static void b_makes_it_anew(void)
{
    close_box(B);
    open_box(B, RBX_CREATE_ONLY, RBX_OWNER_UNLINKS);
    if (box[B])
        strcpy(rbx_box_data(box[B]), "anew");
}
static void a_reclaims(void)
{
    result[A] = rbx_box_reclaim(name, RBX_SHM);
}
static void b_leaks_and_closes(void)
{
    result[B] = rbx_box_leak(box[B]);
    rbx_box_close(box[B]);
    box[B] = NULL;
}
static void a_owns(void)
{
    result[A] = rbx_box_own(box[A]);
}
static void b_owns(void)
{
    result[B] = rbx_box_own(box[B]);
}
static void b_joins_and_owns(void)
{
    b_joins();
    if (box[B])
        b_owns();
}
static void b_owns_and_closes(void)
{
    b_owns();
    close_box(B);
}
static void a_links(void)
{
    result[A] = rbx_box_link(box[A], link_path);
}
static void b_links(void)
{
    result[B] = rbx_box_link(box[B], link_path);
}
static void b_reclaims(void)
{
    result[B] = rbx_box_reclaim(name, RBX_SHM);
}

static void orphan(void)
{
    leave_orphan(RBX_OWNER_UNLINKS);
}
static void orphan_last(void)
{
    leave_orphan(RBX_LAST_ONE_OUT);
}
static void a_has_last(void)
{
    a_opens_last();
}
static void both_have_last(void)
{
    a_opens_last();
    b_opens_last();
}
static void b_owns_box(void)
{
    b_creates();
}
static void a_owns_box(void)
{
    a_creates();
}
static void a_uses_bs_box(void)
{
    b_creates();
    a_joins();
}
static void b_uses_as_box(void)
{
    a_creates();
    b_joins();
}
static void both_use_kept_box(void)
{
    open_box(A, RBX_CREATE_ONLY, RBX_KEEP);
    b_joins();
}

static void both_in_one_box(void)
{
    expect_same_box();
}
static void b_is_named(void)
{
    expect_named(B, "B lost its name");
    expect(box[B] || result[B] == -EBUSY, "B could not open, and not since A was in the way");
}
static void b_is_named_if_it_could_open(void)
{
    expect(box[B] || result[B] == -ENOENT || result[B] == -EBUSY, "B could not open");
    expect_named(B, "B lost its name");
}
static void created_is_named(void)
{
    for (int who = A; who <= B; who++)
        if (box[who] && rbx_box_was_created(box[who]))
            expect_named(who, "a new box lost its name");
}
/* A has the old box or the new one, but never half of each. */
static void one_or_the_other(void)
{
    expect(box[B], "B could not make the box anew");
    if (!box[A])
        return expect(result[A] == -ENOENT, "A could not join, and not since it was gone");
    bool stale = rbx_box_stale(box[A]), sees = strcmp(rbx_box_data(box[A]), "anew") == 0;
    expect(sees == !stale, "A sees one box and stands in another");
    expect(rbx_box_attached(box[A]) == (stale ? 1 : 2), "A is attached to another box");
}
static void one_created(void)
{
    expect((result[A] == 0) + (result[B] == 0) == 1, "not exactly one created");
    expect(result[A] == 0 || result[A] == -EEXIST, "A failed in another way");
    expect(result[B] == 0 || result[B] == -EEXIST || result[B] == -EBUSY, "B failed oddly");
    created_is_named();
}
static void name_is_gone(void)
{
    expect(!exists(path), "the name was left behind");
}
/* B waits for A to let go of its locks, which A cannot do here. */
static void name_is_gone_or_b_was_kept(void)
{
    expect(!exists(path) || result[B] == -ETIMEDOUT, "the name was left behind");
}
static void name_is_kept(void)
{
    expect(result[B] == 0, "B could not leak");
    expect(exists(path), "a kept box was removed");
}
static void one_owns(void)
{
    expect((result[A] == 0) + (result[B] == 0) == 1, "not exactly one owns");
    expect(rbx_box_is_owner(box[A]) + rbx_box_is_owner(box[B]) == 1, "not exactly one is owner");
}
static void owned_means_named(void)
{
    if (rbx_box_is_owner(box[A]))
        expect_named(A, "an owned box lost its name");
    else
        expect(result[A] == -EBUSY || result[A] == -ESTALE, "A could not own for another reason");
}
static void no_link_without_name(void)
{
    expect(exists(link_path) == exists(path), "a link and its box did not go together");
}
static void link_is_whole(void)
{
    expect(result[A] == 0, "A could not link");
    expect(result[B] == 0 || result[B] == -EBUSY, "B could not link");
    keep_result(OTHER, rbx_box_open_link(&box[OTHER], link_path, NULL));
    expect(box[OTHER], "the link does not open");
}

static const struct {
    const char *title;
    void (*before)(void);
    void (*a)(void);
    void (*b)(void);
    void (*b_again)(void); /* or NULL */
    void (*check)(void);
} scenarios[] = {
    {"two open-or-create a new name", nothing, a_opens, b_opens, NULL, both_in_one_box},
    {"two open-or-create over an orphan", orphan, a_opens, b_opens, NULL, both_in_one_box},
    {"the same, last one out", orphan_last, a_opens_last, b_opens_last, NULL, both_in_one_box},
    {"two create a new name", nothing, a_creates, b_creates, NULL, one_created},
    {"two create over an orphan", orphan, a_creates, b_creates, NULL, one_created},
    {"one creates while one opens or creates", nothing, a_creates, b_opens, NULL, created_is_named},
    {"the last one leaves while another comes", a_has_last, a_closes, b_opens_last, NULL,
     b_is_named},
    {"the last one leaves while another joins", a_has_last, a_closes, b_joins, NULL,
     b_is_named_if_it_could_open},
    {"one comes while the last one leaves", both_have_last, a_closes, b_closes, NULL, name_is_gone},
    {"an orphan is reclaimed while one rescues it", orphan, a_reclaims, b_joins, NULL,
     b_is_named_if_it_could_open},
    {"an orphan is reclaimed while one opens or creates", orphan, a_reclaims, b_opens, NULL,
     b_is_named},
    {"an orphan is reclaimed while one rescues it, leaves and makes it anew", orphan, a_reclaims,
     b_joins_and_owns, b_makes_it_anew, b_is_named},
    {"an orphan is made anew while one rescues it, leaves and makes it anew", orphan, a_opens,
     b_joins_and_owns, b_makes_it_anew, b_is_named},
    {"the last one leaves while another comes and goes", a_has_last, a_closes, b_joins, b_closes,
     name_is_gone_or_b_was_kept},
    {"one has no memory to join while the last one leaves", b_has_last, a_fails_to_join, b_closes,
     NULL, name_is_gone},
    {"two reclaim an orphan", orphan, a_reclaims, b_reclaims, NULL, name_is_gone},
    {"a box is looked at by a reclaimer while its owner leaks it", b_owns_box, a_reclaims,
     b_leaks_and_closes, NULL, name_is_kept},
    {"an owner leaves while another opens or creates", a_owns_box, a_closes, b_opens, NULL,
     created_is_named},
    {"one opens or creates while the owner leaves", b_owns_box, a_opens, b_closes, NULL,
     created_is_named},
    {"one joins while the owner leaves", b_owns_box, a_joins, b_closes, NULL, created_is_named},
    {"one joins while the owner makes it anew", b_owns_box, a_joins, b_makes_it_anew, NULL,
     one_or_the_other},
    {"one leaves while the owner leaves", a_uses_bs_box, a_closes, b_closes, NULL, name_is_gone},
    {"the owner leaves while another does", b_uses_as_box, a_closes, b_closes, NULL, name_is_gone},
    {"two own a kept box", both_use_kept_box, a_owns, b_owns, NULL, one_owns},
    {"one owns a kept box while another owns and closes it", both_use_kept_box, a_owns,
     b_owns_and_closes, NULL, owned_means_named},
    {"one links while the owner leaves", a_uses_bs_box, a_links, b_closes, NULL,
     no_link_without_name},
    {"two link", b_uses_as_box, a_links, b_links, NULL, link_is_whole},
};

/* ---- running ----------------------------------------------------------------------------------
 */

static void clear(void)
{
    for (int who = 0; who < ACTORS; who++)
        box[who] = NULL, result[who] = 0;
}

/* One clean open, own and close must leave no name, no link and no descriptor behind. */
static void clean_up(void)
{
    for (int who = 0; who < ACTORS; who++)
        if (box[who])
            close_box(who);
    open_box(OTHER, RBX_OPEN_OR_CREATE, RBX_OWNER_UNLINKS);
    expect(box[OTHER], "the name cannot be opened at the end");
    if (box[OTHER]) {
        expect(rbx_box_attached(box[OTHER]) == 1, "somebody is attached at the end");
        expect(rbx_box_own(box[OTHER]) == 0, "the box cannot be owned at the end");
        close_box(OTHER);
    }
    expect(!exists(path), "the name was left at the end");
    expect(!exists(link_path), "the link was left at the end");
    clear();
}

static void die(void)
{
    raise(SIGKILL);
}

/* Runs A with B at a call, and once more `again` calls later if that is not negative. Returns
   false when A made fewer calls. */
static bool interrupt_by_b(size_t s, int call, int again)
{
    scenarios[s].before();
    at_call = call;
    countdown = call;
    fire = scenarios[s].b;
    next_countdown = again;
    next_fire = scenarios[s].b_again;
    scenarios[s].a();
    bool fired = countdown < 0 && next_countdown < 0;
    countdown = next_countdown = -1;
    if (fired)
        scenarios[s].check();
    clean_up();
    return fired;
}

/* Returns how many interleavings there were. */
static int interrupt_at_every_call(size_t s)
{
    int tried = 0;
    if (!scenarios[s].b_again) {
        while (interrupt_by_b(s, tried, -1))
            tried++;
        return tried;
    }
    for (int call = 0, again;; call++) {
        for (again = 0; interrupt_by_b(s, call, again); again++)
            tried++;
        if (again == 0)
            return tried;
    }
}

/* A dies in a child, which also sets the scene: what it has open dies with it. */
static bool interrupt_by_death(size_t s, int call)
{
    int status;
    at_call = call;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        scenarios[s].before();
        countdown = call;
        fire = die;
        scenarios[s].a();
        _exit(0);
    }
    waitpid(pid, &status, 0);
    clean_up();
    return WIFSIGNALED(status);
}

int main(void)
{
    const size_t count = sizeof scenarios / sizeof *scenarios;
    int bad = 0;
    snprintf(name, sizeof name, "t.interleave.%d", (int)getpid());
    snprintf(path, sizeof path, "/dev/shm/ringbox.%s", name);
    snprintf(link_path, sizeof link_path, "/dev/shm/%s.link", name);
    printf("1..%zu\n", count);
    for (size_t s = 0; s < count; s++) {
        scenario = scenarios[s].title;
        failures = 0;
        int calls = interrupt_at_every_call(s), deaths = 0;
        while (interrupt_by_death(s, deaths))
            deaths++;
        expect(calls > 0 && deaths > 0, "A made no call at all");
        printf("%s %zu - %s: %d interleavings, %d deaths\n", failures ? "not ok" : "ok", s + 1,
               scenario, calls, deaths);
        fflush(stdout);
        bad += failures > 0;
    }
    return bad > 0;
}
