# The lifecycle machine that `ragel -x` printed, with names for its states and events.
#
#   awk -v form=c   -v machine=NAME -f lifecycle.awk lifecycle.rl NAME.xml    rows of a C table
#   awk -v form=dot -v machine=NAME -f lifecycle.awk lifecycle.rl NAME.xml    a picture for dot
#   awk -v form=figure -v machine=NAME -f lifecycle.awk lifecycle.rl NAME.xml    the picture as Mermaid text, for the document
#   awk -v form=states -v machine=NAME -f lifecycle.awk lifecycle.rl NAME.xml    each event in each state, as a table
#   awk -v form=promela -v machine=NAME -f lifecycle.awk lifecycle.rl NAME.xml    a step function for SPIN
#
# The first file gives the names of the events; states are named by their to-state actions (in_NAME).

function fail(what) {
    print "lifecycle.awk: " FILENAME ":" FNR ": " what > "/dev/stderr"
    exit failed = 1
}

function text(line) {
    gsub(/^[^>]*>|<[^>]*>$/, "", line)
    return line
}

# ---- the events ----
FNR == NR {
    sub(/#.*/, "")
    while (match($0, /[a-z_]+ *= *[0-9]+;/)) {
        split(substr($0, RSTART, RLENGTH - 1), part, / *= */)
        event[part[2] + 0] = part[1]
        $0 = substr($0, RSTART + RLENGTH)
    }
    next
}

# ---- the machine ----
/<action id=/ {
    match($0, / id="[0-9]+"/); id = substr($0, RSTART + 5, RLENGTH - 6)
    match($0, /name="[^"]*"/); action[id] = substr($0, RSTART + 6, RLENGTH - 7)
}
/<action_table id=/ {
    match($0, / id="[0-9]+"/); id = substr($0, RSTART + 5, RLENGTH - 6)
    n = split(text($0), part, " ")
    for (i = 1; i <= n; i++)
        table[id] = table[id] (i > 1 ? " " : "") action[part[i]]
}
/<start_state>/ { start = text($0) + 0 }
/<error_state>/ { error = text($0) + 0 }
/<state id=/ {
    match($0, /"[0-9]+"/)
    at = substr($0, RSTART + 1, RLENGTH - 2) + 0
}
/<state_actions>/ {
    split(text($0), part, " ")
    name[at] = table[part[1]]
    sub(/^in_/, "", name[at])
}
/<t>/ {
    split(text($0), part, " ")
    if (part[3] != "x" && part[3] + 0 != error)
        for (e = part[1] + 0; e <= part[2] + 0; e++) {
            row = ++rows
            from[row] = at; on[row] = e; to[row] = part[3] + 0
            does[row] = part[4] == "x" ? "" : table[part[4]]
        }
}

function c_table(    row) {
    printf "static const struct rule %s_rules[] = {\n", machine
    for (row = 1; row <= rows; row++)
        printf "    {\"%s\", %d, \"%s\", \"%s\"},\n", name[from[row]], on[row], name[to[row]], does[row]
    print "};"
    printf "static const char *const %s_start = \"%s\";\n", machine, name[start]
}

# One arrow for the events that lead the same way and do the same.
function dot_picture(    row, key, arrow, order, n, i, part) {
    printf "digraph %s {\n    rankdir=TB;\n", machine
    print "    node [shape=box, style=rounded, fontname=\"sans-serif\", fontsize=11];"
    print "    edge [fontname=\"sans-serif\", fontsize=9];"
    print "    start [shape=point];\n    start -> " name[start] ";"
    for (row = 1; row <= rows; row++) {
        if (!(on[row] in event))
            continue
        key = name[from[row]] SUBSEP name[to[row]] SUBSEP does[row]
        if (!(key in arrow))
            order[++n] = key
        arrow[key] = arrow[key] event[on[row]] "\\n"
    }
    for (i = 1; i <= n; i++) {
        split(order[i], part, SUBSEP)
        if (part[1] == "stopped")
            continue # it takes every event and stays
        printf "    %s -> %s [label=\"%s%s\"];\n", part[1], part[2], arrow[order[i]], part[3] == "" ? "" : "/ " part[3]
    }
    print "}"
}

# The arrows in the order of the grammar: order[1..n], and the events of each.
function gather(arrow, order,    row, key, n) {
    for (row = 1; row <= rows; row++) {
        if (!(on[row] in event))
            continue
        key = name[from[row]] SUBSEP name[to[row]] SUBSEP does[row]
        if (!(key in arrow))
            order[++n] = key
        arrow[key] = arrow[key] (arrow[key] == "" ? "" : ", ") event[on[row]]
    }
    return n
}

function mermaid_picture(    arrow, order, n, i, part) {
    n = gather(arrow, order)
    print "```mermaid\nstateDiagram-v2\n    [*] --> " name[start]
    for (i = 1; i <= n; i++) {
        split(order[i], part, SUBSEP)
        if (part[1] != part[2]) # what stays stands in the table
            printf "    %s --> %s: %s%s\n", part[1], part[2], arrow[order[i]], part[3] == "" ? "" : " / " part[3]
    }
    print "```"
}

# Whether the machine has anything to do with this event.  Of the machines of spec/ there are two alphabets, one below 32; what
# another machine does not name is no concern of it.
function concerns(id,    row) {
    if (machine !~ /^vpc_local_/)
        return machine != "vpc_session" ? id >= 32 : id < 32
    for (row = 1; row <= rows; row++)
        if (on[row] == id)
            return 1
    return 0
}

function state_table(    arrow, order, n, i, part, s, id, row, legal, illegal) {
    n = gather(arrow, order)
    print "| state | event | actions | next state |\n| --- | --- | --- | --- |"
    for (s = 0; s < 256; s++) {
        if (!(s in name))
            continue
        for (i = 1; i <= n; i++) {
            split(order[i], part, SUBSEP)
            if (part[1] == name[s])
                printf "| %s | %s | %s | %s |\n", part[1], arrow[order[i]], part[3], part[2]
        }
        split("", legal)
        for (row = 1; row <= rows; row++)
            if (from[row] == s)
                legal[on[row]] = 1
        illegal = ""
        for (id = 0; id < 256; id++)
            if ((id in event) && concerns(id) && !(id in legal))
                illegal = illegal (illegal == "" ? "" : ", ") event[id]
        if (illegal != "")
            printf "| %s | *%s:* %s | | |\n", name[s], machine ~ /^vpc_local_/ ? "passed over" : "illegal", illegal
    }
}

# The inline step_NAME(state, event): sets `state` to the next one and `did` to the actions, or `did` to ILLEGAL.
# States are NAME_STATE, events EV_EVENT, actions DO_ACTION (a bit each; events are printed with each
# machine, always the same).
function promela(    row, i, n, part, bits, key, count, s, short, id, arrow) {
    short = toupper(machine)
    sub(/^VPC_/, "", short)
    sub(/_CHANNEL$/, "", short)
    for (i = 0; i < 256; i++)
        if (i in event)
            printf "#define EV_%s %d\n", toupper(event[i]), i
    for (s = 0; s < 256; s++)
        if (s in name)
            printf "#define %s_%s %d\n", short, toupper(name[s]), s
    printf "#define %s_START %d\n", short, start
    count = 0
    for (id = 0; id in action; id++)
        if (action[id] !~ /^in_/)
            printf "#define %s_DO_%s %d\n", short, toupper(action[id]), 2 ^ count++
    for (row = 1; row <= rows; row++) {
        if (!(on[row] in event))
            continue
        n = split(does[row], part, " ")
        bits = ""
        for (i = 1; i <= n; i++)
            bits = bits (bits == "" ? "" : " + ") short "_DO_" toupper(part[i])
        key = from[row] SUBSEP to[row] SUBSEP (bits == "" ? "0" : bits)
        arrow[key] = arrow[key] (arrow[key] == "" ? "" : " || ") "ev == EV_" toupper(event[on[row]])
    }
    printf "inline step_%s(state, ev)\n{\n    if\n", tolower(short)
    for (s = 0; s < 256; s++) {
        if (!(s in name))
            continue
        printf "    :: state == %s_%s ->\n        if\n", short, toupper(name[s])
        for (key in arrow) {
            split(key, part, SUBSEP)
            if (part[1] + 0 == s)
                printf "        :: %s -> did = %s; state = %s_%s\n", \
                    arrow[key], part[3], short, toupper(name[part[2] + 0])
        }
        print "        :: else -> did = ILLEGAL\n        fi"
    }
    print "    fi\n}"
}

END {
    if (failed)
        exit 1
    if (rows == 0)
        fail("no transition found: is this the output of ragel -x?")
    if (form == "c")
        c_table()
    else if (form == "figure")
        mermaid_picture()
    else if (form == "states")
        state_table()
    else if (form == "promela")
        promela()
    else
        dot_picture()
}
