/* SPDX-License-Identifier: MIT */
/* What check-rewrite rewrites of Ragel's C: actions, a condition, fbreak and fgoto.  Each mutant shows in what main() prints. */
#include <stdio.h>
#include <string.h>

%%{
machine sample;

action sum    { sum += fc - '0'; }
action few    { count < 3 }
action counts { count = count + 1; }
action whole  { result = sum; fbreak; }
action bad {
    if (again) {
        fhold;
        fgoto other;
    }
    result = -7;
    fbreak;
}

main := ( ( digit when few ) $sum $counts )+ ';' @whole $!bad;
other := any @{ result = 40 + count; };

write data noerror nofinal;
}%%

static int read_sum(const char *text, int again)
{
    const char *p = text, *pe = text + strlen(text), *const eof = NULL;
    int cs, sum = 0, count = 0, result = -1;

    %% write init;
    %% write exec;
    printf("%d ", (int)(p - text));
    return result;
}

int main(void)
{
    printf("%d\n", read_sum("12;x", 0));
    printf("%d\n", read_sum("123;", 0));
    printf("%d\n", read_sum("1234;", 0));
    printf("%d\n", read_sum("12x", 0));
    printf("%d\n", read_sum("12x", 1));
    printf("%d\n", read_sum("12", 0));
    return 0;
}
