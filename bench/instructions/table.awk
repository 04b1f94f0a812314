# SPDX-License-Identifier: MIT OR Apache-2.0
#
# table.awk: reads docs/performance.md and prints it with the table of instructions made anew, which
# is between two marks, of which the first names the compilers whose figures are in it.

function read_figures(compiler, number,    file, line, field) {
    file = here "/" compiler ".tsv"
    while ((getline line < file) > 0) {
        if (line ~ /^#/) continue
        split(line, field, "\t")
        if (!(field[1] in atomic)) order[++lines] = field[1]
        figure[field[1], number] = field[2]
        atomic[field[1]] = field[3]
        others[field[1]] = field[5]
        if (field[4] > 0) fenced = fenced (fenced ? ", " : "") field[1]
    }
    close(file)
}

function both(call, of) {
    return sprintf("%.1f, %.1f", figure[call, 1] / of, figure[call, 2] / of)
}

function ring_row(path) {
    printf "| %s | %s | %s | %s | %s | %s | %s | %g, %g |\n", path, both(path "/try_send", 1),
        both(path "/try_recv", 1), both(path "/try_claim+commit", 1), both(path "/try_peek+release", 1),
        both(path "/try_send_n", 16), both(path "/try_recv_n", 16), atomic[path "/try_send"],
        atomic[path "/try_recv"]
}

function tables(    i, path) {
    print "| ring, bytes | send | receive | claim, commit | peek, release | of a batch: send | receive | atomic |"
    print "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for (i = 1; i <= lines; i++)
        if (order[i] ~ /\/try_send$/) {
            path = order[i]
            sub(/\/try_send$/, "", path)
            ring_row(path)
        }
    print "\n| call | instructions | atomic | calls of libc |\n| --- | --- | --- | --- |"
    for (i = 1; i <= lines; i++)
        if (order[i] !~ /^(spsc|mpmc|strict|locked)\//)
            printf "| %s | %s | %g | %g |\n", order[i], both(order[i], 1), atomic[order[i]], others[order[i]]
    print "\nCalls with a fence: " (fenced ? fenced : "none") "."
}

/^<!-- instructions: / {
    print
    print ""
    read_figures($3, 1)
    read_figures($4, 2)
    tables()
    print ""
    inside = 1
}
/^<!-- end of instructions -->/ { inside = 0 }
!inside { print }
