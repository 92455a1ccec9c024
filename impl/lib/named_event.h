/* SPDX-License-Identifier: MIT */
/* The ready event as a host endpoint owns it (RDY-7), beside what vpc.h has for everybody.  Results are 0 or an errno. */
#ifndef VPC_NAMED_EVENT_H
#define VPC_NAMED_EVENT_H

#include <stdbool.h>
#include <sys/types.h>

#include "vpc.h"

#define VPC_EVENT_OWNER_SIZE 60u /* the name of an owner, cut to fit, with its NUL */

/* vpc_event_open() for a host endpoint that lets a group in (NULL: none): its members can see the event, not set it. */
int vpc_event_open_for(const char *dir, const char *name, const gid_t *group, vpc_event **event);
/*
 * Becomes or stays the owner, for the virtual machine vm.  EBUSY: another is, or wants to be to whom the tag was given
 * when it was not given here but said by a guest.  ECANCELED: the same of an owner, who must give it up now.  With a given tag that right is kept
 * from the first call on, also when the event has another owner.
 */
int vpc_event_claim(vpc_event *event, const char *vm, bool given);
/*
 * That the owner lives is a lock of this descriptor, which is the caller's from now on: who has it must end, or close it,
 * with the owner.  -1: it was handed over, and is still the right one; until then the event has it.
 */
int vpc_event_hand_over(vpc_event *event);
/* The name of the owner's virtual machine, "" when it is not known; what is not printable ASCII is '?'. */
void vpc_event_owner(const vpc_event *event, char name[VPC_EVENT_OWNER_SIZE]);
/* As vpc_event_close().  The file of an owner's event that was not given goes too, unless somebody has it open. */
void vpc_event_give_up(vpc_event *event);
/* Removes the files below the runtime folder `root` that a killed owner left for its machine, and that nobody has open. */
void vpc_events_clear(const char *root, const char *vm);

#endif
