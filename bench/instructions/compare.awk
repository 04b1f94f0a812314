# SPDX-License-Identifier: MIT OR Apache-2.0
#
# compare.awk: what differs between the figures that are recorded and those of now.

function differs(call, what, was, is) {
    if (!different++) printf "%-34s %-22s %12s %12s\n", "call", "on average", "recorded", "now"
    printf "%-34s %-22s %12s %12s\n", call, what, was, is
}

BEGIN { split("instructions atomics fences other_libraries", column, " ") }

/^#/ { next }

FILENAME == figures {
    recorded[$1] = $0
    next
}

{
    seen[$1] = 1
    calls++
    if (!($1 in recorded)) {
        differs($1, "instructions", "-", $2)
        next
    }
    split(recorded[$1], was)
    for (i = 2; i <= 5; i++)
        if (was[i] != $i) differs($1, column[i - 1], was[i], $i)
}

END {
    for (call in recorded) if (!(call in seen)) {
        split(recorded[call], was)
        differs(call, "instructions", was[2], "-")
    }
    if (different) exit 1
    print calls " calls take the instructions that " figures " says"
}
