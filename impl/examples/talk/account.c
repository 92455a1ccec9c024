/* SPDX-License-Identifier: MIT */
#include "account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool fill(const struct passwd *user, struct account *account)
{
    bool fits = strlen(user->pw_name) < sizeof(account->name) &&
                strlen(user->pw_dir) < sizeof(account->home);

    if (fits) {
        strcpy(account->name, user->pw_name);
        strcpy(account->home, user->pw_dir);
    }
    account->uid = user->pw_uid;
    account->gid = user->pw_gid;
    account->groups[0] = user->pw_gid;
    account->groups_count = 1;
    return fits;
}

static bool is_member(const struct group *group, const char *name)
{
    for (char **member = group->gr_mem; *member != NULL; member++)
        if (strcmp(*member, name) == 0)
            return true;
    return false;
}

static bool find_groups(struct account *account)
{
    FILE *file = fopen("/etc/group", "re");
    struct group *group;
    bool fits = true;

    while (file != NULL && fits && (group = fgetgrent(file)) != NULL)
        if (group->gr_gid != account->gid && is_member(group, account->name)) {
            fits = account->groups_count < ACCOUNT_GROUPS_MAX;
            if (fits)
                account->groups[account->groups_count++] = group->gr_gid;
        }
    if (file != NULL)
        fclose(file);
    return fits;
}

bool account_find(const char *name, struct account *account)
{
    FILE *file = fopen("/etc/passwd", "re");
    struct passwd *user = NULL;

    while (file != NULL && (user = fgetpwent(file)) != NULL && strcmp(user->pw_name, name) != 0)
        ;
    bool fits = user != NULL && fill(user, account);
    if (file != NULL)
        fclose(file);
    errno = user == NULL ? ENOENT : E2BIG;
    return fits && find_groups(account);
}

bool account_become(const struct account *account)
{
    uid_t real, effective, saved;
    gid_t group, effective_group, saved_group;

    if (geteuid() != 0)
        return geteuid() == account->uid && getuid() == account->uid;
    if (setgroups(account->groups_count, account->groups) != 0 ||
        setresgid(account->gid, account->gid, account->gid) != 0 ||
        setresuid(account->uid, account->uid, account->uid) != 0)
        return false;
    if (getresuid(&real, &effective, &saved) != 0 ||
        getresgid(&group, &effective_group, &saved_group) != 0)
        return false;
    return real == account->uid && effective == account->uid && saved == account->uid &&
           group == account->gid && effective_group == account->gid &&
           saved_group == account->gid && (account->uid == 0 || setuid(0) != 0);
}
