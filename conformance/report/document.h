/* SPDX-License-Identifier: MIT */
/* The one document behind the JSON report and the page: report.schema.json says what is in it. */
#ifndef VPC_CONFORM_DOCUMENT_H
#define VPC_CONFORM_DOCUMENT_H

#include <jansson.h>

#include "report/topics.h"

/* The caller's to json_decref(). */
json_t *vpc_report_document(const struct vpc_suite *suite);
/* The lines of a trace (testers/trace.h) as objects: when, who, which way, of which step, what. */
json_t *vpc_trace_json(const char *trace);

#endif
