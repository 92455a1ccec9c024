/* SPDX-License-Identifier: MIT */
#include "vpc.h"

static const struct {
    vpc_hresult value;
    const char *name;
} results[] = {
    {VPC_S_OK, "S_OK"},
    {VPC_E_INVALIDARG, "E_INVALIDARG"},
    {VPC_E_POINTER, "E_POINTER"},
    {VPC_DISP_E_EXCEPTION, "DISP_E_EXCEPTION"},
    {VPC_ERROR_INVALID_HANDLE, "ERROR_INVALID_HANDLE"},
    {VPC_ERROR_OUTOFMEMORY, "ERROR_OUTOFMEMORY"},
    {VPC_ERROR_NOT_READY, "ERROR_NOT_READY"},
    {VPC_ERROR_ALREADY_EXISTS, "ERROR_ALREADY_EXISTS"},
    {VPC_ERROR_PIPE_BUSY, "ERROR_PIPE_BUSY"},
    {VPC_ERROR_MAX_SESSIONS_REACHED, "ERROR_MAX_SESSIONS_REACHED"},
    {VPC_ERROR_REVISION_MISMATCH, "ERROR_REVISION_MISMATCH"},
    {VPC_VM_E_VM_NOT_RUNNING, "VM_E_VM_NOT_RUNNING"},
    {VPC_ERROR_CONNECTION_REFUSED, "ERROR_CONNECTION_REFUSED"},
    {VPC_ERROR_TIMEOUT, "ERROR_TIMEOUT"},
    {VPC_VM_E_VM_RUNNING_OR_SAVED, "VM_E_VM_RUNNING_OR_SAVED"},
    {VPC_ERROR_FILE_NOT_FOUND, "ERROR_FILE_NOT_FOUND"},
};

const char *vpc_hresult_name(vpc_hresult result)
{
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
        if (results[i].value == result)
            return results[i].name;
    return "HRESULT";
}
