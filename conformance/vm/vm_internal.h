/* What vm.c and vm_snapshot.c share. */
#ifndef VPC_CONFORMANCE_VM_INTERNAL_H
#define VPC_CONFORMANCE_VM_INTERNAL_H

#include <limits.h>

#include "vm/qmp.h"
#include "vm/vm.h"

struct vpc_vm {
    struct vpc_vm_options options; /* the strings are the caller's: for the start only */
    char name[128];
    pid_t pid; /* 0: none, or reaped */
    int pidfd, epoll, log_fd;
    bool from_snapshot, resetting, more;
    bool troubled, trouble_told; /* what was wrong stands in error */
    uint32_t puppet_wants;       /* what epoll was last told of its line */
    struct vpc_puppet *puppet;
    struct vpc_qmp *qmp;
    char dir[PATH_MAX];
    char moment[PATH_MAX]; /* the image of vpc_vm_mark; empty: it has made none */
    char bus[PATH_MAX], puppet_path[PATH_MAX], qmp_path[PATH_MAX], console[PATH_MAX], log[PATH_MAX];
    char error[512];
};

enum vm_memory { VM_MEMORY_OWN, VM_MEMORY_FILE, VM_MEMORY_PRIVATE_COPY };

/* Each of these returns 0, or -1 with words in vm->error. */
int vm_fail(struct vpc_vm *vm, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, for what no caller gets the result of: it becomes an event. */
void vm_trouble(struct vpc_vm *vm);
void vm_progress(struct vpc_vm *vm, const char *waiting_for, int elapsed);
/* Starts QEMU with its memory in the file ram (VM_MEMORY_OWN: none) and opens both lines to it;
 * a private copy waits for its state. */
int vm_launch(struct vpc_vm *vm, enum vm_memory memory, const char *ram, int64_t deadline);
/* Waits for the answers to `count` requests of the puppet. */
int vm_await_answers(struct vpc_vm *vm, const uint32_t *handles, size_t count, const char *what,
                     int64_t deadline);
/* Pings the puppet and waits for its answer. */
int vm_await_puppet(struct vpc_vm *vm, int64_t deadline);
/* Ends QEMU and closes what belongs to it; vm_launch may follow. */
void vm_end(struct vpc_vm *vm);

/* Starts vm as a copy of a booted guest, which is booted and kept first if there is none. */
int vm_start_from_snapshot(struct vpc_vm *vm, int64_t deadline);

/* Starts vm from the file options.kept. */
int vm_start_from_kept(struct vpc_vm *vm, int64_t deadline);

#endif
