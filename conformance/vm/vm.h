/*
 * The harness's virtual machines: start, stop, pause, reset, and what happens in them, as events
 * around one descriptor. The guest's side is the puppet's: see puppet_client.h.
 *
 * Conventions. A VM belongs to who started it; its QEMU dies with the thread that did, whatever
 * happens. Times are milliseconds. Paths and names are copied. No pointer may be NULL unless it
 * says so. Functions that return int return 0, or -1 with words in vpc_vm_error. SIGPIPE never
 * comes from here.
 */
#ifndef VPC_CONFORMANCE_VM_H
#define VPC_CONFORMANCE_VM_H

#include "puppet/puppet_client.h"

#define VPC_VM_BUS_NAME "org.vpcbus.0"
#define VPC_VM_BUS_PORT "/dev/virtio-ports/" VPC_VM_BUS_NAME /* in the guest: for vpc_puppet_open */

struct vpc_vm;

struct vpc_vm_options {
    const char *name;     /* of the VM */
    const char *tag;      /* its chassis asset tag, 1 to 32 characters */
    const char *kernel;   /* as tools/guest-image makes it */
    const char *initrd;   /* the same, with vpc-puppet laid over it as /etc/vpc/boot */
    const char *launcher; /* NULL: tools/vm */
    const char *append;   /* more words for the kernel's command line; NULL: none */
    const char *scratch;  /* where its temporary directory goes; NULL: $TMPDIR, or /tmp */
    const char
        *monitor;    /* where it shall listen for another client of its control protocol, or NULL */
    const char *bus; /* where QEMU shall listen for the bus's host side; NULL: vpc_vm_bus
                              says. With a path of one's own a later VM can take an earlier
                              one's place */
    const char *snapshots; /* a directory for snapshots of booted guests, made if need be;
                              NULL: always boot */
    const char
        *kept; /* what vpc_vm_keep wrote: the VM goes on from there; NULL: it begins. All else
                              must be as it was, with snapshots */
    struct vpc_puppet *puppet; /* of the VM that was kept: it goes on with its handles, and becomes
                                  the new VM's, also if that fails; NULL: a new line */
    unsigned memory;           /* MiB; 0: 256 */
    int timeout;               /* of the start as a whole; 0: 60 s */
    bool console;              /* a serial console, into the file vpc_vm_console */
    /* Is told what is waited for: when a wait begins, and each second of it. NULL: nobody. */
    void (*progress)(void *context, const char *waiting_for, int elapsed);
    void *context;
};

enum vpc_vm_event_type {
    VPC_VM_PUPPET,      /* .puppet; PONG with handle 0: the guest has booted (again) */
    VPC_VM_PUPPET_LOST, /* .status is an errno; the puppet can't be used any more */
    VPC_VM_PAUSED,
    VPC_VM_RESUMED,
    VPC_VM_PORT, /* .port ("bus", "puppet") was opened (.open) or closed in the guest */
    /* the harness can't watch or command it any more: vpc_vm_error says why; once */
    VPC_VM_TROUBLE,
    VPC_VM_GONE /* QEMU has ended; .status as waitpid gives it; no more events come */
};

struct vpc_vm_event {
    enum vpc_vm_event_type type;
    struct vpc_puppet_event puppet;
    char port[16];
    bool open;
    int status;
};

/*
 * Starts a VM and waits until its puppet answers. With options->snapshots a guest is booted once,
 * kept as it waits, and each start is a private copy of that, with fresh entropy and the right
 * time; a snapshot belongs to the contents of kernel, initrd and launcher, and to tag, memory,
 * console and append. NULL on failure, with words in error.
 */
struct vpc_vm *vpc_vm_start(const struct vpc_vm_options *options, char *error, size_t error_size);
/* Ends QEMU and removes what the VM had in the file system; NULL is allowed. */
void vpc_vm_stop(struct vpc_vm *vm);

struct vpc_puppet *vpc_vm_puppet(struct vpc_vm *vm); /* NULL once it is lost */
const char *vpc_vm_bus(const struct vpc_vm *vm);     /* QEMU listens here for the bus's host side */
const char *vpc_vm_console(const struct vpc_vm *vm);
const char *vpc_vm_error(const struct vpc_vm *vm);
pid_t vpc_vm_pid(const struct vpc_vm *vm);
bool vpc_vm_from_snapshot(const struct vpc_vm *vm);

/*
 * One event: 1, or 0 if none comes within the timeout (0: only look; -1: no limit). vpc_vm_fd is
 * readable when an event may be there: then call vpc_vm_poll with 0 until it returns 0. After
 * requests to the puppet call it too: it sends them; and after a pause, resume or reset, whose
 * events may be here already.
 */
int vpc_vm_poll(struct vpc_vm *vm, int timeout, struct vpc_vm_event *event);
int vpc_vm_fd(const struct vpc_vm *vm);

int vpc_vm_pause(struct vpc_vm *vm, int timeout);
int vpc_vm_resume(struct vpc_vm *vm, int timeout);
/*
 * Keeps this moment, and goes back to it in the same QEMU, as often as one likes; the machine goes on at
 * once. Nobody outside is told: sockets stay. The caller sees to it that nothing is on its way between him
 * and the puppet: its handles and windows are then those of the moment.
 */
int vpc_vm_mark(struct vpc_vm *vm, int timeout);
int vpc_vm_go_back(struct vpc_vm *vm, int timeout);
/* Writes the machine as it is now, memory and all, to the file; it goes on. */
int vpc_vm_keep(struct vpc_vm *vm, const char *path, int timeout);
/* The VM's line to its puppet becomes the caller's: for a VM that goes on from what was kept. */
struct vpc_puppet *vpc_vm_take_puppet(struct vpc_vm *vm);
/*
 * The machine's reset button. The puppet's handles are void; the event of its PONG with handle 0
 * says when the guest is up again.
 */
int vpc_vm_reset(struct vpc_vm *vm, int timeout);
/* Takes the port of the bus out of the running machine; puts another one of its name into it. Its socket stays. */
int vpc_vm_unplug(struct vpc_vm *vm, int timeout);
int vpc_vm_plug(struct vpc_vm *vm, int timeout);

#endif
