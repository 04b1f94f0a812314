#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# wrong-type.sh: the calls of an RBX_RING_TYPE take messages and endpoints of that type, no others.
#
#     wrong-type.sh INCLUDE_DIRECTORY COMPILER [ARGUMENT...]
#
# Each line below is one statement, which compiles, and the same one with a wrong type, which must
# not: as C with warnings as errors, and as C++ where the compiler knows that.
set -eu

include=$1
shift
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

cat >"$scratch/pairs" <<'TEXT'
ticks_send(&tx, &tick)               | ticks_send(&tx, &trade)
ticks_try_send(&tx, &tick)           | ticks_try_send(&tx, &trade)
ticks_send_for(&tx, &tick, 1)        | ticks_send_for(&tx, &trade, 1)
ticks_send_n(&tx, &tick, 1)          | ticks_send_n(&tx, &trade, 1)
ticks_try_send_n(&tx, &tick, 1)      | ticks_try_send_n(&tx, &number, 1)
ticks_claim(&tx, &tick_place)        | ticks_claim(&tx, &trade_place)
ticks_try_claim(&tx, &tick_place)    | ticks_try_claim(&tx, &trade_place)
ticks_recv(&rx, &tick)               | ticks_recv(&rx, &trade)
ticks_try_recv(&rx, &tick)           | ticks_try_recv(&rx, &number)
ticks_recv_for(&rx, &tick, 1)        | ticks_recv_for(&rx, &trade, 1)
ticks_recv_n(&rx, &tick, 1)          | ticks_recv_n(&rx, &trade, 1)
ticks_try_recv_n(&rx, &tick, 1)      | ticks_try_recv_n(&rx, &trade, 1)
ticks_peek(&rx, &tick_shown)         | ticks_peek(&rx, &trade_shown)
ticks_try_peek_n(&rx, &tick_shown, 1)| ticks_try_peek_n(&rx, &trade_shown, 1)
ticks_send(&tx, &tick)               | ticks_send(&rx, &tick)
ticks_recv(&rx, &tick)               | ticks_recv(&tx, &tick)
ticks_send(&tx, &tick)               | ticks_send(&trades_sender, &tick)
trades_send(&trades_sender, &trade)  | trades_send(&tx, &trade)
ticks_send(&tx, &tick)               | ticks_send(&any_tx, &tick)
rbx_send(&any_tx, &tick)             | rbx_send(&tx, &tick)
ticks_commit(&tx)                    | trades_commit(&tx)
ticks_release(&rx)                   | trades_release(&rx)
ticks_tx_open(&tx, ring)             | trades_tx_open(&tx, ring)
TEXT

# compile LANGUAGE STATEMENT COMPILER...
compile() {
    language=$1 statement=$2
    shift 2
    cat >"$scratch/use.c" <<TEXT
#include <ringbox/ringbox.h>
struct tick { uint64_t id; double price; };
struct trade { uint64_t id; double price; };
RBX_RING_TYPE(ticks, struct tick, SPSC)
RBX_RING_TYPE(trades, struct trade, SPSC)
void use(rbx_ring *ring);
void use(rbx_ring *ring)
{
    static ticks_tx tx; static ticks_rx rx; static trades_tx trades_sender; static rbx_tx any_tx;
    static struct tick tick, *tick_place; static struct trade trade, *trade_place;
    static const struct tick *tick_shown; static const struct trade *trade_shown;
    static uint64_t number;
    (void)ring, (void)&tx, (void)&rx, (void)&trades_sender, (void)&any_tx, (void)&tick, (void)&tick_place;
    (void)&trade, (void)&trade_place, (void)&tick_shown, (void)&trade_shown, (void)&number;
    (void)$statement;
}
TEXT
    "$@" -x "$language" -I"$include" -Wall -Wextra -Werror -fsyntax-only "$scratch/use.c" \
        >"$scratch/log" 2>&1
}

failed=0
check() { # check LANGUAGE COMPILER...
    language=$1
    shift
    while IFS='|' read -r right wrong; do
        if ! compile "$language" "$right" "$@"; then
            echo "NOT OK: $right does not compile as $language:"
            cat "$scratch/log"
            failed=$((failed + 1))
        elif compile "$language" "$wrong" "$@"; then
            echo "NOT OK: $wrong compiles as $language"
            failed=$((failed + 1))
        else
            echo "ok: $language:$wrong is refused"
        fi
    done <"$scratch/pairs"
}

check c "$@"
if echo 'int one;' | "$@" -x c++ -fsyntax-only - 2>/dev/null; then
    check c++ "$@"
fi
[ $failed -eq 0 ]
