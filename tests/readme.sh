#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# readme.sh: what the documentation shows compiles.
#
#     readme.sh FILE INCLUDE_DIRECTORY LIBRARY_DIRECTORY COMPILER [ARGUMENT...]
#
# From a .md file it takes every ```c block, from a header the indented code in its opening comment.
# Each must compile without a warning and link; the first one of a .md file must also be a program
# that runs and exits with 0. A block without main() may be what stands in a file or what stands in
# a function, and may use `box` and `options` without declaring them. In the latter case all down to
# its last RBX_RING_TYPE line stands in the file, before the function.
set -eu

file=$1 include=$2 library=$3
shift 3
[ -f "$file" ] || { echo "SKIP: there is no $file"; exit 77; }

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

# Writes block N to N.block, after a line that makes the compiler name the place in FILE.
case $file in
*.md)
    awk -v to="$scratch" -v file="$file" '
    /^[ \t]*```/ {
        if (inside) close(block)
        else if ($1 == "```c") {
            block = to "/" ++count ".block"
            printf "#line %d \"%s\"\n", NR + 1, file >block
        }
        else
            block = "/dev/null"
        inside = !inside
        next
    }
    inside { print >block }' "$file" ;;
*)
    awk -v to="$scratch" -v file="$file" '
    /^\/\*$/ { opened = 1; next }
    opened && /\*\// { exit }
    opened && /^ \*     / {
        if (!inside) {
            block = to "/" ++count ".block"
            printf "#line %d \"%s\"\n", NR, file >block
        }
        inside = 1
        print substr($0, 8) >block
        next
    }
    opened && /^ \*$/ { if (inside) print "" >block; next }
    { inside = 0 }' "$file" ;;
esac

compile() { # compile NAME COMPILER...: NAME.c to NAME, its complaints to NAME.log
    name=$1
    shift
    "$@" -I"$include" -Wall -Wextra -Werror -o "$scratch/$name" "$scratch/$name.c" -L"$library" -lringbox \
        -Wl,-rpath,"$library" -pthread >"$scratch/$name.log" 2>&1
}

prelude() {
    printf '#include <%s.h>\n' errno stdint stdio stdlib string ringbox/ringbox
    echo 'extern rbx_box *box; extern rbx_box_options options;'
    echo 'rbx_box *box; rbx_box_options options;'
}

count=0
failed=0
while block=$scratch/$((count + 1)).block && [ -f "$block" ]; do
    count=$((count + 1))
    if grep -Eq '(^|[^[:alnum:]_])main *\(' "$block"; then
        kind=program
        cp "$block" "$scratch/$count.c"
        compile $count "$@" && made=yes || made=no
    else
        kind=fragment
        { prelude; cat "$block"; echo 'int main(void) { return 0; }'; } >"$scratch/file$count.c"
        {
            prelude
            grep '^#include' "$block" || :
            # Line 1 of the block is its #line.
            outside=$(awk '/^RBX_RING_TYPE\(/ { last = NR } END { print last + 0 }' "$block")
            [ "$outside" = 0 ] || sed -n "1,${outside}p" "$block" | sed 's/^#include.*//'
            echo 'int example(void); int example(void) {'
            awk -v outside="$outside" '
            NR == 1 { $2 += outside > 1 ? outside - 1 : 0; print; next }
            NR > outside { sub(/^#include.*/, ""); print }' "$block"
            echo 'return 0; } int main(void) { return 0; }'
        } >"$scratch/$count.c"
        if compile file$count "$@" || compile $count "$@" -Wno-unused; then made=yes; else made=no; fi
    fi
    if [ "$made" = no ]; then
        failed=$((failed + 1))
        echo "NOT OK: example $count of $file, a $kind, does not compile:"
        cat "$scratch/$count.log"
    else
        echo "ok: example $count of $file, a $kind"
    fi
done

case $file in
*.md)
    if [ $count -eq 0 ]; then
        echo "NOT OK: $file shows no C code"
        failed=1
    elif ! [ -x "$scratch/1" ] || ! grep -q 'main *(' "$scratch/1.block"; then
        echo "NOT OK: the first example of $file is no program that runs"
        failed=$((failed + 1))
    else
        cd "$scratch"
        # shellcheck disable=SC2086 # a command and its arguments
        if timeout 60 ${EMULATOR:-} ./1 </dev/null >said 2>&1; then
            echo "ok: the first example of $file runs"
        else
            echo "NOT OK: the first example of $file fails with exit code $?:"
            cat said
            failed=$((failed + 1))
        fi
    fi ;;
*)
    if [ $count -eq 0 ]; then
        echo "NOT OK: $file shows no code"
        failed=1
    fi ;;
esac
[ $failed -eq 0 ]
