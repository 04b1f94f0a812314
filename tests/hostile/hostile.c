/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * hostile [MILLISECONDS [SEED [PART]]]
 *
 * A process that can write to a box overwrites what is there, all the time, for so long in each
 * scene (or those with PART in their titles), while others use it: rings of every kind, events,
 * semaphores, cells and read-write locks. These may get errors and garbage, and no more: none
 * crashes (built with the address sanitizer, none touches what is not its own), and each call ends
 * once the hostile one has, the ring is shut down and a signal handler has run.
 *
 * The seed, the time unless given, says what is written and called, and not when. Prints TAP.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hostile.h"

enum { HEADER = 4096, WATCHDOG_S = 60, STEP_MS = 5 };

struct stage *stage;
static char name[64], path[128];

static void pause_ms(unsigned ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&pause, NULL);
}

/* --- The hostile one --- */

static struct {
    _Atomic uint64_t *words;
    size_t count;
    size_t spared, spared_count;
    uint64_t *sound; /* as they were at first */
} prey;

static bool is_spared(size_t at)
{
    return at >= prey.spared && at < prey.spared + prey.spared_count;
}

static bool catch_prey(const struct scene *scene)
{
    struct stat status;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        return false;
    void *map = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return false;
    prey.words = map;
    prey.count = (size_t)status.st_size / 8;
    prey.spared = (HEADER + scene->spared) / 8;
    prey.spared_count = scene->spared_size / 8;
    prey.sound = malloc((size_t)status.st_size);
    for (size_t i = 0; prey.sound && i < prey.count; i++)
        prey.sound[i] = prey.words[i];
    return prey.sound;
}

/* Mostly the first few lines of the payload, where nearly every word counts; seldom the header. */
static size_t some_word(uint64_t *state)
{
    const size_t payload = HEADER / 8, heart = 2048 / 8;
    uint64_t where = next_random(state) % 32;
    if (where == 0)
        return (size_t)(next_random(state) % payload);
    size_t most = where < 20 && prey.count - payload > heart ? heart : prey.count - payload;
    return payload + (size_t)(next_random(state) % most);
}

static uint64_t some_value(uint64_t *state, uint64_t was)
{
    switch (next_random(state) % 8) {
    case 0:
        return next_random(state);
    case 1:
        return next_random(state) % 1024;
    case 2:
        return was + (next_random(state) % 64 << 8);
    case 3:
        return was - (next_random(state) % 64 << 8);
    case 4:
        return was ^ UINT64_C(1) << next_random(state) % 64;
    case 5:
        return (was & ~UINT64_C(0xff)) | next_random(state) % 8;
    case 6:
        return (was & ~(uint64_t)UINT32_MAX) | next_random(state) % 8;
    default:
        return atomic_load_explicit(&prey.words[some_word(state)], memory_order_relaxed);
    }
}

static void put(size_t at, uint64_t value)
{
    if (!is_spared(at))
        atomic_store_explicit(&prey.words[at], value, memory_order_relaxed);
}

/* Bursts, with times in between when the victims come to something; and now and then all is as it
   was at first. */
static _Noreturn void rage(uint64_t state)
{
    while (!atomic_load(&stage->over)) {
        for (uint64_t n = next_random(&state) % 64; n > 0; n--) {
            size_t at = some_word(&state);
            put(at,
                some_value(&state, atomic_load_explicit(&prey.words[at], memory_order_relaxed)));
        }
        if (next_random(&state) % 4 == 0)
            for (size_t at = 0; at < prey.count; at++)
                put(at, prey.sound[at]);
        if (next_random(&state) % 4 == 0)
            pause_ms(1);
    }
    _exit(0);
}

/* --- Who watches --- */

static void wake_up(int signal)
{
    (void)signal;
}

static pid_t begin_process(void)
{
    pid_t parent = getpid();
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        perror("hostile: fork");
        exit(2);
    }
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(125);
    }
    return pid;
}

static bool complain(const struct scene *scene, unsigned victim, const char *what, int number)
{
    const char *doing = atomic_load(&stage->victim[victim].doing);
    printf("# %s: victim %u %s %d; it did: %s\n", scene->title, victim, what, number,
           doing ? doing : "nothing yet");
    return false;
}

static bool ended_well(const struct scene *scene, unsigned victim, int status)
{
    if (WIFSIGNALED(status))
        return complain(scene, victim, "was ended by signal", WTERMSIG(status));
    return WEXITSTATUS(status) == 0 ||
           complain(scene, victim, "ended with code", WEXITSTATUS(status));
}

