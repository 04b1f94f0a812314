/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * puppet.h: a process that does as it is told, one thing after another, and can be stopped and
 * killed in between.
 */
#ifndef RBX_TESTS_MPMC_PUPPET_H
#define RBX_TESTS_MPMC_PUPPET_H

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "many.h"

enum { HANDS = 4 };

/* What it has. */
struct props {
    int socket;
    rbx_ring *ring;
    rbx_tx tx[HANDS];
    rbx_rx rx[HANDS];
    void *place[HANDS];
    const void *shown[HANDS];
};

/* Something that it can do, with one of its hands and a number. */
typedef int can(struct props *props, unsigned hand, uint64_t number);

struct order {
    can *act;
    uint64_t hand; /* no gap, of which nobody would know what is sent */
    uint64_t number;
};

struct puppet {
    pid_t pid;
    int socket;
};

static inline void puppet_obey(int socket, const struct variant *v, const char *name,
                               rbx_ring *inherited)
{
    static struct props props;
    struct order order;
    props.socket = socket;
    props.ring = inherited;
    rbx_ring_options joins = {.kind = v->kind, .box.how = RBX_OPEN_ONLY};
    int err = inherited ? 0 : rbx_ring_open(&props.ring, name, &joins);
    if (write(socket, &err, sizeof err) != sizeof err)
        _exit(1);
    while (read(socket, &order, sizeof order) == sizeof order) {
        int answer = order.act(&props, (unsigned)order.hand, order.number);
        if (write(socket, &answer, sizeof answer) != sizeof answer)
            _exit(1);
    }
    _exit(0);
}

static inline int puppet_hear(struct puppet *puppet)
{
    int answer = 0;
    cr_assert_eq(read(puppet->socket, &answer, sizeof answer), sizeof answer,
                 "the puppet has died");
    return answer;
}

static inline void puppet_tell(struct puppet *puppet, can *act, unsigned hand, uint64_t number)
{
    const struct order order = {act, hand, number};
    cr_assert_eq(write(puppet->socket, &order, sizeof order), sizeof order);
}

static inline int puppet_does(struct puppet *puppet, can *act, unsigned hand, uint64_t number)
{
    puppet_tell(puppet, act, hand, number);
    return puppet_hear(puppet);
}

/* It joins the ring `name`, or has `inherited` one. */
static inline struct puppet puppet_begin(const struct variant *v, const char *name,
                                         rbx_ring *inherited)
{
    int ends[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[0]);
        puppet_obey(ends[1], v, name, inherited);
    }
    close(ends[1]);
    struct puppet puppet = {.pid = pid, .socket = ends[0]};
    cr_assert_eq(puppet_hear(&puppet), 0);
    return puppet;
}

static inline struct puppet puppet_start(const struct variant *v, const char *name)
{
    return puppet_begin(v, name, NULL);
}

static inline void puppet_bury(struct puppet *puppet)
{
    cr_assert_eq(waitpid(puppet->pid, NULL, 0), puppet->pid);
    close(puppet->socket);
}

static inline void puppet_kill(struct puppet *puppet)
{
    kill(puppet->pid, SIGKILL);
    puppet_bury(puppet);
}

static inline void puppet_stop(struct puppet *puppet)
{
    int status;
    kill(puppet->pid, SIGSTOP);
    cr_assert_eq(waitpid(puppet->pid, &status, WUNTRACED), puppet->pid);
    cr_assert(WIFSTOPPED(status));
}

static inline void puppet_go_on(struct puppet *puppet)
{
    kill(puppet->pid, SIGCONT);
}

/* It ends without closing anything. */
static inline void puppet_dismiss(struct puppet *puppet)
{
    shutdown(puppet->socket, SHUT_WR);
    puppet_bury(puppet);
}

/* --- Acts --- */

static inline int opens_tx(struct props *props, unsigned hand, uint64_t number)
{
    (void)number;
    return rbx_tx_open(&props->tx[hand], props->ring);
}

static inline int opens_rx(struct props *props, unsigned hand, uint64_t number)
{
    (void)number;
    return rbx_rx_open(&props->rx[hand], props->ring);
}

static inline int closes_tx(struct props *props, unsigned hand, uint64_t number)
{
    (void)number;
    rbx_tx_close(&props->tx[hand]);
    return 0;
}

static inline int closes_rx(struct props *props, unsigned hand, uint64_t number)
{
    (void)number;
    rbx_rx_close(&props->rx[hand]);
    return 0;
}

static inline int sends(struct props *props, unsigned hand, uint64_t number)
{
    return rbx_try_send(&props->tx[hand], &number);
}

static inline int claims(struct props *props, unsigned hand, uint64_t number)
{
    int err = rbx_try_claim(&props->tx[hand], &props->place[hand]);
    if (err == 0)
        memcpy(props->place[hand], &number, sizeof number);
    return err;
}

static inline int commits(struct props *props, unsigned hand, uint64_t number)
{
    (void)number;
    return rbx_commit(&props->tx[hand]);
}

static inline int aborts(struct props *props, unsigned hand, uint64_t number)
{
    (void)number;
    return rbx_abort(&props->tx[hand]);
}

static inline int is_number(const void *message, uint64_t number)
{
    return memcmp(message, &number, sizeof number) == 0 ? 0 : -EILSEQ;
}

/* These expect `number`. */
static inline int receives(struct props *props, unsigned hand, uint64_t number)
{
    uint64_t got;
    int err = rbx_try_recv(&props->rx[hand], &got);
    return err < 0 ? err : is_number(&got, number);
}

static inline int peeks(struct props *props, unsigned hand, uint64_t number)
{
    int err = rbx_try_peek(&props->rx[hand], &props->shown[hand]);
    return err < 0 ? err : is_number(props->shown[hand], number);
}

static inline int still_sees(struct props *props, unsigned hand, uint64_t number)
{
    return is_number(props->shown[hand], number);
}

static inline int releases(struct props *props, unsigned hand, uint64_t number)
{
    (void)number;
    return rbx_release(&props->rx[hand]);
}

static inline int puts_back(struct props *props, unsigned hand, uint64_t number)
{
    (void)number;
    return rbx_release_n(&props->rx[hand], 0);
}

/* These wait. */
static inline int waits_to_receive(struct props *props, unsigned hand, uint64_t number)
{
    uint64_t got;
    int err = rbx_recv(&props->rx[hand], &got);
    return err < 0 ? err : is_number(&got, number);
}

static inline int waits_to_send(struct props *props, unsigned hand, uint64_t number)
{
    return rbx_send(&props->tx[hand], &number);
}

static inline int closes_ring(struct props *props, unsigned hand, uint64_t number)
{
    (void)hand, (void)number;
    int err = rbx_ring_close(props->ring);
    props->ring = NULL;
    return err;
}

/* Leaves a process behind that runs no fork handlers, and so has a copy of all descriptors; it ends
   when the puppet is buried. */
static inline int clones(struct props *props, unsigned hand, uint64_t number)
{
    (void)hand, (void)number;
    pid_t pid = raw_fork();
    if (pid == 0) {
        struct pollfd hears = {.fd = props->socket};
        while (poll(&hears, 1, -1) < 0)
            ;
        _exit(0);
    }
    return pid < 0 ? -errno : 0;
}

#endif
