/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * criterion.h: as much of Criterion as the unit tests use, for where it is not: machines that no
 * package of it is made for, and emulators, since it starts each test by running its program again.
 * Here each test is a forked child. -Dcriterion=false builds the tests on this.
 *
 * What it has that Criterion has not: cr_assert may fail in a forked child, which then ends with
 * CR_FAILED; and the file that $RUNNER_LEAVES_OUT names says what cannot run, a line each:
 * suite::test, why.
 */
#ifndef RBX_TESTS_RUNNER_H
#define RBX_TESTS_RUNNER_H

#include <stdbool.h>
#include <string.h>

#define CR_FAILED 97

struct cr_suite {
    const char *name;
    void (*init)(void);
    void (*fini)(void);
    double timeout; /* seconds; 0: none */
    struct cr_suite *next;
};

struct cr_test {
    const char *suite, *name;
    void (*run)(void);
    struct cr_test *next;
};

void cr_add_suite(struct cr_suite *suite);
void cr_add_test(struct cr_test *test);

#define TestSuite(Suite, ...)                                                                      \
    static struct cr_suite cr_suite_##Suite = {.name = #Suite, __VA_ARGS__};                       \
    __attribute__((constructor)) static void cr_add_suite_##Suite(void)                            \
    {                                                                                              \
        cr_add_suite(&cr_suite_##Suite);                                                           \
    }                                                                                              \
    extern int cr_semicolon

#define Test(Suite, Name)                                                                          \
    static void Suite##_##Name##_run(void);                                                        \
    static struct cr_test Suite##_##Name##_test = {                                                \
        .suite = #Suite, .name = #Name, .run = Suite##_##Name##_run};                              \
    __attribute__((constructor)) static void Suite##_##Name##_add(void)                            \
    {                                                                                              \
        cr_add_test(&Suite##_##Name##_test);                                                       \
    }                                                                                              \
    static void Suite##_##Name##_run(void)

/* Says what was wrong; the first ends the test, or the forked child. */
_Noreturn __attribute__((format(printf, 4, 5))) void
cr_fail(const char *file, int line, const char *what, const char *format, ...);
__attribute__((format(printf, 4, 5))) void cr_note(const char *file, int line, const char *what,
                                                   const char *format, ...);
_Noreturn __attribute__((format(printf, 1, 2))) void cr_skip_test(const char *format, ...);
__attribute__((format(printf, 1, 2))) void cr_log_info(const char *format, ...);

#define cr_check(Holds, Otherwise, What, ...)                                                      \
    ((Holds) ? (void)0 : Otherwise(__FILE__, __LINE__, What, " " __VA_ARGS__))

#define cr_assert(Holds, ...) cr_check(Holds, cr_fail, #Holds, __VA_ARGS__)
#define cr_assert_not(Fails, ...) cr_check(!(Fails), cr_fail, "not " #Fails, __VA_ARGS__)
#define cr_assert_null(At, ...) cr_check((At) == NULL, cr_fail, #At " is null", __VA_ARGS__)
#define cr_assert_not_null(At, ...) cr_check((At) != NULL, cr_fail, #At " is not null", __VA_ARGS__)
#define cr_assert_eq(A, B, ...) cr_check((A) == (B), cr_fail, #A " == " #B, __VA_ARGS__)
#define cr_assert_neq(A, B, ...) cr_check((A) != (B), cr_fail, #A " != " #B, __VA_ARGS__)
#define cr_assert_lt(A, B, ...) cr_check((A) < (B), cr_fail, #A " < " #B, __VA_ARGS__)
#define cr_assert_leq(A, B, ...) cr_check((A) <= (B), cr_fail, #A " <= " #B, __VA_ARGS__)
#define cr_assert_gt(A, B, ...) cr_check((A) > (B), cr_fail, #A " > " #B, __VA_ARGS__)
#define cr_assert_geq(A, B, ...) cr_check((A) >= (B), cr_fail, #A " >= " #B, __VA_ARGS__)
#define cr_assert_str_eq(A, B, ...)                                                                \
    cr_check(strcmp(A, B) == 0, cr_fail, #A " says " #B, __VA_ARGS__)
#define cr_expect(Holds, ...) cr_check(Holds, cr_note, #Holds, __VA_ARGS__)
#define cr_expect_eq(A, B, ...) cr_check((A) == (B), cr_note, #A " == " #B, __VA_ARGS__)

#endif
