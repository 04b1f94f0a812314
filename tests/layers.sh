#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# layers.sh: a room includes lower rooms only.
#
#     layers.sh [ROOT]        checks the tree at ROOT (the current directory)
#     layers.sh --self-test   proves, on small trees with one fault each, that it can fail
#
# What it holds every C and C++ file to:
#   - it is in a room of the table below;
#   - it includes its own and lower rooms only, and only files that exist;
#   - src/os includes the system's headers and src/os; the other rooms of the library include
#     standard C headers and nothing else of the system: system calls live in src/os;
#   - a public header includes public headers and standard C headers only; but atomic.h, which stands
#     for C++'s <atomic> and for the atomics of a test, includes those.
# And every file in those directories has an SPDX line, but for JSON, which has no comments.
set -eu
export LC_ALL=C

# Rooms from the lowest to the highest: name, "calls" when it may include the system's headers, and
# what is in it: a noun NAME stands for src/NAME.*, src/NAME/ and include/ringbox/NAME.*, a DIR/ for
# all that is below it.
rooms() {
    cat <<'TABLE'
os     calls  os
base   -      api error version atomic
box    -      box
sync   -      wait sync mutex rwlock event sem cell
ring   -      ring hot spsc mpmc locked message any poll
whole  -      ringbox
tools  calls  cli bench/ examples/
tests  calls  tests/
TABLE
}

