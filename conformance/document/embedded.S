/* SPDX-License-Identifier: MIT */
/* The parts of the specification that the harness reads at run time, each followed by a NUL. */
    .section .rodata
    .macro embed name, file
    .global \name
\name:
    .incbin "\file"
    .byte 0
    .endm

    embed vpc_embedded_messages, "spec/messages.json"
    embed vpc_embedded_events, "spec/events.json"
    embed vpc_embedded_document, "spec/VPCBUS.md"

    .section .note.GNU-stack, "", %progbits
