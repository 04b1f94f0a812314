/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * epoll-server: one epoll loop that serves a Unix socket and drains two rings.
 *
 *     epoll-server                   a tour: a server, a feeder for each ring of which one is
 *                                    killed, its successor, and clients that ask what has come
 *     epoll-server serve NAME PATH   serves the rings NAME.ticks and NAME.orders, and the socket
 *                                    PATH: it answers each line with its counts, and ends at "stop"
 *     epoll-server feed RING N       sends N messages to a ring
 *     epoll-server ask PATH LINE     sends the line, and prints the answer
 *
 *     cc -o epoll-server epoll-server.c $(pkg-config --cflags --libs ringbox)
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ringbox/ringbox.h>

enum { RINGS = 2, CLIENTS = 8, LINE = 128 };
static const char *const ring_nouns[RINGS] = {"ticks", "orders"};

static int complain(const char *what)
{
    fprintf(stderr, "epoll-server: %s: %s\n", what, errno ? strerror(errno) : rbx_last_error());
    return 1;
}

static int complain_of_ring(void)
{
    errno = 0;
    return complain("ringbox");
}

/* ---- the rings --------------------------------------------------------------------------- */

static rbx_ring_options options_of(const char *name)
{
    bool is_many = strstr(name, ring_nouns[1]) != NULL; /* orders come from many, ticks from one */
    return (rbx_ring_options){
        .kind = is_many ? RBX_MPMC : RBX_SPSC, .message_size = sizeof(uint64_t), .capacity = 1024};
}

static int feed(const char *name, uint64_t count)
{
    const rbx_ring_options options = options_of(name);
    rbx_ring *ring;
    rbx_tx tx;
    if (rbx_ring_open(&ring, name, &options) < 0 || rbx_tx_open(&tx, ring) < 0)
        return complain_of_ring();
    for (uint64_t i = 0; i < count; i++)
        if (rbx_send(&tx, &i) < 0)
            return complain_of_ring();
    rbx_tx_close(&tx);
    return rbx_ring_close(ring) < 0 ? complain_of_ring() : 0;
}

struct source {
    rbx_ring *ring;
    rbx_rx rx;
    uint64_t messages, deaths;
};

static int open_source(struct source *source, const char *server, const char *noun)
{
    char name[LINE];
    snprintf(name, sizeof name, "%s.%s", server, noun);
    const rbx_ring_options options = options_of(name);
    int err = rbx_ring_open(&source->ring, name, &options);
    return err < 0 ? err : rbx_rx_open(&source->rx, source->ring);
}

/* Takes some of what there is, so that everybody has his turn. Then, armed, the ring's descriptor
   tells when there is more; if there is already, it is readable at once. */
static int drain(struct source *source)
{
    enum { A_TURN = 256 };
    uint64_t message;
    int err = 0;
    for (int i = 0; i < A_TURN && (err == 0 || err == -EOWNERDEAD); i++) {
        err = rbx_try_recv(&source->rx, &message);
        source->messages += err == 0;
        source->deaths += err == -EOWNERDEAD; /* the last of them: wait for a successor */
    }
    return err == 0 || err == -EOWNERDEAD || err == -EAGAIN ? rbx_rx_arm(&source->rx) : err;
}

/* ---- the server -------------------------------------------------------------------------- */

struct server {
    int loop, listener;
    struct source sources[RINGS];
    bool is_stopped;
};

static int watch(const struct server *server, int fd)
{
    struct epoll_event interest = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(server->loop, EPOLL_CTL_ADD, fd, &interest);
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    return address;
}

