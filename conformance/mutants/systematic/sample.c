/* SPDX-License-Identifier: MIT */
/* What check-rewrite rewrites: one of everything.  Each mutant shows in what main() prints, but that of never_differs(). */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define LIMIT 5
#define GOOD  0x0u

enum colour { RED = 3, GREEN = 4, NONE = 0 };

static const struct row {
    const char *name;
    int value;
} rows[] = {
    {"one", 11},
    {"two", 22},
};

static int negated(int n)
{
    int sum = 0;

    if (n > LIMIT)
        sum = sum + n;
    return sum;
}

static bool both(bool a, bool b)
{
    return a && !b;
}

static int first_above(const int *numbers, int count, int than)
{
    for (int i = 0; i < count; i++) {
        if (numbers[i] <= than)
            continue;
        return i;
    }
    return -1;
}

static void say(enum colour colour)
{
    switch (colour) {
    case RED:
        puts("red");
        break;
    case GREEN:
        puts("green");
    }
}

static void say_if(bool wanted)
{
    if (!wanted) {
        puts("unwanted");
        return;
    }
    puts("wanted");
}

/* Its limit is never met: `<` and `<=` are one. */
static bool never_differs(int n)
{
    return n < 100;
}

/* What returns 0 is no other result, and an unused parameter no statement. */
static unsigned result(enum colour unused)
{
    (void)unused;
    return GOOD;
}

static enum colour no_colour(void)
{
    return NONE;
}

int main(void)
{
    static const int numbers[] = {2, 5, 6, 9};
    int calls = 0;

    printf("%d %d %d\n", negated(LIMIT), negated(LIMIT + 1), negated(LIMIT - 1));
    printf("%d%d%d%d\n", both(false, false), both(false, true), both(true, false), both(true, true));
    printf("%d %d %d\n", first_above(numbers, 3, 5), first_above(numbers, 3, 1), first_above(numbers, 3, 6));
    say(RED);
    say(GREEN);
    say_if(true);
    say_if(false);
    for (size_t i = 0; i < 2; i++)
        printf("%s %d %d\n", rows[i].name, rows[i].value, ++calls);
    printf("%d\n", calls);
    printf("%d\n", never_differs(3));
    printf("%u %u\n", result(RED), no_colour());
    return 0;
}
