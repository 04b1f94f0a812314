/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz-NAME [--random COUNT [SEED]] [FILE...]      goes through inputs
 * fuzz-NAME --unpack DIRECTORY FILE...             writes each into a file of its own, for
 * libFuzzer
 *
 * A FILE has one input a line, in hexadecimal, and lines that begin with # or are empty. COUNT
 * inputs more are made up, the same ones every time: they find what is broken by and large where
 * there is no libFuzzer. An input that ends badly is printed as such a line, and how to try it
 * again.
 */
#include <ctype.h>
#include <signal.h>
#include <unistd.h>

#include "../support/chance.h"
#include "fuzz.h"

/* For an input, however slow the machine and whatever sanitizes it; the watchdog ends a hang. */
enum { WATCHDOG_S = 60, LARGEST = 8192 };

typedef void visitor(const uint8_t *data, size_t size);

static const uint8_t *current;
static size_t current_size;

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

/* Says which input it was. In a program that is about to die anyway: so by no more than write(). */
static void tell(void)
{
    static const char digits[] = "0123456789abcdef", begins[] = "\nthe input was\n";
    char line[2 * LARGEST + 1];
    size_t length = 0;
    for (size_t i = 0; i < current_size && i < LARGEST; i++) {
        line[length++] = digits[current[i] >> 4];
        line[length++] = digits[current[i] & 15];
    }
    line[length++] = '\n';
    if (write(STDERR_FILENO, begins, sizeof begins - 1) < 0 ||
        write(STDERR_FILENO, line, length) < 0)
        _exit(3);
}

static void die(int signal)
{
    tell();
    fuzz_clean_up();
    _exit(128 + signal);
}

static void run(const uint8_t *data, size_t size)
{
    current = data;
    current_size = size;
    alarm(WATCHDOG_S);
    fuzz_one(data, size);
    alarm(0);
    current_size = 0;
}

static int digit_of(char character)
{
    return isdigit((unsigned char)character)      ? character - '0'
           : character >= 'a' && character <= 'f' ? character - 'a' + 10
                                                  : -1;
}

/* How many inputs there were; -1: it cannot be read. */
static long read_file(const char *path, visitor *visit)
{
    static char line[2 * LARGEST + 2];
    static uint8_t data[LARGEST];
    long count = 0;
    FILE *file = fopen(path, "re");
    if (!file) {
        perror(path);
        return -1;
    }
    while (fgets(line, sizeof line, file)) {
        size_t size = 0;
        if (line[0] == '#' || line[0] == '\n')
            continue;
        for (; digit_of(line[2 * size]) >= 0 && digit_of(line[2 * size + 1]) >= 0; size++)
            data[size] = (uint8_t)(digit_of(line[2 * size]) << 4 | digit_of(line[2 * size + 1]));
        if (line[2 * size] != '\n') {
            fprintf(stderr, "%s: a line is no input: %s", path, line);
            count = -1;
            break;
        }
        visit(data, size);
        count++;
    }
    fclose(file);
    return count;
}

/* --- Unpacking --- */

static const char *directory;

static void write_file(const uint8_t *data, size_t size)
{
    static unsigned number;
    char path[4096];
    snprintf(path, sizeof path, "%s/kept-%u", directory, number++);
    FILE *file = fopen(path, "we");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        perror(path);
        exit(2);
    }
}

/* --- Making up --- */

/* Half of the bytes are small, as most of what is meant by them is. */
static void make_up(unsigned long count, uint64_t seed)
{
    enum { LONGEST = 400 };
    uint8_t data[LONGEST];
    for (unsigned long i = 0; i < count; i++) {
        uint64_t state = seed + i;
        size_t size = next_random(&state) % LONGEST;
        for (size_t at = 0; at < size; at++) {
            uint64_t drawn = next_random(&state);
            data[at] = (uint8_t)(drawn & 0x100 ? drawn & 0x1f : drawn);
        }
        run(data, size);
    }
}

int main(int count, char **arguments)
{
    unsigned long made_up = 0;
    long read = 0;
    int next = 1;
    visitor *visit = run;
    if (count > 2 && strcmp(arguments[1], "--unpack") == 0) {
        visit = write_file;
        directory = arguments[2];
        next = 3;
    } else {
        for (int i = 0; i < 3; i++)
            signal((const int[]){SIGABRT, SIGALRM, SIGTERM}[i], die);
        if (__sanitizer_set_death_callback)
            __sanitizer_set_death_callback(tell);
    }
    if (count > 2 && strcmp(arguments[1], "--random") == 0) {
        made_up = strtoul(arguments[2], NULL, 10);
        next = 3;
        uint64_t seed = 1;
        if (count > 3 && isdigit((unsigned char)arguments[3][0])) {
            seed = strtoull(arguments[3], NULL, 10);
            next = 4;
        }
        make_up(made_up, seed);
    }
    for (; next < count; next++) {
        long more = read_file(arguments[next], visit);
        if (more < 0)
            return 2;
        read += more;
    }
    fuzz_clean_up();
    printf("%ld inputs that are kept, %lu that are made up\n", read, made_up);
    return read + (long)made_up > 0 ? 0 : 2;
}
