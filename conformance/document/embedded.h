/* SPDX-License-Identifier: MIT */
/* Texts of spec/, of the report's page, and of `vpc-conform new`, embedded at build: NUL-terminated,
   read-only, alive as long as the program. */
#ifndef VPC_CONFORM_EMBEDDED_H
#define VPC_CONFORM_EMBEDDED_H

extern const char vpc_embedded_messages[];    /* spec/messages.json */
extern const char vpc_embedded_events[];      /* spec/events.json */
extern const char vpc_embedded_control[];     /* spec/control.schema.json */
extern const char vpc_embedded_document[];    /* spec/VPCBUS.md */
extern const char vpc_embedded_page[];        /* conformance/report/page.html */
extern const char vpc_embedded_style[];       /* conformance/report/page.css */
extern const char vpc_embedded_script[];      /* conformance/report/page.js */
extern const char vpc_embedded_new_host[];    /* conformance/cli/templates/host.ini */
extern const char vpc_embedded_new_guest[];   /* .../guest.ini */
extern const char vpc_embedded_new_adapter[]; /* .../adapter.c */

#endif
