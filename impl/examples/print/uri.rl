/* SPDX-License-Identifier: MIT */
/*
 *     vpcbus:/                                   where the socket is usually
 *     vpcbus:/run/other.sock?wait=60             elsewhere, and how long to wait for the host
 */
#include "uri.h"

%%{
    machine uri;

    action octet {
        if (n == sizeof(uri->path) - 1)
            return false;
        uri->path[n++] = fc;
    }
    action zero { uri->wait_s = 0; }
    action digit { uri->wait_s = uri->wait_s * 10 + (unsigned)(fc - '0'); }

    path = '/' ( graph - [?#%] )*;
    main := 'vpcbus:' path $octet ( '?wait=' digit{1,5} >zero $digit )?;

    write data noerror;
}%%

bool uri_read(struct uri *uri, const char *text)
{
    const char *p = text, *pe = text;
    unsigned n = 0;
    int cs;

    while (*pe != '\0')
        pe++;
    %% write init;
    %% write exec;
    uri->path[n] = '\0';
    return cs >= uri_first_final;
}
