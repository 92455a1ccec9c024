# Set-up and the guest image: each does nothing, and at once, when there is nothing to do.

.PHONY: setup guest-image
setup: ## install what the project needs (apt packages; root, unless all is there)
	@tools/setup

guest-image: setup ## make the kernel and the initrd that guests boot
	@tools/guest-image --dir $(GUEST)

.PHONY: demo run-demo
demo: setup ## the whole scene once: hello world between a host program and a guest program
	@$(MAKE) --no-print-directory run-demo

run-demo: all
	tools/guest-image --dir $(GUEST)
	tools/demo $(BUILD)

# ---- the soak ----------------------------------------------------------------------------------------------

SOAK_TIME ?= 60
SOAK_SEED ?= 1

$(BUILD)/guest/soak-server: tools/soak/server.c
	@mkdir -p $(@D)
	$(CC) $(VPC_CFLAGS) $(VPC_LDFLAGS) $(IMPL_STATIC) -pthread -o $@ $<

.PHONY: soak run-soak
soak: setup ## conversations with a VM for SOAK_TIME seconds, and all that can befall them (SOAK_SEED)
	@$(MAKE) --no-print-directory run-soak

run-soak: all $(BUILD)/guest/soak-server
	@tools/guest-image --dir $(GUEST)
	@tools/soak/soak.py --build $(BUILD) --time $(SOAK_TIME) --seed $(SOAK_SEED) --keep $(BUILD)/soak

MACHINES ?= 200

.PHONY: crowd
crowd: all ## host endpoints of so many machines at once, each with a conversation (MACHINES)
	@tools/soak/crowd.py --build $(BUILD) --machines $(MACHINES)

include tools/bench/bench.mk
include tools/package/package.mk

# ---- traces ------------------------------------------------------------------------------------------------

CHECKS += check-wireshark
.PHONY: check-wireshark
check-wireshark: $(BUILD)/vpc-host $(BUILD)/vpc-guest $(BUILD)/vpcctl ## the Wireshark dissector on a real trace, where tshark is there
	@tools/wireshark/check $(BUILD)

# ---- examples ----------------------------------------------------------------------------------------------

CHECKS += check-pasted
.PHONY: check-pasted
check-pasted: all $(BUILD)/libvpcbus.a ## run the examples of manual pages and READMEs, where mandoc is there
	@CC='$(CC)' SAN_FLAGS='$(if $(SAN),-fsanitize=$(SAN))' tools/examples/check $(BUILD)

# ---- services ----------------------------------------------------------------------------------------------

UNITDIR ?= $(PREFIX)/lib/systemd/system
USERUNITDIR ?= $(PREFIX)/lib/systemd/user
UDEVDIR ?= $(PREFIX)/lib/udev/rules.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
CATALOGDIR ?= $(PREFIX)/lib/systemd/catalog

.PHONY: install-services uninstall-services
install: install-services
install-services: $(BUILD)/vpcbus.catalog ## install the systemd units, the udev rule, the user, the folders, the journal's texts (DESTDIR, PREFIX)
	$(INSTALL) -d "$(DESTDIR)$(UNITDIR)" "$(DESTDIR)$(USERUNITDIR)" "$(DESTDIR)$(UDEVDIR)" "$(DESTDIR)$(TMPFILESDIR)" \
	    "$(DESTDIR)$(SYSUSERSDIR)" "$(DESTDIR)$(CATALOGDIR)"
	for unit in vpc-host@ vpc-guest; do \
	    sed 's|@SBINDIR@|$(SBINDIR)|' tools/service/$$unit.service.in >"$(DESTDIR)$(UNITDIR)/$$unit.service" && \
	    chmod 644 "$(DESTDIR)$(UNITDIR)/$$unit.service" || exit 1; done
	sed 's|@SBINDIR@|$(SBINDIR)|' tools/service/vpc-host-user@.service.in >"$(DESTDIR)$(USERUNITDIR)/vpc-host@.service"
	chmod 644 "$(DESTDIR)$(USERUNITDIR)/vpc-host@.service"
	$(INSTALL) -m 644 tools/service/60-vpcbus.rules "$(DESTDIR)$(UDEVDIR)"
	$(INSTALL) -m 644 tools/service/vpcbus.conf "$(DESTDIR)$(TMPFILESDIR)"
	$(INSTALL) -m 644 tools/service/vpcbus-sysusers.conf "$(DESTDIR)$(SYSUSERSDIR)/vpcbus.conf"
	$(INSTALL) -m 644 $(BUILD)/vpcbus.catalog "$(DESTDIR)$(CATALOGDIR)"

uninstall: uninstall-services
uninstall-services:
	rm -f "$(DESTDIR)$(UNITDIR)/vpc-host@.service" "$(DESTDIR)$(UNITDIR)/vpc-guest.service" "$(DESTDIR)$(UDEVDIR)/60-vpcbus.rules"
	rm -f "$(DESTDIR)$(USERUNITDIR)/vpc-host@.service" "$(DESTDIR)$(TMPFILESDIR)/vpcbus.conf" "$(DESTDIR)$(CATALOGDIR)/vpcbus.catalog"
	rm -f "$(DESTDIR)$(SYSUSERSDIR)/vpcbus.conf"

# Two minutes; with QEMU.
.PHONY: check-units
check-units: all ## the guest's unit in a machine that systemd runs: killed in a loop, reloaded, its port unplugged
	@tools/guest-image --dir $(GUEST)
	@tools/service/check-systemd $(MAKE) BUILD=$(BUILD)

CHECKS += check-service
.PHONY: check-service
check-service: $(BUILD)/vpc-host $(BUILD)/vpc-guest ## units, udev rule, libvirt domain, init snippet: as far as there are tools for it
	@tools/service/check $(BUILD)

.PHONY: check-launcher
check-vm: check-launcher
check-launcher: all ## a VM by its name alone, before and after a reset
	@tools/guest-image --dir $(GUEST)
	@tools/check-launcher $(BUILD)

.PHONY: check-vsock
check-vm: check-vsock
check-vsock: all $(BUILD)/test_impl_bus ## the bus over AF_VSOCK, in a guest whose kernel has its loopback
	@tools/guest-image --dir $(GUEST)
	@tools/check-vsock $(BUILD)

# What conformance/RESULTS.md tells, measured anew: half an hour with the machine free.  RESULTS='--only fields' is a part.
.PHONY: results check-results
CHECKS += check-results
results: all $(GENERATED)/made $(if $(HAVE_GO),go) ## measure what conformance/RESULTS.md tells, and write its tables
	@tools/guest-image --dir $(GUEST)
	@tools/results $(RESULTS) $(BUILD)

# The document has a table for each part.
check-results:
	@tools/results --check $(BUILD)

# ---- format --------------------------------------------------------------------------------------

.PHONY: check-format
check-format:
	@tools/check-format

CHECKS += check-format

# ---- how it was built --------------------------------------------------------------------------------------

CHECKS += check-hardening
.PHONY: check-hardening
check-hardening: all ## see that what is delivered was built to make an overrun hard to use (readelf)
	@CC='$(CC)' tools/check-hardening $(BUILD)

# ---- the version -------------------------------------------------------------------------------------------

CHECKS += check-version
.PHONY: check-version print-version
check-version: all ## see that all that tells the version tells that of the Makefile
	@tools/check-version $(VERSION) $(BUILD)

print-version:
	@echo $(VERSION)
