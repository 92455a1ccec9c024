/* SPDX-License-Identifier: MIT */
/* File names made of free text; the conventions are those of vpc.h. */
#ifndef VPC_FILE_NAME_H
#define VPC_FILE_NAME_H

#define VPC_FILE_NAME_SIZE 64u

/*
 * Writes a file name for text: [A-Za-z0-9._-] as they are, other octets as %XX; of what is then
 * longer than 60 octets the first 40, '~', and the FNV-1a hash (64 bits, hexadecimal) of text.
 * Different texts have different names.
 */
void vpc_file_name(const char *text, char name[VPC_FILE_NAME_SIZE]);
/* '~' and the hash of text alone, 17 octets. */
void vpc_brief_file_name(const char *text, char name[VPC_FILE_NAME_SIZE]);

#endif
