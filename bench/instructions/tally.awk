# SPDX-License-Identifier: MIT OR Apache-2.0
#
# tally.awk: reads which instructions of the program and the library are atomic or fences (lines
# "FILE ADDRESS atomic|fence"), then the dumps of callgrind, and prints a line for each call that
# was counted, of averages:
#
#     call  instructions  atomic read-modify-writes  fences  calls of other libraries
#
# They are those of the program and the library, and of the stubs by which they call others. What
# the others do, say memcpy, differs from processor to processor. Calls were made 4096 times, so
# that four decimals are exact.

function base(path) {
    sub(/.*\//, "", path)
    return path
}

function is_ours(object) {
    return object == "instructions" || object ~ /^libringbox\.so/
}

function finish() {
    if (name == "") return
    if (!calls) {
        print "tally.awk: " name " was never called" >"/dev/stderr"
        exit code = 1
    }
    if (name == "calls/nothing")
        nothing = instructions / calls
    else
        printf "%s\t%.4f\t%.4f\t%.4f\t%.4f\n", name, instructions / calls - nothing, atomic / calls,
            fence / calls, others / calls
}

FILENAME == known {
    kind[$1, "0x" $2] = $3
    next
}

FNR == 1 {
    finish()
    name = ""
    calls = instructions = atomic = fence = others = 0
}

/^desc: Trigger: Client Request: / {
    name = substr($0, 32)
    next
}

# A stub is in no object, as callgrind sees it; the record that follows says whose it calls.
/^ob=/ {
    object = base(substr($0, 4))
    next
}
/^cob=/ {
    if (stub && !is_ours(base(substr($0, 5)))) others += entered
    next
}
/^fn=/ {
    stub = $0 ~ / \[PLT\]$/
    function_name = substr($0, 4)
    address = stub ? $1 : ""
    sub(/^fn=0x0*/, "0x", address)
    entered = first = 0
    next
}

# The line after this is what the callee costs, which is in its own record, too.
/^calls=/ {
    getline
    next
}

/^0x/ {
    if (!stub && !is_ours(object)) next
    instructions += $2
    if (function_name == "counted" && !first++) calls = $2
    if (stub && $1 == address) entered += $2
    if (kind[object, $1] == "atomic") atomic += $2
    if (kind[object, $1] == "fence") fence += $2
}

END {
    if (code) exit code
    finish()
}
