# VPCBus: every verb of the project. `make help` lists them.
#
# The folders' own rules stand in their module.mk; this file holds what they share.
# BUILD and SAN make variants that never mix: `make check SAN=address,undefined BUILD=build/asan`.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

# The one place of the version: programs, library, packages, tarball and CHANGELOG.md have it from here (make check-version).
VERSION  := 0.2.0

BUILD    ?= build
CC       ?= cc
RAGEL    ?= $(or $(shell command -v ragel),tools/package/ragel)
CFLAGS   ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wvla
SAN      ?=
ifneq ($(SAN),)
SANFLAGS := -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all
endif

# What makes an overrun hard to use; tools/check-hardening looks for it in what was built.  FORTIFY wants an optimizing
# compiler and no sanitizer; control-flow protection is asked for where the compiler has it.  HARDENED= builds without.
HARDENED ?= 1
taken     = $(shell $(CC) $(1) -x c -c -o /dev/null /dev/null 2>/dev/null && echo '$(1)')
ifneq ($(HARDENED),)
FORTIFY        = $(if $(SAN),,$(if $(filter -O1 -O2 -O3 -Os -Og,$(CFLAGS)),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3))
STACK_CLASH   := $(call taken,-fstack-clash-protection)
CONTROL_FLOW  := $(firstword $(call taken,-fcf-protection=full) $(call taken,-mbranch-protection=standard))
HARDEN_CFLAGS  = -fPIE -fstack-protector-strong $(STACK_CLASH) $(CONTROL_FLOW) $(FORTIFY)
HARDEN_LDFLAGS = -Wl,-z,relro,-z,now,-z,noexecstack
endif

VPC_CFLAGS  = -std=c17 -D_GNU_SOURCE $(WARNINGS) $(SANFLAGS) $(HARDEN_CFLAGS) $(CFLAGS) -I$(BUILD)/gen -DVPC_VERSION=$(VERSION)
VPC_LDFLAGS = $(SANFLAGS) $(HARDEN_LDFLAGS) $(LDFLAGS)

# One short line for each file that is made; `make V=1` shows the commands.
ifndef V
.SILENT:
PLAIN_SHELL := $(SHELL)
SHELL = $(if $(filter $(BUILD)/%,$@),$(if $(filter $(LAST_SHOWN),$@),,$(info $(space) $@)$(eval LAST_SHOWN := $@)))$(PLAIN_SHELL)
space :=
endif

# Generated C is Ragel's, not ours: it keeps our standard but not our warnings.  Under a sanitizer gcc takes seven times
# as long to optimize the parser fully.
GEN_CFLAGS  = -w $(if $(SAN),-O1)

# The kernel, the initrds, the snapshots.
GUEST    := $(BUILD)/guest

PROGRAMS :=   # what plain `make` builds; the modules add to it
TESTS    :=   # Criterion programs that `make check` runs; the modules add to it
CHECKS   :=   # other targets that `make check` passes
RAGEL_MADE := # what Ragel makes, for the tarball; the modules add to it
STRANGE  :=   # those that `make check-strange` passes: they take minutes, and CI runs them by that name

# In the order of their dependence; `make` expands prerequisites as it reads.
include $(wildcard $(addsuffix /module.mk,spec proto impl conformance fuzz tools))

.PHONY: all clean help check run-check check-sanitized conformance run-conformance
all: needs $(PROGRAMS) ## build everything

# Plain `make` installs nothing; it says what is missing before the compiler does.
.PHONY: needs
needs:
	@missing=$$(tools/setup --check 2>/dev/null | tr '\n' ' '); \
	 test -z "$$missing" || echo "missing: $$missing- run tools/setup as root" >&2

# The two commands that do everything.  Each first installs what is missing, then starts make anew: nothing may be
# built, however parallel, before the set-up is complete.
conformance: setup ## the main job: judge the reference host and guest endpoints, in QEMU too
	@$(MAKE) --no-print-directory run-conformance

check: setup ## pass the tests
	@$(MAKE) --no-print-directory run-check

check-sanitized: setup ## pass the tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(MAKE) --no-print-directory run-check BUILD=$(BUILD)/sanitized SAN=address,undefined

export LSAN_OPTIONS  = suppressions="$(CURDIR)/tools/lsan.supp":print_suppressions=0
export ASAN_OPTIONS  = detect_stack_use_after_return=1
export UBSAN_OPTIONS = print_stacktrace=1

# Of the checks, a sanitizer has something to say only where much of our C runs.
SANITIZED_CHECKS := check-inproc check-interop check-product check-watch check-run check-print fuzz-replay

run-check: all $(TESTS) $(if $(SAN),$(filter $(SANITIZED_CHECKS),$(CHECKS)),$(CHECKS))
	@tools/run-tests $(TESTS)

# Strange subjects, strange machines, strange places, and fields that are wrong.
.PHONY: check-strange
check-strange: all ## hostile subjects, odd machines, an installed copy, each field wrong; minutes
	@$(MAKE) --no-print-directory $(STRANGE)

run-conformance: all $(CONFORMANCE_NEEDS)
	@tools/run-conformance $(BUILD)

clean: ## remove what was built
	rm -rf $(BUILD)

help: ## this list
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort | expand -t 20
