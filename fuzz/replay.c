/* SPDX-License-Identifier: MIT */
/* Runs a fuzz target over the files named, or the files in the directories named, without any fuzzer. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LARGEST (1u << 20)

static unsigned count;

static void fail(const char *path)
{
    fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
    exit(2);
}

static void run_file(const char *path)
{
    static uint8_t buffer[LARGEST];
    FILE *file = fopen(path, "rbe");
    uint8_t *copy;
    size_t n;

    if (file == NULL)
        fail(path);
    n = fread(buffer, 1, sizeof(buffer), file);
    if (ferror(file))
        fail(path);
    fclose(file);
    copy = malloc(n > 0 ? n : 1); /* its own block: a look behind the end is seen */
    if (copy == NULL)
        fail(path);
    memcpy(copy, buffer, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
    count++;
}

static void run_directory(const char *path, DIR *directory)
{
    const struct dirent *entry;
    char name[4096];

    while ((entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        run_file(name);
    }
    closedir(directory);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        DIR *directory = opendir(argv[i]);

        if (directory != NULL)
            run_directory(argv[i], directory);
        else
            run_file(argv[i]);
    }
    if (count == 0) {
        fprintf(stderr, "replay: no input: name files or directories that hold some\n");
        return 2;
    }
    printf("%s: %u inputs\n", argv[0], count);
    return 0;
}
