/* SPDX-License-Identifier: MIT */
/*
 * Which scenario notices it when a field is wrong: the suite judged, field by field.
 *
 * For each field that the specification knows (alter/field.h) and each way in which it can be wrong, the
 * implementation is run in-process with just that altered, by the scenarios in which the field occurs,
 * until one fails. A field that no scenario notices is a gap, as is one that never occurs.
 */
#ifndef VPC_CONFORM_FIELD_COVERAGE_H
#define VPC_CONFORM_FIELD_COVERAGE_H

#include <stdio.h>

#include "verdicts/suite.h"

/*
 * Writes a row for each field and change, then the gaps, and returns how many there are; the
 * implementations of the suite need an [abi]. What nobody can notice is listed with its reason in the
 * file (lines `[ROLE] PLACE OF.FIELD CHANGE REASON`, * for any OF, FIELD or CHANGE, # comments; it need not
 * exist); what is listed and noticed all the same is a gap too. SIZE_MAX with *error when it can not be
 * measured: the caller frees it.
 */
size_t vpc_field_coverage(struct vpc_suite *suite, const char *reasons, FILE *out, char **error);

#endif
