/* SPDX-License-Identifier: MIT */
/*
 * The control protocol under vpc.h, for programs that want more of it (VPCBUS.md, section 8, "The
 * control socket"). The conventions are those of vpc.h; a json_t that is handed out is a reference
 * of the caller's.
 */
#ifndef VPC_CONTROL_H
#define VPC_CONTROL_H

#include <jansson.h>

#include "vpc.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Sends a command and waits for its answer.  arguments (its reference is taken) may be NULL.  On
 * S_OK *result is the answer's `return`, else its `error` or NULL.  result may be NULL.
 */
vpc_hresult vpc_control(vpc_virtual_machine *vm, const char *command, json_t *arguments,
                        json_t **result);

/*
 * The next event that the endpoint sent, also those that came while an answer was awaited.  S_OK,
 * ERROR_TIMEOUT when none came in time, or ERROR_INVALID_HANDLE when the endpoint is gone.
 */
vpc_hresult vpc_next_event(vpc_virtual_machine *vm, int64_t limit_ms, json_t **event);

/* The descriptor to poll() for POLLIN before vpc_next_event(vm, 0, ...); the library's. */
int vpc_control_fd(const vpc_virtual_machine *vm);

#ifdef __cplusplus
}
#endif
#endif
