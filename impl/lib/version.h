/* SPDX-License-Identifier: MIT */
/* The version of what is built, as text: VERSION of the Makefile. */
#ifndef VPC_VERSION_H
#define VPC_VERSION_H

#define VPC_QUOTED(word)   #word
#define VPC_AS_TEXT(macro) VPC_QUOTED(macro)
#define VPC_VERSION_TEXT   VPC_AS_TEXT(VPC_VERSION)

#endif
