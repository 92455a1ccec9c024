/* SPDX-License-Identifier: MIT */
/*
 * Where vpc-conform has its things: in the tree in which it was built, in whichever folder of it, or as `make
 * install` lays them; else in this folder.  It is asked where it is itself, so both may be copied and moved.
 *
 *   tree:       ROOT/build/vpc-conform        ROOT/conformance/scenarios   ROOT/tools
 *   installed:  PREFIX/lib/vpcbus/vpc-conform with ROOT = PREFIX/share/vpcbus, which holds the same
 *
 * An installed tree is nobody's to write to: guest images are made in the user's cache then.
 */
#ifndef VPC_CONFORM_PLACES_H
#define VPC_CONFORM_PLACES_H

/* Absolute paths, but for what is found in this folder alone. */
struct vpc_places {
    char *build;       /* the folder of the program */
    char *scenarios;   /* the folder of all scenarios */
    char *guest_dir;   /* where guests' kernel and images are made */
    char *guest_image; /* the program that makes them */
    char *launcher;    /* the program that starts virtual machines */
};

/* Fills all in, with paths that may lead to nothing; vpc_places_forget() frees them. */
void vpc_places_find(struct vpc_places *places);
void vpc_places_forget(struct vpc_places *places);

#endif
