/* The system call lists of sandbox.c. */
#ifndef LM_SANDBOX_SECCOMP_H
#define LM_SANDBOX_SECCOMP_H

#include "lib-common/sandbox.h"

int sandbox_seccomp(const struct sandbox *s, struct err *e);

#endif
