#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# neighbours.sh: a program for another machine and one for this share a ring, or the second is told why not.
#
#     neighbours.sh PROGRAM_OF_THE_OTHER_MACHINE CPU_FAMILY BYTE_ORDER
#
# $EMULATOR runs the first, $NEIGHBOUR is the second, from a build for this machine.
set -eu

other=$1 family=$2 order=$3
[ -n "${NEIGHBOUR:-}" ] || { echo 'SKIP: NEIGHBOUR names no program for this machine'; exit 77; }
name=t.neighbours.$$
place=$(mktemp -d)
log=$place/log
sender=
trap '[ -z "$sender" ] || kill -9 "$sender" 2>/dev/null || :; rm -rf "$place" "/dev/shm/ringbox.$name"' EXIT
trap 'exit 1' HUP INT TERM

mkfifo "$place/said"
# shellcheck disable=SC2086 # a command and its arguments
${EMULATOR:-} "$other" send "$name" >"$place/said" &
sender=$!
exec 3<"$place/said"
read -r said <&3 || said=nothing
[ "$said" = 'a ring' ] || { echo "NOT OK: the sender has no ring, and says: $said"; exit 1; }

received=yes
"$NEIGHBOUR" receive "$name" >"$log" 2>&1 || received=no
cat "$log"
case $order,$family in
big,*) refusal='other byte order' ;;
little,x86) refusal='made by a 32-bit program; this one has 64 bits' ;;
*)
    wait "$sender" || { sender=; echo 'NOT OK: the sender has failed'; exit 1; }
    sender=
    [ $received = yes ] || { echo 'NOT OK: the receiver has failed'; exit 1; }
    echo 'ok: all was received'
    exit 0 ;;
esac
if [ $received = yes ] || ! grep -q "$refusal" "$log"; then
    echo "NOT OK: it was not refused with '$refusal'"
    exit 1
fi
echo 'ok: it was refused'
