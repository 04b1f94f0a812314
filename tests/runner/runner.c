/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* runner.c: runs each test in a child of its own, one after the other, and says in TAP how it
 * ended. */
#include "criterion/criterion.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef RUNNER_KNOWS_VALGRIND
#include <valgrind/memcheck.h>
#endif

static struct cr_suite *suites;
static struct cr_test *tests, **last = &tests;

/* What the child of a test, and its children, tell; in memory that they share. */
static struct told {
    _Atomic bool failed;
    bool skipped, ended; /* ended: in its own way, and not by an exit() in the middle */
    char why[1024];
} * told;

static pid_t test_process;
static pthread_t test_thread;
static jmp_buf end_of_test;

void cr_add_suite(struct cr_suite *suite)
{
    suite->next = suites;
    suites = suite;
}

void cr_add_test(struct cr_test *test)
{
    *last = test;
    last = &test->next;
}

/* The test's fini is still to run; whatever a forked child or a thread has, ends as it is. */
static _Noreturn void end_test(void)
{
    if (getpid() != test_process)
        _exit(CR_FAILED);
    if (!pthread_equal(pthread_self(), test_thread))
        exit(CR_FAILED);
    longjmp(end_of_test, 1);
}

static void say(const char *file, int line, const char *what, const char *format, va_list rest)
{
    char text[1024];
    vsnprintf(text, sizeof text, format, rest);
    fprintf(stderr, "%s:%d: not so: %s:%s\n", file, line, what, text);
    told->failed = true;
}

void cr_fail(const char *file, int line, const char *what, const char *format, ...)
{
    va_list rest;
    va_start(rest, format);
    say(file, line, what, format, rest);
    va_end(rest);
    end_test();
}

void cr_note(const char *file, int line, const char *what, const char *format, ...)
{
    va_list rest;
    va_start(rest, format);
    say(file, line, what, format, rest);
    va_end(rest);
}

void cr_skip_test(const char *format, ...)
{
    va_list rest;
    va_start(rest, format);
    vsnprintf(told->why, sizeof told->why, format, rest);
    va_end(rest);
    told->skipped = true;
    end_test();
}

void cr_log_info(const char *format, ...)
{
    va_list rest;
    va_start(rest, format);
    vfprintf(stderr, format, rest);
    va_end(rest);
    fputc('\n', stderr);
}

static const struct cr_suite *suite_of(const struct cr_test *test)
{
    static const struct cr_suite none;
    const struct cr_suite *suite = suites;
    while (suite && strcmp(suite->name, test->suite) != 0)
        suite = suite->next;
    return suite ? suite : &none;
}

/* Machines that are emulated take as many times longer as $RUNNER_SLOWER says. */
static unsigned patience(const struct cr_suite *suite)
{
    const char *slower = getenv("RUNNER_SLOWER");
    double seconds = suite->timeout * (slower ? strtod(slower, NULL) : 1);
    return (unsigned)seconds + ((unsigned)seconds < seconds);
}

/* The watchdog is not the test's own: a test may use that signal itself. */
static volatile pid_t watched;
static volatile sig_atomic_t took_too_long;

static void bite(int signal_number)
{
    (void)signal_number;
    took_too_long = true;
    kill(watched, SIGKILL);
}

static void until_it_ends(void (*first)(void), void (*then)(void))
{
    if (setjmp(end_of_test) != 0)
        return;
    if (first)
        first();
    if (then)
        then();
}

/* Under valgrind, of what the test has left. Its forked children end with copies of what it is
   still to free, and so they are not asked. */
static bool has_leaked(void)
{
#ifdef RUNNER_KNOWS_VALGRIND
    unsigned long leaked = 0, dubious = 0, reachable = 0, suppressed = 0;
    VALGRIND_DO_LEAK_CHECK;
    VALGRIND_COUNT_LEAKS(leaked, dubious, reachable, suppressed);
    (void)dubious, (void)reachable, (void)suppressed;
    return leaked > 0;
#else
    return false;
#endif
}

static _Noreturn void be_test(const struct cr_test *test, pid_t parent)
{
    const struct cr_suite *suite = suite_of(test);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(CR_FAILED);
    setpgid(0, 0);
    signal(SIGALRM, SIG_DFL);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    test_process = getpid();
    test_thread = pthread_self();
    until_it_ends(suite->init, test->run);
    until_it_ends(suite->fini, NULL);
    told->ended = true;
    bool fails = told->failed, skips = told->skipped; /* and so has not come to free all */
    exit(!fails && !skips && has_leaked() ? CR_FAILED : 0);
}

/* The reason for which this test is left out, or NULL. */
static const char *left_out(const struct cr_test *test)
{
    static char line[1024];
    char name[512], *why = NULL;
    const char *path = getenv("RUNNER_LEAVES_OUT");
    if (!path)
        return NULL;
    FILE *list = fopen(path, "re");
    if (!list) {
        perror(path);
        exit(CR_FAILED);
    }
    size_t length = (size_t)snprintf(name, sizeof name, "%s::%s,", test->suite, test->name);
    while (!why && fgets(line, sizeof line, list))
        if (strncmp(line, name, length) == 0)
            why = line + length;
    fclose(list);
    if (why)
        why[strcspn(why, "\n")] = '\0';
    return why;
}

/* Whether it was well. */
static bool run(const struct cr_test *test, int number)
{
    const char *without = left_out(test);
    if (without) {
        printf("ok %d - %s::%s # SKIP %s\n", number, test->suite, test->name, without);
        return true;
    }
    *told = (struct told){.failed = false};
    fflush(NULL);
    pid_t parent = getpid(), child = fork();
    if (child == 0)
        be_test(test, parent);
    if (child < 0) {
        perror("fork");
        exit(CR_FAILED);
    }
    int status = -1;
    watched = child;
    took_too_long = false;
    alarm(patience(suite_of(test)));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    alarm(0);
    kill(-child, SIGKILL); /* what it has left running */
    bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0 && told->ended && !told->failed;
    printf("%sok %d - %s::%s", well ? "" : "not ", number, test->suite, test->name);
    if (well && told->skipped)
        printf(" # SKIP %s", told->why);
    putchar('\n');
    if (took_too_long)
        printf("# took too long\n");
    else if (WIFSIGNALED(status))
        printf("# ended by signal %d\n", WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0 || !told->ended)
        printf("# ended with %d%s\n", WEXITSTATUS(status), told->ended ? "" : ", in the middle");
    return well;
}

/* With the names of tests: only these. */
static bool is_meant(const struct cr_test *test, int argc, char **argv)
{
    bool any = false, meant = false;
    for (int i = 1; i < argc; i++) {
        any |= argv[i][0] != '-';
        meant |= strcmp(argv[i], test->name) == 0;
    }
    return meant || !any;
}

int main(int argc, char **argv)
{
    int count = 0, number = 0;
    bool well = true;
    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (told == MAP_FAILED)
        return CR_FAILED;
    for (struct cr_test *test = tests; test; test = test->next)
        count += is_meant(test, argc, argv);
    signal(SIGALRM, bite);
    setvbuf(stdout, NULL, _IOLBF, 0); /* to be read though a watchdog ends this */
    printf("TAP version 13\n1..%d\n", count);
    for (struct cr_test *test = tests; test; test = test->next)
        if (is_meant(test, argc, argv))
            well &= run(test, ++number);
    return well && count > 0 ? 0 : 1;
}
