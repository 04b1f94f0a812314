# SPDX-License-Identifier: MIT OR Apache-2.0
#
# count.awk: reads meson's testlog.json, prints what failed and what was skipped, and writes the
# line "PASSED FAILED SKIPPED" to the file `counts`.
#
# A TAP test counts as many as it has cases, any other counts one. meson's own totals are of
# programs, and its JUnit file knows nothing of the cases that a program did not live to run.

# The string that follows "key": in the line. Escaped backslashes and quotes are kept out of the way
# as \001 and \002, so that every quote left begins or ends a string.
function text(key,    at, rest) {
    at = index(line, "\"" key "\": \"")
    if (!at) return ""
    rest = substr(line, at + length(key) + 5)
    rest = substr(rest, 1, index(rest, "\"") - 1)
    gsub(/\\n/, "\n", rest)
    gsub(/\\t/, "\t", rest)
    gsub(/\\[rbf]/, "", rest)
    gsub(/\001/, "\\", rest)
    gsub(/\002/, "\"", rest)
    return rest
}

function show(what,    n, i, l) {
    n = split(what, l, "\n")
    for (i = n > 200 ? n - 199 : 1; i <= n; i++) if (l[i] != "") print "    " l[i]
}

function fail(what) {
    print "NOT OK: " name what
    failed++
    wrong++
}

function skip(why) {
    print "SKIP: " name why
    skipped++
}

function count_cases(    n, i, l, plan, why, seen, details) {
    n = split(out, l, "\n")
    for (i = 1; i <= n; i++) {
        if (l[i] ~ /^(not )?ok/) {
            seen++
            details = l[i] ~ /^not/
            if (details) {
                sub(/^not ok[ 0-9]*-? */, "", l[i])
                fail(": " l[i])
            } else if (l[i] ~ /# SKIP/) {
                sub(/^ok[ 0-9]*-? */, "", l[i])
                sub(/ *# SKIP( SKIP)?:? */, ": ", l[i]) # SKIP SKIP: cr_skip_test("SKIP: why")
                skip(": " l[i])
            } else
                passed++
        } else if (l[i] ~ /^1\.\.[0-9]/) {
            plan = substr(l[i], 4) + 0
            why = l[i]
            sub(/^[^#]*(# SKIP:? *)?/, ": ", why)
        } else if (details && l[i] ~ /^[ #]/)
            print "    " l[i]
    }
    for (; seen < plan; seen++) fail(": a test that did not come to an end (" result ")")
    if (!plan && result == "SKIP") skip(why)
}

{
    line = $0
    gsub(/\\\\/, "\001", line)
    gsub(/\\"/, "\002", line)
    name = text("name")
    sub(/^[^ ]* \/ /, "", name) # the project and suites
    result = text("result")
    out = text("stdout")
    err = text("stderr")
    bad = result !~ /^(OK|SKIP|EXPECTEDFAIL)$/
    wrong = 0
    if (out ~ /^(TAP version|1\.\.[0-9])/) {
        count_cases()
        if (bad && !wrong) fail(" (" result ")")
    } else if (bad) {
        fail(" (" result ")")
        show(out)
    } else if (result == "SKIP") {
        sub(/\n+$/, "", out)
        sub(/.*\n/, "", out)
        sub(/^SKIP:? */, "", out)
        skip(": " out)
    } else
        passed++
    if (bad) show(err)
}

END { print passed + 0, failed + 0, skipped + 0 >counts }
