/* SPDX-License-Identifier: MIT */
/*
 * The grammar of the scenario language: one line at a time, and durations.
 *
 * The line machine splits a line into who, label, direction and arguments, and knows at each octet what could stand there;
 * the error action of the part in which a line stops fitting names it.  What the words mean is a table, steps.def.
 */
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "script/script.h"

%%{
machine vpc_script_line;
alphtype unsigned char;

action who_end   { line->who = vpc_copy_n((const char *)mark, (size_t)(p - mark)); }
action label_end { line->label = vpc_copy_n((const char *)mark, (size_t)(p - mark)); }
action mark      { mark = p; }
action arrow      { line->direction = (char)*p; }
action item      { arg = add_arg(line, (int)(p - start) + 1); mark = p; }
action key_end   { arg->key = vpc_copy_n((const char *)mark, (size_t)(p - mark)); }
action differs   { arg->differs = true; }
action value     { mark = p; }
action bare_end  { arg->size = (size_t)(p - mark); arg->value = vpc_copy_n((const char *)mark, arg->size); }
action text_end  { take_text(arg, mark + 1, (size_t)(p - mark) - 1); }

action want_who   { *expected = NULL; }
action want_label { *expected = "a label, letters and digits"; }
action want_space { *expected = "a space, or the end of the line"; }
action want_item  { *expected = "a word, NAME=VALUE, \"text\" or $variable"; }
action want_value { *expected = "a value: a number, a word, \"text\" or $variable"; }
action want_text  { *expected = "the text's closing quote, or an escape: \\n \\r \\t \\0 \\\" \\\\ \\xHH"; }
action want_number { *expected = "a number"; }
action want_equal { *expected = "= or != and a value"; }

sp      = [ \t]+;
eol     = [ \t\r]* ( '#' [^\n]* )? '\n';
word    = [A-Za-z_] [A-Za-z0-9_\-]*;
key     = [a-z_] [a-z0-9_.\-]*;
counter = '{' [a-z_]+ '}';
name    = ( [A-Za-z_] | counter ) ( [A-Za-z0-9_\-] | counter )*;
bare    = ( [!-~] - ["#=<>$!] )+;
var     = '$' [A-Za-z_] ( [A-Za-z0-9_] | counter )* ( [+\-] ( digit+ >!want_number ) )?;
escape  = '\\' ( [nrt0"\\] | 'x' xdigit{2} );
string  = '"' ( ( ( 0x20..0x7e | 0x80..0xff ) - ["\\] ) | escape )* '"';

text    = ( string >value @text_end ) <>!want_text;
value   = text | ( ( var | bare ) >value %bare_end );
pair    = key %key_end ( '=' | ( ( '!' '=' ) <>!want_equal ) @differs ) ( value >!want_value );
single  = value;
item    = ( pair | single ) >item;

who     = word >mark %who_end;
label   = ':' ( ( name >mark %label_end ) >!want_label );

line   := [ \t]* ( ( who label? %!want_space
              ( sp [<>] @arrow )?
              ( sp item >!want_item %!want_space )* ) >!want_who )? eol;
}%%

%% write data noerror noentry;

static struct vpc_arg *add_arg(struct vpc_line *line, int column)
{
    line->args = vpc_grow(line->args, line->arg_count + 1, sizeof(*line->args));
    line->args[line->arg_count] = (struct vpc_arg){.column = column};
    return &line->args[line->arg_count++];
}

static int hex(unsigned char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

static void take_text(struct vpc_arg *arg, const unsigned char *in, size_t n)
{
    static const char letters[] = "nrt0\"\\", octets[] = "\n\r\t\0\"\\";

    arg->quoted = true;
    arg->value = vpc_alloc(n + 1);
    for (size_t i = 0; i < n; i++) {
        if (in[i] != '\\') {
            arg->value[arg->size++] = (char)in[i];
        } else if (in[++i] == 'x') {
            arg->value[arg->size++] = (char)(hex(in[i + 1]) << 4 | hex(in[i + 2]));
            i += 2;
        } else {
            arg->value[arg->size++] = octets[strchr(letters, in[i]) - letters];
        }
    }
}

bool vpc_line_parse(const char *text, size_t size, struct vpc_line *line, int *column,
                    const char **expected)
{
    const unsigned char *start = (const unsigned char *)text, *p = start, *pe = start + size;
    const unsigned char *eof = pe, *mark = p;
    struct vpc_arg *arg = NULL;
    int cs;

    *line = (struct vpc_line){0};
    *expected = "the end of the line";
    %% write init;
    %% write exec;
    *column = (int)(p - start) + 1;
    return cs >= vpc_script_line_first_final;
}

void vpc_line_clear(struct vpc_line *line)
{
    for (size_t i = 0; i < line->arg_count; i++) {
        free(line->args[i].key);
        free(line->args[i].value);
    }
    free(line->args);
    free(line->who);
    free(line->label);
    *line = (struct vpc_line){0};
}

%%{
machine vpc_duration;

action digit  { number = number * 10 + (*p - '0'); if (number > 100000000) return false; }
action second { number *= 1000; }
action amount { span->ms += sign * number; number = 0; }
action mark   { mark = p; }
action name   {
    if (!add_timer(span, spec, mark, (size_t)(p - mark), sign))
        return false;
}

amount = ( digit+ $digit ( "ms" | 's' @second ) ) %amount;
timer  = ( [a-z] [a-z_]* ) >mark %name;
term   = amount | timer;
main  := term ( ( '+' @{ sign = 1; } | '-' @{ sign = -1; } ) term )*;
}%%

%% write data noerror noentry;

static bool add_timer(struct vpc_span *span, const struct vpc_spec *spec, const char *name, size_t n,
                      int sign)
{
    char *full = vpc_format("%.*s_ms", (int)n, name);
    const struct vpc_setting *timer = vpc_spec_setting(spec, full);

    free(full);
    if (timer == NULL || span->count == VPC_SPAN_TIMERS)
        return false;
    span->timers[span->count].timer = timer;
    span->timers[span->count++].sign = sign;
    return true;
}

/* Whether it is nothing or more with the defaults. */
static bool is_length(const struct vpc_span *span)
{
    int64_t sum = span->ms;

    for (size_t i = 0; i < span->count; i++)
        sum += span->timers[i].sign * (int64_t)span->timers[i].timer->value;
    return sum >= 0;
}

bool vpc_span_parse(const char *text, const struct vpc_spec *spec, struct vpc_span *span)
{
    const char *p = text, *pe = text + strlen(text), *eof = pe, *mark = p;
    int64_t number = 0;
    int cs, sign = 1;

    *span = (struct vpc_span){0};
    %% write init;
    %% write exec;
    return cs >= vpc_duration_first_final && is_length(span);
}

uint64_t vpc_span_ms(const struct vpc_span *span, vpc_timer_fn *value, const void *user)
{
    int64_t sum = span->ms;

    for (size_t i = 0; i < span->count; i++)
        sum += span->timers[i].sign * (int64_t)value(user, span->timers[i].timer);
    return sum < 0 ? 0 : (uint64_t)sum;
}
