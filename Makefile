# VPCBus: every verb of the project. `make help` lists them.
#
# The folders' own rules stand in their module.mk; this file holds what they share.
# BUILD and SAN make variants that never mix: `make check SAN=address,undefined BUILD=build/asan`.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

BUILD    ?= build
CC       ?= cc
RAGEL    ?= ragel
CFLAGS   ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wvla
SAN      ?=
ifneq ($(SAN),)
SANFLAGS := -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all
endif
VPC_CFLAGS  = -std=c17 -D_GNU_SOURCE $(WARNINGS) $(SANFLAGS) $(CFLAGS) -I$(BUILD)/gen
VPC_LDFLAGS = $(SANFLAGS) $(LDFLAGS)

# Generated C is Ragel's, not ours: it keeps our standard but not our warnings.
GEN_CFLAGS  = -w

# The kernel, the initrds, the snapshots.
GUEST    := $(BUILD)/guest

PROGRAMS :=   # what plain `make` builds; the modules add to it
TESTS    :=   # Criterion programs that `make check` runs; the modules add to it

# In the order of their dependence; `make` expands prerequisites as it reads.
include $(wildcard $(addsuffix /module.mk,spec proto impl conformance fuzz tools))

.PHONY: all clean help
all: $(PROGRAMS) ## build everything

clean: ## remove what was built
	rm -rf $(BUILD)

help: ## this list
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort | expand -t 20
