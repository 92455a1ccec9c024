/* SPDX-License-Identifier: MIT */
/* The result of an error of class GenericError (CTL-3), as a line of the control socket has it:
   DISP_E_EXCEPTION. */
#ifndef VPC_GENERIC_ERROR_H
#define VPC_GENERIC_ERROR_H

#define VPC_GENERIC_HRESULT "0x80020009"

#endif
