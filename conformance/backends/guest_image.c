/* SPDX-License-Identifier: MIT */
/* See guest_image.h.  An initrd is named after its descriptor and its contents; older ones of the descriptor go. */
#include "backends/guest_image.h"

#include <errno.h>
#include <glob.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/words.h"
#include "document/table.h"
#include "files.h"
#include "memory.h"
#include "vm/vm_hash.h"

#define OVERLAY_MAX 64

extern char **environ;

struct image {
    const struct vpc_implementation *implementation;
    const char *dir, *tool;
    char *overlays[OVERLAY_MAX]; /* SRC:DST[:MODE] */
    size_t count;
};

static bool add_overlay(struct image *image, char *overlay, char **error)
{
    if (image->count < OVERLAY_MAX) {
        image->overlays[image->count++] = overlay;
        return true;
    }
    free(overlay);
    *error = vpc_format("%s: files in [guest] lists more than %d", image->implementation->path,
                        OVERLAY_MAX - 1);
    return false;
}

/* Each word is FROM:TO or FROM:TO:MODE. */
static bool add_files(struct image *image, const char *build, char **error)
{
    const struct vpc_implementation *implementation = image->implementation;
    const struct vpc_value values[] = {{.name = "build", .text = build}, {.name = NULL}};
    const char *files = implementation->guest_files ? implementation->guest_files : "";
    char *why = NULL, **list = vpc_words_fill(files, values, &why);
    bool good = list != NULL;

    if (!good)
        *error = vpc_format("%s: files in [guest]: %s", implementation->path, why);
    for (size_t i = 0; good && list[i]; i++)
        good = add_overlay(image, vpc_implementation_path(implementation, list[i]), error);
    vpc_words_free(list);
    free(why);
    return good;
}

/* What stands before :/, the last of them, or all where there is none. */
static char *source_of(const char *overlay)
{
    const char *end = overlay + strlen(overlay);

    for (const char *at = strstr(overlay, ":/"); at; at = strstr(at + 1, ":/"))
        end = at;
    return vpc_copy_n(overlay, (size_t)(end - overlay));
}

static const char *why_unfit(int error)
{
    switch (error) {
    case ENOENT:
        return "No such file or directory; is it built?";
    case EISDIR:
        return "it is a folder: pack it into an archive, FROM.tar, and lay that over a folder, TO/";
    case EFBIG:
        return "it is larger than 1 GiB";
    case ESTALE:
        return "it changes while it is read: does something write it?";
    default:
        return vpc_file_words(error);
    }
}
_Static_assert(VPC_HASH_FILE_MAX == 1 << 30, "why_unfit() says so");

static bool hash_overlay(const struct image *image, const char *overlay, uint64_t *hash,
                         char **error)
{
    char *source = source_of(overlay);
    int wrong = vpc_hash_file(hash, source);

    *hash = vpc_hash_text(*hash, overlay);
    if (wrong)
        *error = vpc_format("%s: files in [guest] needs %s: %s", image->implementation->path,
                            source, why_unfit(wrong));
    free(source);
    return wrong == 0;
}

static bool run_tool(const struct image *image, const char *const *argv, char **error)
{
    int status = -1;
    pid_t pid;
    int wrong = posix_spawn(&pid, image->tool, NULL, NULL, (char *const *)argv, environ);

    while (wrong == 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (wrong)
        *error =
            vpc_format("%s can not be run: %s; give --guest-image", image->tool, strerror(wrong));
    else if (status)
        *error = vpc_format("%s failed: it has said above why", image->tool);
    return wrong == 0 && status == 0;
}

static bool ensure_base(const struct image *image, char **error)
{
    const char *argv[] = {image->tool, "--dir", image->dir, NULL};

    return run_tool(image, argv, error);
}

static bool make(const struct image *image, const char *initrd, char **error)
{
    const char *argv[2 * OVERLAY_MAX + 6] = {image->tool, "--dir", image->dir, "-o", initrd};
    size_t at = 5;

    for (size_t i = 0; i < image->count; i++) {
        argv[at++] = "--overlay";
        argv[at++] = image->overlays[i];
    }
    return run_tool(image, argv, error);
}

/* Of the base and all that is laid over it. */
static bool hash_all(const struct image *image, uint64_t *hash, char **error)
{
    char *base = vpc_format("%s/base.cpio.gz", image->dir);
    int wrong;
    bool good;

    *hash = VPC_HASH_BEGIN;
    wrong = vpc_hash_file(hash, base);
    good = wrong == 0;
    if (wrong)
        *error = vpc_format("%s: %s", base, why_unfit(wrong));
    free(base);
    for (size_t i = 0; good && i < image->count; i++)
        good = hash_overlay(image, image->overlays[i], hash, error);
    return good;
}

/* The tool reads the files once more: an image of something else must not have their name. */
static bool still_the_same(const struct image *image, uint64_t hash, char **error)
{
    uint64_t now;

    if (!hash_all(image, &now, error))
        return false;
    if (now != hash)
        *error =
            vpc_format("%s: files in [guest] change while the guest image is made of them: does "
                       "something write them?",
                       image->implementation->path);
    return now == hash;
}

static void remove_all(const char *pattern)
{
    glob_t found;

    if (glob(pattern, 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        unlink(found.gl_pathv[i]);
    globfree(&found);
}

static bool make_unless_there(const struct image *image, char **initrd, char **error)
{
    const char *slash = strrchr(image->implementation->path, '/');
    const char *name = slash ? slash + 1 : image->implementation->path;
    uint64_t hash;
    char *others;

    if (!hash_all(image, &hash, error))
        return false;
    *initrd = vpc_format("%s/%s.%016llx.cpio.gz", image->dir, name, (unsigned long long)hash);
    if (access(*initrd, R_OK) == 0)
        return true;
    others = vpc_format("%s/%s.*.cpio.gz", image->dir, name);
    remove_all(others);
    free(others);
    if (make(image, *initrd, error) && still_the_same(image, hash, error))
        return true;
    unlink(*initrd);
    free(*initrd);
    *initrd = NULL;
    return false;
}

bool vpc_guest_image(const struct vpc_implementation *implementation, const char *build,
                     const char *guest_dir, const char *tool, char **initrd, char **error)
{
    struct image image = {.implementation = implementation, .dir = guest_dir, .tool = tool};
    bool good = add_overlay(&image, vpc_format("%s/vpc-puppet:/etc/vpc/boot:755", build), error) &&
                (implementation->role == VPC_FROM_HOST || add_files(&image, build, error)) &&
                ensure_base(&image, error) && make_unless_there(&image, initrd, error);

    for (size_t i = 0; i < image.count; i++)
        free(image.overlays[i]);
    return good;
}
