/* SPDX-License-Identifier: MIT */
/*
 * Whole files, read and written in one go.
 *
 * What a user names as a file to be read is a regular one of at most VPC_FILE_MAX octets, or an error: nobody
 * waits for whoever may write into a FIFO, and a device that never ends is not read.  What is written to may
 * be a device or a FIFO, if somebody reads that.
 *
 * Errors: errno says why, and vpc_file_words() says it for people.  A file that could not be written whole is
 * an error; what there is of it stays.
 */
#ifndef VPC_CONFORM_FILES_H
#define VPC_CONFORM_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define VPC_FILE_MAX (16u << 20)

/* As strerror(), in the words of files: EINVAL is no regular file. */
const char *vpc_file_words(int error);
/* For reading; NULL. */
FILE *vpc_file_open(const char *path);
/* For writing, empty; NULL. */
FILE *vpc_file_create(const char *path);
/* The text of a file up to its first NUL, the caller's; NULL. */
char *vpc_file_read(const char *path);

/* Writes to out; whoever gave it looks whether that went well. */
typedef void vpc_write_fn(FILE *out, const void *user);
/* What write() says becomes the file, or goes to standard output for "-". */
bool vpc_file_write(const char *path, vpc_write_fn *write, const void *user);
/* Closes a file that was written. */
bool vpc_file_close(FILE *out);
/* The same as vpc_file_write(), of a text. */
bool vpc_file_write_text(const char *path, const char *text);

/*
 * A file which a stranger may have put there: no link is followed, nothing is waited for, and what is no
 * regular file is not opened (EINVAL).  To write is to append; it is made, and a link, FIFO or socket in its
 * place is removed; a device or a folder never is.  -1 with errno.
 */
int vpc_file_open_stranger(const char *path);
int vpc_file_append_stranger(const char *path);

/*
 * Copies a file which a stranger may have put there: no link is followed, only a regular file is opened, and
 * at most max octets of it are taken.  What is not there, or is no such file, is no error: there is no copy
 * then.
 */
bool vpc_file_copy(const char *from, const char *to, uint64_t max);

#endif
