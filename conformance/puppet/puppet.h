/*
 * The protocol between the harness and its puppet inside the guest.
 *
 * The puppet is the harness's remote hand: it runs and kills programs, plays the TCP server that
 * a guest endpoint connects to, opens the guest's side of the bus port, follows log files. One
 * byte stream, a virtio-serial port or a Unix socket, carries all of it. It is the harness's own
 * affair and has nothing to do with VPCBus.
 *
 * A frame is a header of 12 bytes, little-endian, and a payload:
 *     size   u32   bytes of payload, at most VPC_PUPPET_PAYLOAD_MAX
 *     type   u16   enum vpc_puppet_type
 *     zero   u16   0
 *     handle u32   what it is about
 * Strings in a payload end with NUL. Numbers are u32, little-endian.
 *
 * Handles. Each request has a handle that the harness chooses (1 to 0x7fffffff) and does not use
 * again before its end. Accepted connections have handles of the puppet's choice, with the top
 * bit set. PING, ENTROPY, CLOCK and RESET_ALL are answered once, by PONG, DONE or FAILED. The
 * others make a thing that lives: OPENED says that it does, and its last frame is CLOSED; FAILED
 * instead of OPENED says that it never did, and instead of CLOSED that the guest ran short of
 * something, which is not the doing of whoever is at the thing's other end. What comes for a
 * handle that is no more is ignored: the two ends of a thing may cross each other on the way.
 *
 * Flow control. DATA for a handle needs credit: each direction of each thing begins with
 * VPC_PUPPET_WINDOW bytes, and WINDOW gives more when bytes have been consumed. PAUSE stops the
 * puppet from reading (or accepting) at once, whatever the credit, until RESUME.
 *
 * Conventions: the functions here neither allocate nor keep pointers; sizes are in bytes; no
 * pointer may be NULL unless it says so.
 */
#ifndef VPC_CONFORMANCE_PUPPET_H
#define VPC_CONFORMANCE_PUPPET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VPC_PUPPET_VERSION     1
#define VPC_PUPPET_HEADER      12
#define VPC_PUPPET_PAYLOAD_MAX 32768
#define VPC_PUPPET_FRAME_MAX   (VPC_PUPPET_HEADER + VPC_PUPPET_PAYLOAD_MAX)
#define VPC_PUPPET_WINDOW      65536
#define VPC_PUPPET_THINGS_MAX  64
#define VPC_PUPPET_ACCEPTED    0x80000000u
#define VPC_PUPPET_PORT_NAME   "org.vpcbus.puppet.0"

/* Flags of LISTEN. */
#define VPC_PUPPET_LISTEN_PAUSED 1u /* accepted connections begin paused */
#define VPC_PUPPET_LISTEN_DEAF   2u /* no connect is ever answered: its queue is full */

enum vpc_puppet_type {
    /* Harness to puppet. */
    VPC_PUPPET_PING = 1,  /* -> PONG */
    VPC_PUPPET_ENTROPY,   /* random bytes for the guest's generator -> DONE */
    VPC_PUPPET_CLOCK,     /* seconds, nanoseconds: the guest's wall clock -> DONE */
    VPC_PUPPET_RESET_ALL, /* kill every child, close every thing -> DONE; nothing old follows */
    VPC_PUPPET_RUN,       /* argv strings -> OPENED pid, DATA (its output), FIN, EXITED, CLOSED */
    VPC_PUPPET_KILL,      /* signal: to a command's process group */
    VPC_PUPPET_OPEN,      /* path of a port or socket -> OPENED 0, LINK, DATA both ways */
    VPC_PUPPET_LISTEN, /* port (0: any), receive buffer (0: the system's), flags -> OPENED port */
    VPC_PUPPET_READ,   /* path -> OPENED 0, DATA, FIN, CLOSED */
    VPC_PUPPET_FOLLOW, /* path, which need not exist yet -> OPENED 0, DATA as it grows */
    VPC_PUPPET_WRITE,  /* mode, path -> OPENED 0; then DATA and FIN to it -> CLOSED */
    VPC_PUPPET_PAUSE,
    VPC_PUPPET_RESUME,
    /* Both ways. */
    VPC_PUPPET_DATA,
    VPC_PUPPET_WINDOW_MORE, /* bytes of credit given back */
    VPC_PUPPET_FIN,         /* no more DATA this way (half-close) */
    VPC_PUPPET_RESET,       /* a connection is reset: to it, or seen on it */
    VPC_PUPPET_CLOSE,       /* harness: end the thing (a command is killed) -> CLOSED */
    VPC_PUPPET_FINISH,      /* harness: CLOSE when what was sent to it is written */
    /* Puppet to harness. */
    VPC_PUPPET_PONG, /* version; with handle 0: the puppet has just started */
    VPC_PUPPET_DONE,
    VPC_PUPPET_OPENED,     /* number */
    VPC_PUPPET_FAILED,     /* errno, what was tried */
    VPC_PUPPET_EXITED,     /* exit code, signal (0: it exited) */
    VPC_PUPPET_ACCEPTANCE, /* on a listener: the connection's handle, the peer's port */
    VPC_PUPPET_LINK,       /* on a port, first after OPENED: 1 a host client is there, 0 none */
    VPC_PUPPET_CLOSED,
    VPC_PUPPET_TYPES
};

enum vpc_puppet_side { VPC_PUPPET_FROM_HARNESS = 1, VPC_PUPPET_FROM_PUPPET = 2 };

struct vpc_puppet_frame {
    enum vpc_puppet_type type;
    uint32_t handle;
    const uint8_t *payload; /* valid until the decoder is next fed or reset */
    size_t size;
};

/* Takes frames out of a byte stream, however it is cut. Zeroed is ready but for `from`. */
struct vpc_puppet_decoder {
    enum vpc_puppet_side from; /* whose frames it takes */
    size_t have;
    uint8_t bytes[VPC_PUPPET_FRAME_MAX];
};

enum vpc_puppet_fed { VPC_PUPPET_MORE, VPC_PUPPET_FRAME, VPC_PUPPET_BAD };

/* Forgets what it holds; frames are those of `from`. */
void vpc_puppet_decoder_reset(struct vpc_puppet_decoder *decoder, enum vpc_puppet_side from);

/*
 * Takes bytes up to the end of one frame; *used says how many. VPC_PUPPET_FRAME: *frame is set.
 * VPC_PUPPET_MORE: all were taken and the frame goes on. VPC_PUPPET_BAD: no such frame may come
 * from there, and the stream cannot be followed any further.
 */
enum vpc_puppet_fed vpc_puppet_feed(struct vpc_puppet_decoder *decoder, const uint8_t *bytes,
                                    size_t size, size_t *used, struct vpc_puppet_frame *frame);

/* Writes a frame's header; size is at most VPC_PUPPET_PAYLOAD_MAX. */
void vpc_puppet_put_header(uint8_t out[VPC_PUPPET_HEADER], enum vpc_puppet_type type,
                           uint32_t handle, size_t size);

/* A number as frames have it, its lowest octet first. */
void vpc_puppet_put32(uint8_t out[4], uint32_t value);
uint32_t vpc_puppet_get32(const uint8_t in[4]);

/*
 * The string that begins at *at in the frame's payload; moves *at behind it. NULL if there is no
 * further string, or none that ends.
 */
const char *vpc_puppet_string(const struct vpc_puppet_frame *frame, size_t *at);

/* A type's name for messages; "?" if there is none. */
const char *vpc_puppet_type_name(unsigned type);

#endif