check() {
    cd "$1"
    for directory in src include tests bench examples; do
        [ ! -d $directory ] || find $directory -type f
    done | sort | awk -v rooms="$(rooms)" '
    function complain(what) { print what; bad++ }

    # The rank of the room that a path is in; 0: none.
    function rank(path,    i, stem) {
        for (i = 1; i <= patterns; i++)
            if (substr(path, 1, length(pattern[i])) == pattern[i])
                return owner[i]
        return 0
    }
    function learn(prefix) { pattern[++patterns] = prefix; owner[patterns] = count }

    function normal(path,    part, kept, n, i, out, k) {
        n = split(path, part, "/")
        k = 0
        for (i = 1; i <= n; i++) {
            if (part[i] == ".." && k > 0) k--
            else if (part[i] != "." && part[i] != "") kept[++k] = part[i]
        }
        out = kept[1]
        for (i = 2; i <= k; i++) out = out "/" kept[i]
        return out
    }

    function check_include(file, line, spelled,    where, quoted, target, directory, public) {
        where = file ":" line ": "
        quoted = substr(spelled, 1, 1) == "\""
        public = index(file, "include/") == 1
        spelled = substr(spelled, 2, length(spelled) - 2)
        if (!quoted && index(spelled, "ringbox/") != 1) {
            if (public && !(spelled in standard))
                complain(where "a public header includes <" spelled ">, which is not standard C")
            else if (!calls[rank(file)] && !(spelled in standard))
                complain(where "room " name[rank(file)] " includes <" spelled ">: system calls live in src/os")
            return
        }
        if (!quoted)
            target = "include/" spelled
        else {
            directory = file
            sub(/[^\/]*$/, "", directory)
            target = normal(directory spelled)
            if ((target ".in") in exists) return # the build makes it
            if (!(target in exists)) target = "src/" spelled
        }
        if (!(target in exists))
            complain(where "no such file: " spelled)
        else if (public && index(target, "include/") != 1)
            complain(where "a public header includes " target ", which is private")
        else if (rank(target) > rank(file))
            complain(where "room " name[rank(file)] " includes the higher room " name[rank(target)] " (" target ")")
    }

    function check_file(file,    text, line, spdx, code) {
        code = file ~ /\.(c|h|cc|hh|cpp|hpp)$/
        if (code && !rank(file))
            complain(file ": in no room: add it to the table of tests/layers.sh")
        while ((getline text < file) > 0) {
            line++
            if (index(text, "SPDX-License-Identifier: MIT OR Apache-2.0")) spdx = 1
            if (code && rank(file) && match(text, /^[ \t]*#[ \t]*include[ \t]*/)) {
                text = substr(text, RLENGTH + 1)
                if (file == "include/ringbox/atomic.h" && (text == "RBX_ATOMIC_LAYER" || text == "<atomic>"))
                    continue
                if (match(text, /^("[^"]*"|<[^>]*>)/))
                    check_include(file, line, substr(text, 1, RLENGTH))
                else
                    complain(file ":" line ": an include that this test cannot read")
            }
        }
        close(file)
        if (!spdx && file !~ /\.json$/) # which has no comments
            complain(file ": no line \"SPDX-License-Identifier: MIT OR Apache-2.0\"")
    }

    BEGIN {
        n = split("assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp " \
                  "signal stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn " \
                  "string tgmath threads time uchar wchar wctype", word, " ")
        for (i = 1; i <= n; i++) standard[word[i] ".h"]
        n = split(rooms, row, "\n")
        for (r = 1; r <= n; r++) {
            words = split(row[r], word, " ")
            name[++count] = word[1]
            calls[count] = word[2] == "calls"
            for (i = 3; i <= words; i++)
                if (word[i] ~ /\/$/)
                    learn(word[i])
                else {
                    learn("src/" word[i] ".")
                    learn("src/" word[i] "/")
                    learn("include/ringbox/" word[i] ".")
                }
        }
    }
    { exists[$0]; files[++total] = $0 }
    END {
        for (f = 1; f <= total; f++) check_file(files[f])
        if (!total) complain("nothing to check: is this the root of the project?")
        printf "%d files, %d complaints\n", total, bad
        exit bad > 0
    }'
}

# A fault: what is wrong, the file that has it, its text, and a part of the complaint.
self_test() {
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    trap 'exit 1' HUP INT TERM
    missed=0
    tree() {
        rm -rf "$scratch/tree"
        mkdir -p "$scratch/tree/src/os" "$scratch/tree/src/box" "$scratch/tree/include/ringbox" \
            "$scratch/tree/tests"
        put src/os/fd.h '#include <stddef.h>'
        put src/os/fd.c '#include "fd.h"' '#include <sys/mman.h>'
        put src/error.h '#include <ringbox/error.h>'
        put src/box.c '#include <ringbox/box.h>' '#include "box/life.h"' '#include "os/fd.h"'
        put src/box/life.h '#include "../os/fd.h"' '#include "../error.h"'
        put include/ringbox/error.h
        put include/ringbox/box.h '#include <stdint.h>' '#include <ringbox/error.h>'
        put tests/box.c '#include <ringbox/box.h>' '#include <unistd.h>' '#include "box/life.h"'
    }
    put() {
        file=$scratch/tree/$1
        shift
        printf '%s\n' '/* SPDX-License-Identifier: MIT OR Apache-2.0 */' "$@" >"$file"
    }
    verdict() { # verdict WHAT EXIT_CODE PART
        if (check "$scratch/tree") >"$scratch/said"; then code=0; else code=1; fi
        if [ "$code" = "$2" ] && grep -qF -- "$3" "$scratch/said"; then
            echo "ok: $1"
        else
            echo "NOT OK: $1: exit code $code, and it said:"
            cat "$scratch/said"
            missed=$((missed + 1))
        fi
    }
    fault() { # fault WHAT FILE LINE PART
        tree
        put "$2" "$3"
        verdict "$1" 1 "$4"
    }

    tree
    verdict 'a sound tree passes' 0 ' 0 complaints'
    fault 'os includes box' src/os/fd.c '#include "../box/life.h"' 'includes the higher room box'
    fault 'os includes a public header' src/os/fd.h '#include <ringbox/error.h>' 'higher room base'
    fault 'base includes box' src/error.h '  #  include <ringbox/box.h> /* why */' 'higher room box'
    fault 'box makes system calls' src/box.c '#include <sys/mman.h>' 'system calls live in src/os'
    fault 'box uses threads' src/box/life.h '#include <pthread.h>' 'system calls live in src/os'
    fault 'a public header includes a private one' include/ringbox/box.h '#include "../../src/error.h"' 'which is private'
    fault 'a public header includes the system' include/ringbox/box.h '#include <unistd.h>' 'not standard C'
    fault 'a lower public header includes a higher one' include/ringbox/error.h '#include <ringbox/box.h>' 'higher room box'
    fault 'the library includes a test' src/box.c '#include "../tests/box.c"' 'higher room tests'
    fault 'an include of nothing' src/box.c '#include "boks.h"' 'no such file'
    fault 'an include through a macro' src/box.c '#include HEADER' 'cannot read'
    fault 'another than atomic.h includes atomic' include/ringbox/box.h '#include <atomic>' 'not standard C'
    fault 'a file in no room' src/attic.c '' 'in no room'
    tree
    : >"$scratch/tree/tests/bare.sh"
    verdict 'a file without a licence' 1 'bare.sh: no line'
    rm -rf "$scratch/tree"
    mkdir "$scratch/tree"
    verdict 'an empty tree' 1 'nothing to check'
    [ $missed -eq 0 ]
}

case ${1:-} in
--self-test) self_test ;;
*) check "${1:-.}" ;;
esac