static int begin(struct server *server, const char *name, const char *path)
{
    struct sockaddr_un address = address_of(path);
    server->loop = epoll_create1(EPOLL_CLOEXEC);
    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    for (int i = 0; i < RINGS; i++)
        if (open_source(&server->sources[i], name, ring_nouns[i]) < 0 ||
            watch(server, rbx_rx_fd(&server->sources[i].rx)) < 0 || drain(&server->sources[i]) < 0)
            return complain_of_ring();
    /* Last: who can connect finds everything there. */
    if (bind(server->listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(server->listener, CLIENTS) < 0 || watch(server, server->listener) < 0)
        return complain(path);
    return 0;
}

static void answer(struct server *server, int client)
{
    char line[LINE];
    ssize_t got = read(client, line, sizeof line - 1);
    if (got <= 0) {
        close(client);
        return;
    }
    line[got] = '\0';
    server->is_stopped |= strncmp(line, "stop", 4) == 0;
    const struct source *ticks = &server->sources[0], *orders = &server->sources[1];
    int size =
        snprintf(line, sizeof line,
                 "ticks %" PRIu64 ", deaths %" PRIu64 "; orders %" PRIu64 ", deaths %" PRIu64 "\n",
                 ticks->messages, ticks->deaths, orders->messages, orders->deaths);
    send(client, line, (size_t)size, MSG_NOSIGNAL); /* who has gone already does not mind */
}

static int serve_one(struct server *server, int fd)
{
    for (int i = 0; i < RINGS; i++)
        if (fd == rbx_rx_fd(&server->sources[i].rx))
            return drain(&server->sources[i]) < 0 ? complain_of_ring() : 0;
    if (fd != server->listener) {
        answer(server, fd);
        return 0;
    }
    int client = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
    return client < 0 || watch(server, client) < 0 ? complain("accept") : 0;
}

static int serve(const char *name, const char *path)
{
    static struct server server;
    int code = begin(&server, name, path);
    while (code == 0 && !server.is_stopped) {
        struct epoll_event ready[CLIENTS];
        int count = epoll_wait(server.loop, ready, CLIENTS, -1);
        if (count < 0 && errno != EINTR)
            code = complain("epoll_wait");
        for (int i = 0; i < count && code == 0; i++)
            code = serve_one(&server, ready[i].data.fd);
    }
    unlink(path);
    for (int i = 0; i < RINGS; i++) {
        rbx_rx_close(&server.sources[i].rx);
        rbx_ring_close(server.sources[i].ring);
    }
    return code;
}

/* ---- a client ---------------------------------------------------------------------------- */

/* Waits until the server is there. */
static int ask(const char *path, const char *line, char *said, size_t size)
{
    struct sockaddr_un address = address_of(path);
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    while (connect(sock, (struct sockaddr *)&address, sizeof address) < 0) {
        if (errno != ENOENT && errno != ECONNREFUSED)
            return complain(path);
        usleep(1000);
    }
    dprintf(sock, "%s\n", line);
    ssize_t got = read(sock, said, size - 1);
    said[got > 0 ? got : 0] = '\0';
    close(sock);
    return got > 0 ? 0 : complain("the server says nothing");
}

/* ---- the tour ---------------------------------------------------------------------------- */

static pid_t start(const char *role, const char *one, const char *two)
{
    pid_t parent = getpid(), pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(1);
    }
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == parent)
        execl("/proc/self/exe", "epoll-server", role, one, two, (char *)NULL);
    _exit(127);
}

static bool ends_well(pid_t pid)
{
    int status;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* Asks until the server has that to say, or has it no more. */
static void await(const char *path, const char *what, bool is_said)
{
    char said[LINE];
    while (ask(path, "how many?", said, sizeof said) == 0 &&
           (strstr(said, what) != NULL) != is_said)
        usleep(1000);
    printf("the server says: %s", said);
}

static int tour(void)
{
    char directory[] = "/tmp/epoll-server.XXXXXX", path[64], name[32], ring[2][LINE], said[LINE];
    if (!mkdtemp(directory))
        return complain("mkdtemp");
    snprintf(path, sizeof path, "%s/socket", directory);
    snprintf(name, sizeof name, "epoll.%d", (int)getpid());
    for (int i = 0; i < RINGS; i++)
        snprintf(ring[i], sizeof ring[i], "%s.%s", name, ring_nouns[i]);
    setvbuf(stdout, NULL, _IOLBF, 0);

    pid_t server = start("serve", name, path);
    if (ask(path, "hello", said, sizeof said) != 0)
        return 1;
    printf("a server waits for a socket and two rings, asleep in one epoll_wait\n");
    pid_t endless = start("feed", ring[0], "1000000000");
    bool is_well = ends_well(start("feed", ring[1], "5000"));
    await(path, "orders 5000, deaths 0", true);
    await(path, "ticks 0, ", false); /* who has sent has an end, of whose death it is to hear */
    kill(endless, SIGKILL);
    waitpid(endless, NULL, 0);
    printf("who fed the ticks was killed\n");
    await(path, "deaths 1; ", true);
    is_well &= ends_well(start("feed", ring[0], "20000"));
    printf("a successor came, and went on where the dead one had stopped\n");
    is_well &= ask(path, "stop", said, sizeof said) == 0 && ends_well(server);
    rmdir(directory);
    printf("%s\n", is_well ? "all ended well" : "something went wrong");
    return is_well ? 0 : 1;
}

int main(int argc, char **argv)
{
    char said[LINE];
    if (argc == 1)
        return tour();
    if (argc == 4 && strcmp(argv[1], "serve") == 0)
        return serve(argv[2], argv[3]);
    if (argc == 4 && strcmp(argv[1], "feed") == 0)
        return feed(argv[2], strtoull(argv[3], NULL, 10));
    if (argc == 4 && strcmp(argv[1], "ask") == 0) {
        int code = ask(argv[2], argv[3], said, sizeof said);
        printf("%s", said);
        return code;
    }
    fprintf(stderr, "usage: epoll-server [serve NAME PATH | feed RING N | ask PATH LINE]\n");
    return 2;
}
