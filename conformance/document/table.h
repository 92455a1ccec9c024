/* SPDX-License-Identifier: MIT */
/*
 * The message table of VPCBus as data, read from spec/messages.json.
 *
 * Ownership: vpc_table_load() gives a table that the caller frees with vpc_table_free(); messages and fields
 * are parts of it and live as long.  Nothing here may be NULL.  A table is read-only after it was loaded.
 */
#ifndef VPC_CONFORM_TABLE_H
#define VPC_CONFORM_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VPC_MAX_FIELDS      16
#define VPC_MAX_MESSAGES    32
#define CONFORM_HEADER_SIZE 12u
#define CONFORM_SEAL_SIZE   16u

enum vpc_role_bit { VPC_FROM_HOST = 1, VPC_FROM_GUEST = 2 };

enum vpc_field_kind { VPC_FIELD_INT, VPC_FIELD_TEXT, VPC_FIELD_ZERO, VPC_FIELD_OCTETS };

struct vpc_field {
    char name[24];
    enum vpc_field_kind kind;
    size_t offset; /* in the body, in octets */
    size_t size;   /* in octets; 0: the rest of the body */
    uint64_t min;  /* of an integer's value */
    uint64_t max;
    size_t min_size; /* of OCTETS */
    size_t max_size;
};

struct conform_message {
    char name[16]; /* as the table has it, in capitals */
    uint8_t type;
    bool of_session; /* channel is zero */
    unsigned from;   /* enum vpc_role_bit */
    size_t min_body;
    size_t max_body;
    size_t field_count;
    struct vpc_field fields[VPC_MAX_FIELDS];
};

struct vpc_table {
    uint8_t pad;
    uint8_t magic[2];
    uint8_t flags;
    size_t preamble_min;
    size_t message_count;
    struct conform_message messages[VPC_MAX_MESSAGES];
};

/* Reads the table.  NULL when the text is not such a table; *error then tells why (the caller frees it). */
struct vpc_table *vpc_table_load(const char *json, char **error);
void vpc_table_free(struct vpc_table *table);

/* NULL when there is none.  The name is compared without regard to case. */
const struct conform_message *vpc_table_by_name(const struct vpc_table *table, const char *name);
const struct conform_message *vpc_table_by_type(const struct vpc_table *table, unsigned type);
const struct vpc_field *vpc_message_field(const struct conform_message *message, const char *name);

#endif
