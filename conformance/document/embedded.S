/* SPDX-License-Identifier: MIT */
/* The parts of the specification that the harness reads at run time, and those of the page of its report, each followed by a NUL. */
    .section .rodata
    .macro embed name, file
    .global \name
\name:
    .incbin "\file"
    .byte 0
    .endm

    embed vpc_embedded_messages, "spec/messages.json"
    embed vpc_embedded_events, "spec/events.json"
    embed vpc_embedded_control, "spec/control.schema.json"
    embed vpc_embedded_document, "spec/VPCBUS.md"
    embed vpc_embedded_page, "conformance/report/page.html"
    embed vpc_embedded_style, "conformance/report/page.css"
    embed vpc_embedded_script, "conformance/report/page.js"
    embed vpc_embedded_new_host, "conformance/cli/templates/host.ini"
    embed vpc_embedded_new_guest, "conformance/cli/templates/guest.ini"
    embed vpc_embedded_new_adapter, "conformance/cli/templates/adapter.c"

    .section .note.GNU-stack, "", %progbits
