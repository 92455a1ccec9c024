/* SPDX-License-Identifier: MIT */
#include "cli/places.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"

#define SCENARIOS "conformance/scenarios"

static char *folder_of_program(void)
{
    char *path = realpath("/proc/self/exe", NULL), *slash = path ? strrchr(path, '/') : NULL;

    if (slash)
        *slash = '\0';
    return path ? path : vpc_copy(".");
}

static bool has(const char *folder, const char *name)
{
    char *path = vpc_format("%s/%s", folder, name);
    bool there = access(path, R_OK) == 0;

    free(path);
    return there;
}

/* The folder that holds the scenarios and the tools; "." when none is beside the program. */
static char *find_root(const char *build)
{
    static const char *const near[] = {"..", "../..", "../../..", "../share/vpcbus",
                                       "../../share/vpcbus"};

    for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++) {
        char *path = vpc_format("%s/%s", build, near[i]), *root = realpath(path, NULL);

        free(path);
        if (root && has(root, SCENARIOS))
            return root;
        free(root);
    }
    return vpc_copy(".");
}

/* As tools/guest-image has it. */
static char *guest_dir(const char *root, const char *build)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

    if (has(root, "Makefile") || (!home && !cache))
        return vpc_format("%s/guest", build);
    return cache && *cache ? vpc_format("%s/vpcbus/guest", cache)
                           : vpc_format("%s/.cache/vpcbus/guest", home ? home : "");
}

void vpc_places_find(struct vpc_places *places)
{
    char *build = folder_of_program(), *root = find_root(build);

    *places = (struct vpc_places){.build = build,
                                  .scenarios = vpc_format("%s/" SCENARIOS, root),
                                  .guest_dir = guest_dir(root, build),
                                  .guest_image = vpc_format("%s/tools/guest-image", root),
                                  .launcher = vpc_format("%s/tools/vm", root)};
    free(root);
}

void vpc_places_forget(struct vpc_places *places)
{
    free(places->build);
    free(places->scenarios);
    free(places->guest_dir);
    free(places->guest_image);
    free(places->launcher);
}
