# The event catalogue as a C header: an enum of the ids, and the rows of a table.
"/* Generated from spec/events.json. */",
"enum vpc_log_id {",
(.events[] | "    VPC_LOG_\(.name) = \(.id),"),
"};",
"struct vpc_log_kind {\n    int id;\n    const char *name, *level, *message;\n};",
"#define VPC_LOG_KINDS \\",
(.events[] | "    {\(.id), \(.name | @json), \(.level | @json), \(.message | @json)}, \\"),
""
