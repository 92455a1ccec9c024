/* SPDX-License-Identifier: MIT */
/* Texts of spec/ and of report/, embedded at build: NUL-terminated, read-only, alive as long as the program. */
#ifndef VPC_CONFORM_EMBEDDED_H
#define VPC_CONFORM_EMBEDDED_H

extern const char vpc_embedded_messages[]; /* spec/messages.json */
extern const char vpc_embedded_events[];   /* spec/events.json */
extern const char vpc_embedded_document[]; /* spec/VPCBUS.md */
extern const char vpc_embedded_page[];     /* conformance/report/page.html */
extern const char vpc_embedded_style[];    /* conformance/report/page.css */
extern const char vpc_embedded_script[];   /* conformance/report/page.js */

#endif
