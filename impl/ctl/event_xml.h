/* SPDX-License-Identifier: MIT */
/* Log entries as Windows event XML; the conventions are those of lib/vpc.h. */
#ifndef VPC_CTL_EVENT_XML_H
#define VPC_CTL_EVENT_XML_H

#include <stdint.h>
#include <stdio.h>

/* What stands before and behind the events of one document. */
void vpc_event_xml_begin(FILE *out);
void vpc_event_xml_end(FILE *out);

/* One entry of the log (a JSON object, n octets) as an <Event>; `record` counts them from 1.  What is no JSON
 * object becomes nothing: returns 0, or EINVAL. */
int vpc_event_xml_entry(FILE *out, const char *text, size_t n, uint64_t record);

#endif
