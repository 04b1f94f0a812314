#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# exports.sh: the shared library exports what the public headers declare, no more and no less.
#
#     exports.sh LIBRARY VERSION_SCRIPT HEADER...
#
# Three lists must be one: the library's dynamic symbols with their versions, the version script,
# and the functions marked RBX_API in the headers that are installed. And every header there is, is
# installed.
set -eu
export LC_ALL=C

library=$1 script=$2
shift 2

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

# "name@@VERSION" per symbol; the version's own symbol has type A.
"${NM:-nm}" -D --defined-only "$library" | awk '$2 != "A" { print $3 }' | sort >"$scratch/library"
awk '
    /^[A-Z].*{/ { version = $1; next }
    /^global:/ { global = 1; next }
    /^local:/ || /^}/ { global = 0; next }
    global && match($0, /[A-Za-z_][A-Za-z_0-9]*;/) {
        print substr($0, RSTART, RLENGTH - 1) "@@" version
    }' "$script" | sort >"$scratch/script"
sed 's/@.*//' "$scratch/script" | sort >"$scratch/script.names"
# A declaration starts with RBX_API and its name is the word before the first parenthesis.
awk '/^RBX_API/ && match($0, /[A-Za-z_][A-Za-z_0-9]*\(/) { print substr($0, RSTART, RLENGTH - 1) }' \
    "$@" | sort >"$scratch/headers"
printf '%s\n' "$@" | sed 's#.*/##' | sort >"$scratch/installed"
ls "$(dirname "$1")" >"$scratch/directory"

failed=0
same() { # same WHAT LIST WANTED
    if diff "$scratch/$2" "$scratch/$3" >"$scratch/difference"; then
        echo "ok: $1"
    else
        echo "NOT OK: $1:"
        sed -n "s/^</only in the $2:/p; s/^>/only in the $3:/p" "$scratch/difference"
        failed=1
    fi
}
same 'the library exports what the version script says' library script
same 'the headers declare what the version script says' headers script.names
same 'all headers are installed' installed directory
[ -s "$scratch/script" ] || { echo "NOT OK: no symbol found in $script"; failed=1; }
[ $failed -eq 0 ]
