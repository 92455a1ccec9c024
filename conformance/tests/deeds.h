/* SPDX-License-Identifier: MIT */
/* What no subject should do: the lying endpoint and the rogue program share these deeds. */
#ifndef VPC_CONFORM_DEEDS_H
#define VPC_CONFORM_DEEDS_H

/* Does what is called so, if anything is; it may not return. */
void vpc_deed(const char *name);

#endif
