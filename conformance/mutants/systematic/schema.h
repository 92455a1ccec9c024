/* SPDX-License-Identifier: MIT */
/*
 * What the rewritten reference is full of: each place that can be changed asks here whether it is the one
 * that is.
 *
 * Every call is given the number of its mutant and returns whether that one was chosen.  On the way it marks
 * the mutant as reached, and as one that makes a difference here: a scenario that never marks the second can
 * not see the mutant.
 */
#ifndef VPC_MUTANT_SCHEMA_H
#define VPC_MUTANT_SCHEMA_H

extern int vpc_mutant_chosen;
/* for each mutant VPC_MUTANT_REACHED and VPC_MUTANT_DIFFERS */
extern unsigned char *vpc_mutant_seen;

#define VPC_MUTANT_ROOM    65536
#define VPC_MUTANT_REACHED 1
#define VPC_MUTANT_DIFFERS 2

static inline int vpc_m_if(int mutant, int differs)
{
    vpc_mutant_seen[mutant] |=
        differs ? VPC_MUTANT_REACHED | VPC_MUTANT_DIFFERS : VPC_MUTANT_REACHED;
    return vpc_mutant_chosen == mutant;
}

static inline int vpc_m(int mutant)
{
    return vpc_m_if(mutant, 1);
}

/* A truth value, or what the mutant makes of it. */
static inline int vpc_m_truth(int mutant, int value, int mutated)
{
    return vpc_m_if(mutant, value != mutated) ? mutated : value;
}

#endif
