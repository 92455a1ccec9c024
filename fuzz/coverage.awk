# Sums up an lcov file without the lines that are left out.  usage: awk -v want_lines=P -v want_branches=P -f THIS LEFT-OUT LCOV
FILENAME == ARGV[1] { out[$1, $2] = 1; next }
/^SF:/ { n = split($0, part, "/"); file = part[n]; if (!(file in seen)) { seen[file] = 1; order[++files] = file } }
/^DA:/ { split(substr($0, 4), f, ","); if (!((file, f[1]) in out)) { L[file]++; if (f[2] > 0) l[file]++
    else print "not reached: " file ":" f[1] } }
/^BRDA:/ { split(substr($0, 6), f, ","); if (!((file, f[1]) in out)) { B[file]++; if (f[4] != "-" && f[4] > 0) b[file]++
    else print "one way only: " file ":" f[1] } }
function row(title, l, L, b, B) {
    printf "%-16s %6d lines %6.2f %%   %6d branches %6.2f %%\n", title, L, 100 * l / L, B, B ? 100 * b / B : 100
    return 100 * l >= want_lines * L && 100 * b >= want_branches * B
}
END {
    for (i = 1; i <= files; i++) {
        name = order[i]; row(name, l[name], L[name], b[name], B[name])
        g = name == "parser.c" || name == "machines.c"
        for (k = 0; k < 2; k++) if (k == g) { tl[k] += l[name]; tL[k] += L[name]; tb[k] += b[name]; tB[k] += B[name] }
    }
    if (tL[0] == 0 || tL[1] == 0) { print "coverage: nothing was measured"; exit 1 }
    good = row("written by hand", tl[0], tL[0], tb[0], tB[0])
    if (!row("by ragel", tl[1], tL[1], tb[1], tB[1])) good = 0
    if (!good) print "below the goals: " want_lines " % of lines, " want_branches " % of branches"
    exit !good
}