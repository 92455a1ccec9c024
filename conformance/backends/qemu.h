/* SPDX-License-Identifier: MIT */
/*
 * What the two halves of the QEMU backend share: the virtual machine, and what is seen.
 *
 *   backend_qemu.c  both: what runs share, the VM's life and events, time
 *   qemu_guest.c    the subject is a guest endpoint: the puppet runs it, the harness is at QEMU's side of the bus
 *   qemu_things.c   its upper testers: what lives in the puppet, control clients, TCP servers, the log
 *   qemu_host.c     the subject is a host endpoint: a process here, the harness is at the guest's side of the bus
 */
#ifndef VPC_CONFORM_QEMU_H
#define VPC_CONFORM_QEMU_H

#include "backends/backend.h"
#include "memory.h"
#include "vm/vm.h"

/* To keep a machine or to go back: far more than its memory takes, on a busy machine too. */
#define VPC_QEMU_KEEP_MS 30000

/* Of the puppet: far more than it ever needs, on a busy machine too. */
#define VPC_QEMU_ANSWER_MS 5000

struct vpc_qemu {
    struct vpc_backend base;
    struct vpc_backend_config config;
    struct vpc_vm *vm; /* NULL: none runs */
    /* Is given each event of the puppet. */
    void (*on_puppet)(struct vpc_qemu *self, const struct vpc_puppet_event *event);
    uint32_t pong; /* the last ping that was answered */
    bool saw;      /* since step() began */
    bool broken;
    bool resetting, up_again; /* the VM was reset; its puppet has said so */
};

struct vpc_backend *vpc_qemu_guest_create(const struct vpc_backend_config *config, char **error);
struct vpc_backend *vpc_qemu_host_create(const struct vpc_backend_config *config, char **error);

/* Starts a VM; bus is where QEMU shall listen, or NULL. */
bool vpc_qemu_boot(struct vpc_qemu *self, const char *bus, char **error);
/* Another VM takes the place of this one, from what vpc_vm_keep() wrote; the puppet's handles stay. */
bool vpc_qemu_restore(struct vpc_qemu *self, const char *kept, char **error);
/* NULL, with BROKEN told, when the puppet is lost. */
struct vpc_puppet *vpc_qemu_puppet(struct vpc_qemu *self);
void vpc_qemu_tell(struct vpc_qemu *self, enum vpc_seen_kind kind, int id, uint32_t value,
                   const char *text, size_t size);
void vpc_qemu_break(struct vpc_qemu *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The result of a request about what lives in the puppet: when it was not made, with errno, the machine is
   broken. */
void vpc_qemu_asked(struct vpc_qemu *self, int result, const char *what);
/* Sends what waits for the puppet and takes what has come from the VM. */
void vpc_qemu_take(struct vpc_qemu *self);
/* Goes on with the VM alone until *flag (or *other, if not NULL), for ms at most; what *flag then is. */
bool vpc_qemu_await(struct vpc_qemu *self, const bool *flag, const bool *other, int ms);
/* Returns when the puppet has done all that it was asked before. */
void vpc_qemu_sync(struct vpc_qemu *self);
/* Pauses, resumes or resets the VM, or changes its port; false: *error.  What the puppet held before a reset is no more. */
bool vpc_qemu_act(struct vpc_qemu *self, enum vpc_vm_action action, char **error);
uint64_t vpc_qemu_now(struct vpc_backend *backend);

#endif