/* Signals all that are left, again and again, until they have ended; the watchdog ends a hang. */
static bool see_them_end(const struct scene *scene, pid_t pids[VICTIMS])
{
    bool good = true;
    unsigned left = VICTIMS;
    for (unsigned waited = 0; left > 0; waited += STEP_MS) {
        for (unsigned i = 0; i < VICTIMS; i++) {
            int status;
            if (pids[i] == 0)
                continue;
            if (waited >= WATCHDOG_S * 1000U) {
                good = complain(scene, i, "did not end within seconds:", WATCHDOG_S);
                kill(pids[i], SIGKILL);
                waitpid(pids[i], &status, 0);
            } else if (waitpid(pids[i], &status, WNOHANG) == pids[i]) {
                good &= ended_well(scene, i, status);
            } else {
                kill(pids[i], SIGUSR1);
                continue;
            }
            pids[i] = 0;
            left--;
        }
        pause_ms(STEP_MS);
    }
    return good;
}

static bool has_begun(pid_t pids[VICTIMS])
{
    while (atomic_load(&stage->met) < VICTIMS) {
        for (unsigned i = 0; i < VICTIMS; i++) {
            siginfo_t ended = {0};
            if (waitid(P_PID, (id_t)pids[i], &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
                ended.si_pid != 0)
                return false; /* to be complained of at the end */
        }
        pause_ms(1);
    }
    return true;
}

static bool play(const struct scene *scene, unsigned ms, uint64_t seed)
{
    pid_t pids[VICTIMS];
    memset(stage, 0, sizeof *stage);
    stage->seed = seed;
    int err = scene->make(scene, name);
    if (err < 0) {
        printf("# %s: %s\n", scene->title, rbx_last_error());
        return false;
    }
    for (unsigned i = 0; i < VICTIMS; i++) {
        pids[i] = begin_process();
        if (pids[i] == 0) {
            scene->suffer(scene, name, i);
            _exit(0);
        }
    }
    bool good = has_begun(pids) && catch_prey(scene);
    pid_t hostile = good ? begin_process() : -1;
    if (hostile == 0)
        rage(stage->seed);
    for (unsigned passed = 0; good && passed < ms; passed += STEP_MS) {
        pause_ms(STEP_MS);
        for (unsigned i = 0; i < VICTIMS; i++)
            kill(pids[i], SIGUSR1); /* so that none waits for ever already now */
    }
    atomic_store(&stage->over, true);
    if (hostile > 0)
        waitpid(hostile, NULL, 0);
    scene->unmake(); /* a ring is shut down before */
    good &= see_them_end(scene, pids);
    munmap((void *)prey.words, prey.count * 8);
    free(prey.sound);
    unlink(path); /* whose it is, its header may not know any more */
    return good;
}

int main(int count, char **arguments)
{
    unsigned ms = count > 1 ? (unsigned)strtoul(arguments[1], NULL, 10) : 1000;
    uint64_t seed = count > 2 ? strtoull(arguments[2], NULL, 10) : (uint64_t)time(NULL);
    bool all_good = true;
    snprintf(name, sizeof name, "t.%d.hostile", (int)getpid());
    snprintf(path, sizeof path, "/dev/shm/ringbox.%s", name);
    const struct sigaction action = {.sa_handler = wake_up};
    sigaction(SIGUSR1, &action, NULL);
    stage = mmap(NULL, sizeof *stage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (stage == MAP_FAILED) {
        perror("hostile: mmap");
        return 2;
    }
    printf("1..%u\n# seed %llu\n", scene_count, (unsigned long long)seed);
    for (unsigned i = 0; i < scene_count; i++) {
        uint64_t calls = 0, served = 0, refused = 0;
        if (count > 3 && !strstr(scenes[i].title, arguments[3])) {
            printf("ok %u - %s # SKIP not asked for\n", i + 1, scenes[i].title);
            continue;
        }
        bool good = play(&scenes[i], ms, seed);
        for (unsigned v = 0; v < VICTIMS; v++) {
            calls += atomic_load(&stage->victim[v].calls);
            served += atomic_load(&stage->victim[v].served);
            refused += atomic_load(&stage->victim[v].refused);
        }
        good &= served > 0; /* else nothing was tried */
        printf("%s %u - %s: %llu calls, %llu did something, %llu found damage\n",
               good ? "ok" : "not ok", i + 1, scenes[i].title, (unsigned long long)calls,
               (unsigned long long)served, (unsigned long long)refused);
        fflush(stdout);
        all_good &= good;
    }
    return !all_good;
}
