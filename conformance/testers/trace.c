/* SPDX-License-Identifier: MIT */
#include "testers/trace.h"

#include <stdarg.h>
#include <stdlib.h>

#include "memory.h"

struct conform_trace *vpc_trace_begin(void)
{
    return vpc_alloc(sizeof(struct conform_trace));
}

static char **place_of(struct conform_trace *trace, size_t line)
{
    return line < VPC_TRACE_HEAD ? &trace->head[line]
                                 : &trace->tail[(line - VPC_TRACE_HEAD) % VPC_TRACE_TAIL];
}

void vpc_trace_end(struct conform_trace *trace)
{
    for (size_t i = 0; i < VPC_TRACE_HEAD; i++)
        free(trace->head[i]);
    for (size_t i = 0; i < VPC_TRACE_TAIL; i++)
        free(trace->tail[i]);
    free(trace);
}

void vpc_trace_add(struct conform_trace *trace, const char *format, ...)
{
    char **place = place_of(trace, trace->count++);
    uint64_t ms = trace->now - trace->start;
    char *text;
    va_list args;

    va_start(args, format);
    text = vpc_format_list(format, args);
    va_end(args);
    free(*place);
    *place = vpc_format("%6llu.%03llu %.300s", (unsigned long long)(ms / 1000),
                        (unsigned long long)(ms % 1000), text);
    free(text);
}

void vpc_trace_write(const struct conform_trace *trace, FILE *out, size_t n)
{
    size_t first = trace->count > n ? trace->count - n : 0;
    size_t kept = trace->count > VPC_TRACE_TAIL ? trace->count - VPC_TRACE_TAIL : 0;

    for (size_t i = first; i < trace->count; i++) {
        if (i >= VPC_TRACE_HEAD && i < kept) {
            fprintf(out, "       ... %zu lines are left out\n", kept - i);
            i = kept;
        }
        fprintf(out, "%s\n",
                i < VPC_TRACE_HEAD ? trace->head[i]
                                   : trace->tail[(i - VPC_TRACE_HEAD) % VPC_TRACE_TAIL]);
    }
}
