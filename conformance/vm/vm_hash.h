/*
 * A hash of contents, for names of what is cached: the same contents have the same name.
 *
 * It is no defence against anyone: who may write the inputs may write the cache too.
 */
#ifndef VPC_CONFORMANCE_VM_HASH_H
#define VPC_CONFORMANCE_VM_HASH_H

#include <stddef.h>
#include <stdint.h>

#define VPC_HASH_BEGIN 0xcbf29ce484222325u

/* Goes on from hash, at first VPC_HASH_BEGIN; the same bytes in other pieces give another one. */
uint64_t vpc_hash(uint64_t hash, const void *bytes, size_t size);
/* The text with its NUL, so that two texts are not the same as one; NULL is not "". */
uint64_t vpc_hash_text(uint64_t hash, const char *text);
/* The longest file that has one, in octets. */
#define VPC_HASH_FILE_MAX (INT64_C(1) << 30)
/*
 * The contents of a regular file: 0, or an errno: EINVAL or EISDIR for what is none, EFBIG for what is too
 * long, ESTALE for what changes while it is read.  It waits for nobody.
 */
int vpc_hash_file(uint64_t *hash, const char *path);

#endif
